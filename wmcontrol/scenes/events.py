"""Events behind screens, in films of which two are possible and two are not.

In each event two films differ in one thing, as whether there is a body, and for a time a screen hides the difference.
Both are possible. An impossible film begins as one of them and, while both look the same, goes on as the other. So each
beginning and each end is in as many possible films as impossible ones, and what adds up over frames, such as how much
they change, does not tell which films are possible. The scheme is that of IntPhys (arXiv 1803.07616).

What happens is said here once, in a plane that is upright and square to the view; a :class:`Stage` makes it flat or
solid. Lengths along a film are shares of its duration, so that longer films are slower ones, but for what falls.

Letters: ``T`` frames, ``K`` things, ``V`` numbers of a pose.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from .free import raised
from .records import CATEGORIES
from .scene import GRAVITY, Floats, Scene, Thing
from .solids import Scene3D, Solid

LEAST_SECONDS = 3.0  # that an event takes: what falls must be down in time
MARGIN = 0.35  # metres that screens hide more than they must
_OF_FRAMES = ("poses", "visible", "camera", "times")  # what a film has of each frame
Body = TypeVar("Body", Thing, Solid)
Film = TypeVar("Film", Scene, Scene3D)


@dataclass(frozen=True, eq=False)
class Event(Generic[Film]):
    """Two possible films of the same things.

    Args:
        first: one of them.
        second: the other.
        switch: from which frame on an impossible film is the other one; in the frame before both look the same.
    """

    first: Film
    second: Film
    switch: int

    def pair(self, swapped: bool) -> tuple[Film, Film]:
        """Return a possible film and an impossible one that begins like it: like the first, or ``swapped`` the second.

        The other end of the impossible one is that of the other film.
        """
        begins, ends = (self.second, self.first) if swapped else (self.first, self.second)
        return begins, joined(part_of(begins, slice(self.switch)), part_of(ends, slice(self.switch, None)))


def part_of(film: Film, frames: slice | list[int]) -> Film:
    """Return some frames of a film."""
    some: dict[str, Any] = {name: getattr(film, name)[frames] for name in _OF_FRAMES}
    return film._replace(**some)


def joined(one: Film, other: Film) -> Film:
    """Return the frames of one film, and then those of another one of the same things."""
    both: dict[str, Any] = {name: np.concatenate([getattr(one, name), getattr(other, name)]) for name in _OF_FRAMES}
    return one._replace(**both)


class Acting(NamedTuple):
    """What the things of an event do in one of its films.

    Attributes:
        poses: (T, K, V).
        there: (K,) whether they are in it.
    """

    poses: Floats
    there: tuple[bool, ...]


class Stage(ABC, Generic[Body, Film]):
    """The place of an event: camera, backdrop, bodies that only distract; and what is put into it.

    Places in the plane of the event are x, metres to the right of its middle, and height, metres above the floor.

    Attributes:
        side: how far to the right of the middle is seen, metres.
        sky: height that is out of sight above, metres.
        direction: of what crosses the view, -1 or 1.
    """

    side: float
    sky: float
    direction: float
    sliding: ClassVar[tuple[str, ...]]  # kinds of bodies that do not topple when they meet a wall

    def __init__(self, rng: np.random.Generator, num_frames: int, frame_rate: float):
        self.rng, self.num_frames, self.frame_rate = rng, num_frames, frame_rate
        self.times = np.arange(num_frames) / frame_rate
        self.duration = num_frames / frame_rate
        self.share = self.times / self.duration  # of the film that is over
        self.others: list[Body] = []
        self.moved: Floats  # (T, others, V)
        self.screens: list[tuple[Body, Floats]] = []
        self._instances = 0

    @abstractmethod
    def body(self, kind: str | None = None, largest: float = 0.8) -> Body:
        """Return a body, which does not bounce."""

    @abstractmethod
    def obstacle(self, width: float, height: float) -> Body:
        """Return what stands on the floor and does not move."""

    @abstractmethod
    def recolored(self, thing: Body) -> tuple[Body, Body]:
        """Return a body in two colours."""

    @abstractmethod
    def reshaped(self, thing: Body) -> Body:
        """Return another body of about that size and colour."""

    @abstractmethod
    def placed(self, thing: Body, x: float | Floats, height: float | Floats, angle: float | Floats = 0.0) -> Floats:
        """Return the poses (T, V) of a thing whose middle is there; ``angle`` is counter-clockwise, radians."""

    @abstractmethod
    def simulate(
        self, thing: Body, x: float, height: float, speed: float, num_frames: int, against: tuple[Body, float] | None
    ) -> Floats:
        """Return the poses (frames, V) of a body that is let go, and may meet an obstacle that stands at some x."""

    @abstractmethod
    def screen(self, left: float, right: float, top: float, up: Floats) -> None:
        """Put a screen before what is between two x and below a height.

        ``up`` (T,) is from 0, where it is out of sight, to 1.
        """

    @abstractmethod
    def film(self, things: list[Body], poses: Floats, visible: NDArray[np.bool_]) -> Film:
        """Return a film of all things."""

    def instance(self) -> int:
        """Return the number of another thing."""
        self._instances += 1
        return self._instances

    def frame(self, share: float) -> int:
        """Return the number of the frame when a share of the film is over."""
        return round(share * self.num_frames)

    def up(self, start: float, end: float | None = None) -> Floats:
        """Return how far up a screen is that rises at a share of the film, and sinks at another."""
        lasts = 0.13
        rises = raised(self.share, start, lasts)
        return rises if end is None else rises - raised(self.share, end, lasts)

    def event(self, things: list[Body], first: Acting, second: Acting, switch: int) -> Event[Film]:
        """Return an event of these things and of all that is around."""
        every = self.others + things + [thing for thing, _ in self.screens]
        films = []
        for acting in (first, second):
            poses = np.concatenate([self.moved, acting.poses, *(poses[:, None] for _, poses in self.screens)], 1)
            there = np.ones((self.num_frames, len(every)), bool)
            there[:, len(self.others) : len(self.others) + len(things)] = acting.there
            films.append(self.film(every, poses, there))
        return Event(films[0], films[1], switch)

    def rest(self, thing: Body, x: float) -> Floats:
        """Return the poses (T, V) of what stays on the floor."""
        return self.placed(thing, x, thing.lowest)

    def passing(self, thing: Body, turns: bool) -> Floats:
        """Return poses (T, V) of what crosses the view, in the middle of it in the middle of the film."""
        x = self.direction * (self.side + thing.radius) * (2.2 * self.share - 1.1)
        return self.placed(thing, x, thing.lowest, -x / thing.radius if turns and thing.rolls else 0.0)


def event_of(category: str, stage: Stage[Body, Film]) -> Event[Film]:
    """Return an event of a category, on a stage of at least ``LEAST_SECONDS``.

    Args:
        category: one of ``CATEGORIES``.
        stage: a new one.
    """
    make = dict(zip(CATEGORIES, (_permanence, _continuity, _solidity, _gravity, _constancy), strict=True))[category]
    return make(stage)


def _hidden(stage: Stage[Body, Film], path: Floats, things: list[Body]) -> int:
    """Hide things on a path (T, V) for a while: where they lie, or while they cross the middle.

    Returns:
        The frame to switch in.
    """
    reach, height = max(thing.radius for thing in things), max(thing.lowest + thing.radius for thing in things)
    moves = np.ptp(path[:, 0]) > 0
    middle = stage.frame(0.5)
    x, step = float(path[middle, 0]), float(np.abs(np.diff(path[:, 0])).max())
    stage.screen(x - reach - step, x + reach + step, height, stage.up(0.02) if moves else stage.up(0.18, 0.65))
    return middle


def _permanence(stage: Stage[Body, Film]) -> Event[Film]:
    """There is a body, or none."""
    thing = stage.body()
    path = _path(stage, thing)
    switch = _hidden(stage, path, [thing])
    return stage.event([thing], Acting(path[:, None], (True,)), Acting(path[:, None], (False,)), switch)


def _path(stage: Stage[Body, Film], thing: Body, turns: bool = True) -> Floats:
    """Return poses of a body that lies somewhere, or crosses the view."""
    if stage.rng.uniform() < 0.5:
        return stage.rest(thing, stage.rng.uniform(-0.6, 0.6) * stage.side)
    return stage.passing(thing, turns)


def _constancy(stage: Stage[Body, Film]) -> Event[Film]:
    """A body has one shape and colour, or another of either."""
    thing = stage.body()
    one, other = stage.recolored(thing) if stage.rng.uniform() < 0.5 else (thing, stage.reshaped(thing))
    path = _path(stage, one, turns=False)
    paths = np.stack([path, stage.placed(other, path[:, 0], other.lowest)], 1)
    switch = _hidden(stage, path, [one, other])
    return stage.event([one, other], Acting(paths, (True, False)), Acting(paths, (False, True)), switch)


def _continuity(stage: Stage[Body, Film]) -> Event[Film]:
    """A body is behind the left screen or behind the right one, with a gap between; it lies there or falls there."""
    rng, thing = stage.rng, stage.body()
    xs = rng.uniform(0.42, 0.6) * stage.side * np.array([-1, 1])
    falls = rng.uniform() < 0.5
    top = thing.lowest + thing.radius + 0.2 * falls
    height: float | Floats = thing.lowest
    if falls:
        since = np.maximum(stage.times - stage.times[stage.frame(0.17)], 0)
        height = np.maximum(stage.sky + thing.radius - GRAVITY * since**2 / 2, thing.lowest)
    paths = [stage.placed(thing, x, height)[:, None] for x in xs]
    reach = min(thing.radius, 0.4 * stage.side - MARGIN)
    for x in xs:
        stage.screen(x - reach, x + reach, top, stage.up(0.02 if falls else 0.18, 0.65))
    return stage.event([thing], Acting(paths[0], (True,)), Acting(paths[1], (True,)), stage.frame(0.6))


def _solidity(stage: Stage[Body, Film]) -> Event[Film]:
    """A body meets a wall and comes back, or meets none and goes on."""
    rng = stage.rng
    thing = stage.body(str(rng.choice(stage.sliding)), 0.65)
    thing = replace(thing, elasticity=rng.uniform(0.75, 0.95), friction=0.0)
    width, height = rng.uniform(0.3, 0.5), rng.uniform(1.2, 2.2)
    wall = replace(stage.obstacle(width, height), friction=0.0)
    x = rng.uniform(-0.15, 0.15) * stage.side
    half = width / 2 + thing.half_width
    hit = 0.55 * stage.duration
    # It is out of sight at first.
    start = -stage.direction * (stage.side + 1.2 * thing.radius)
    speed = (x - stage.direction * half - start) / hit
    stands = stage.rest(wall, x)
    films = [
        np.stack([stage.simulate(thing, start, thing.lowest, speed, stage.num_frames, against), stands], 1)
        for against in ((wall, x), None)
    ]
    reach = half + thing.radius + abs(speed) / stage.frame_rate
    stage.screen(x - reach, x + reach, max(height, thing.lowest + thing.radius), stage.up(0.12))
    switch = int(np.floor(hit * stage.frame_rate))
    return stage.event([thing, wall], Acting(films[0], (True, True)), Acting(films[1], (True, False)), switch)


def _gravity(stage: Stage[Body, Film]) -> Event[Film]:
    """A body falls onto a pillar and stays there, or there is none and it falls to the floor."""
    rng, thing = stage.rng, stage.body()
    height = rng.uniform(max(1.6, thing.lowest + thing.radius + 0.3), 2.9)
    width = rng.uniform(1.4, 2.4)
    pillar = stage.obstacle(width, height)
    x = rng.uniform(-0.6, 0.6) * stage.side
    wait = stage.frame(0.42)
    stands, paths = stage.rest(pillar, x), []
    for against in ((pillar, x), None):
        falls = stage.simulate(thing, x, stage.sky + thing.radius, 0.0, stage.num_frames - wait, against)
        paths.append(np.stack([np.concatenate([np.repeat(falls[:1], wait, 0), falls]), stands], 1))
    landed = np.flatnonzero((paths[0][:, 0] != paths[1][:, 0]).any(1))
    reach = max(thing.radius, width / 2)
    stage.screen(x - reach, x + reach, height - MARGIN + 0.25, stage.up(0.15))
    return stage.event([thing, pillar], Acting(paths[0], (True, True)), Acting(paths[1], (True, False)), int(landed[0]))
