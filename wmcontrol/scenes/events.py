"""Events behind screens, in films of which two are possible and two are not.

In each event two films differ in one thing, as whether there is a body, and for a time a screen hides the difference.
Both are possible. An impossible film begins as one of them and, while both look the same, goes on as the other. So each
beginning and each end is in as many possible films as impossible ones, and what adds up over frames, such as how much
they change, does not tell which films are possible. The scheme is that of IntPhys (arXiv 1803.07616).

Lengths along a film are shares of its duration, so that longer films are slower ones, but for what falls.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from .free import EYE, FOCAL, free_bodies, half_width, raised
from .looks import BODIES, backdrop, body, color, lowest, outline, slab
from .physics import simulate
from .records import CATEGORIES
from .scene import GRAVITY, LANES, Floats, Scene, Thing, disc

LEAST_SECONDS = 3.0  # that an event takes: what falls must be down in time
_MARGIN = 0.35  # metres that screens hide more than they must
_SCREEN = 10.0  # depth of screens


class Event(NamedTuple):
    """Two possible films of the same things.

    Attributes:
        first: one of them.
        second: the other.
        switch: from which frame on an impossible film is the other one; in the frame before both look the same.
    """

    first: Scene
    second: Scene
    switch: int

    def pair(self, swapped: bool) -> tuple[Scene, Scene]:
        """Return a possible film and an impossible one that begins like it: like the first, or ``swapped`` the second.

        The other end of the impossible one is that of the other film.
        """
        begins, ends = (self.second, self.first) if swapped else (self.first, self.second)
        s = self.switch
        return begins, begins._replace(
            poses=np.concatenate([begins.poses[:s], ends.poses[s:]]),
            visible=np.concatenate([begins.visible[:s], ends.visible[s:]]),
        )


def event_of(category: str, rng: np.random.Generator, num_frames: int, frame_rate: float, aspect: float) -> Event:
    """Return an event of a category, of at least ``LEAST_SECONDS``.

    Args:
        category: one of ``CATEGORIES``.
        rng: all randomness.
        num_frames: T.
        frame_rate: frames per second.
        aspect: width of a frame over its height.
    """
    return _MAKERS[category](_Set(rng, num_frames, frame_rate, aspect))


class _Set:
    """The place of an event: camera, backdrop, bodies that only distract; and what is put into it."""

    def __init__(self, rng: np.random.Generator, num_frames: int, frame_rate: float, aspect: float):
        self.rng, self.num_frames, self.frame_rate = rng, num_frames, frame_rate
        self.times = np.arange(num_frames) / frame_rate
        self.duration = num_frames / frame_rate
        self.share = self.times / self.duration  # of the film that is over
        self.depth = float(rng.choice(LANES[:2]))
        self.side = half_width(self.depth, aspect)
        self.direction = float(rng.choice([-1, 1]))
        zoom = (rng.uniform() < 0.5) * rng.uniform(-0.04, 0.04)
        focal = FOCAL * np.exp(zoom * (self.times - self.times.mean()))
        self.camera = np.stack([np.zeros(num_frames), np.full(num_frames, EYE), focal], -1)
        self.backdrop = backdrop(rng)
        count = int(rng.integers(0, 3))
        # Behind all else, so that they hide nothing.
        self.others, starts = free_bodies(rng, aspect, count, LANES[2:], [], np.empty((0, 3)), 1)
        self.moved = simulate(self.others, starts, [], np.empty((0, 3)), num_frames, frame_rate)
        self.screens: list[tuple[Thing, Floats]] = []
        self.next_instance = 1 + len(self.others)

    def instance(self) -> int:
        """Return the number of another thing."""
        self.next_instance += 1
        return self.next_instance - 1

    def frame(self, share: float) -> int:
        """Return the number of the frame when a share of the film is over."""
        return round(share * self.num_frames)

    def body(self, kind: str | None = None, largest: float = 0.8) -> Thing:
        """Return a body of the event, which does not bounce from the floor."""
        return replace(body(self.rng, self.instance(), self.depth, kind, largest), elasticity=0.0)

    def screen(self, left: float, right: float, top: float, up: Floats) -> None:
        """Put a screen before what is between two x and below a height, in the plane of the event.

        ``up`` (T,) is from 0, where it is out of sight, to 1.
        """
        nearer = _SCREEN / self.depth
        width = (right - left + 2 * _MARGIN) * nearer
        low = EYE - 0.8 * _SCREEN / FOCAL  # below the frame
        high = EYE + (top + _MARGIN - EYE) * nearer
        poses = np.zeros((self.num_frames, 3))
        poses[:, 0] = (left + right) / 2 * nearer
        poses[:, 1] = (low + high) / 2 - (1 - up) * (high - low)
        thing = slab(self.rng, "occluder", self.instance(), _SCREEN, width, high - low)
        self.screens.append((thing, poses))

    def up(self, start: float, end: float | None = None) -> Floats:
        """Return ``up`` of a screen that rises, at a share of the film, and sinks again at another."""
        lasts = 0.13
        rises = raised(self.share, start, lasts)
        return rises if end is None else rises - raised(self.share, end, lasts)

    def event(self, things: list[Thing], first: "_Film", second: "_Film", switch: int) -> Event:
        """Return an event of these things, whose poses and presence the films have, and of all that is around."""
        every = (*self.others, *things, *(thing for thing, _ in self.screens))
        films = []
        for film in (first, second):
            poses = np.concatenate([self.moved, film.poses, *(poses[:, None] for _, poses in self.screens)], 1)
            there = np.ones((self.num_frames, len(every)), bool)
            there[:, len(self.others) : len(self.others) + len(things)] = film.there
            films.append(Scene(every, poses, there, self.camera, self.times, self.backdrop))
        return Event(films[0], films[1], switch)

    def rest(self, x: float, y: float) -> Floats:
        """Return poses (T, 3) of what stays in a place."""
        return np.tile([x, y, 0.0], (self.num_frames, 1))

    def passing(self, thing: Thing, turns: bool) -> Floats:
        """Return poses (T, 3) of what crosses the view, in the middle of it in the middle of the film."""
        reach = self.side + thing.radius
        poses = self.rest(0.0, lowest(thing))
        poses[:, 0] = self.direction * reach * (2.2 * self.share - 1.1)
        if turns and thing.corners is None:
            poses[:, 2] = -poses[:, 0] / thing.radius
        return poses


class _Film(NamedTuple):
    poses: Floats  # (T, K, 3)
    there: tuple[bool, ...]  # (K,)


def _widest(*things: Thing) -> float:
    """Return how far things reach to either side of their middle, however turned."""
    return max(thing.radius for thing in things)


def _hidden(place: _Set, paths: Floats, things: list[Thing]) -> tuple[Floats, int]:
    """Hide things (T, 3) for a while: where they lie, or while they cross the middle.

    Returns:
        The poses, and the frame to switch in.
    """
    reach, height = _widest(*things), max(lowest(thing) + thing.radius for thing in things)
    moves = np.ptp(paths[:, 0]) > 0
    middle = place.frame(0.5)
    x, step = float(paths[middle, 0]), float(np.abs(np.diff(paths[:, 0])).max())
    up = place.up(0.02) if moves else place.up(0.18, 0.65)
    place.screen(x - reach - step, x + reach + step, height, up)
    return paths, middle


def _permanence(place: _Set) -> Event:
    """There is a body, or none."""
    thing = place.body()
    path = _path(place, thing)
    poses, switch = _hidden(place, path, [thing])
    return place.event([thing], _Film(poses[:, None], (True,)), _Film(poses[:, None], (False,)), switch)


def _path(place: _Set, thing: Thing, turns: bool = True) -> Floats:
    """Return poses of a body that lies somewhere, or crosses the view."""
    if place.rng.uniform() < 0.5:
        return place.rest(place.rng.uniform(-0.6, 0.6) * place.side, lowest(thing))
    return place.passing(thing, turns)


def _constancy(place: _Set) -> Event:
    """A body has one shape and colour, or another of either."""
    rng, thing = place.rng, place.body()
    if rng.uniform() < 0.5:
        hue, value = rng.uniform(), rng.uniform(0.75, 1.0)
        looks = [(color(h, 0.85, value), color(h, 0.85, 0.55 * value)) for h in (hue, hue + rng.uniform(0.3, 0.7))]
        one, other = (replace(thing, color=look, mark_color=mark) for look, mark in looks)
    else:
        kind = str(rng.choice([kind for kind in BODIES if kind != thing.kind]))
        size = thing.radius if thing.corners is None else float(np.abs(thing.corners).max())
        corners = outline(kind, size)
        one, other = (
            thing,
            replace(
                thing,
                kind=kind,
                corners=corners,
                radius=size if corners is None else float(np.linalg.norm(corners, axis=1).max()),
                mark=disc(size) if corners is None else 0.45 * corners + 0.2 * corners[:1],
            ),
        )
    path = _path(place, one, turns=False)
    paths = np.stack([path, path + [0, lowest(other) - lowest(one), 0]], 1)
    _, switch = _hidden(place, path, [one, other])
    return place.event([one, other], _Film(paths, (True, False)), _Film(paths, (False, True)), switch)


def _continuity(place: _Set) -> Event:
    """A body is behind the left screen or behind the right one, with a gap between; it lies there or falls there."""
    rng, thing = place.rng, place.body()
    xs = rng.uniform(0.42, 0.6) * place.side * np.array([-1, 1])
    falls = rng.uniform() < 0.5
    top = lowest(thing) + thing.radius + 0.2 * falls
    paths = []
    for x in xs:
        path = place.rest(x, lowest(thing))
        if falls:
            # It comes from above what is seen.
            since = place.times - place.times[place.frame(0.17)]
            height = EYE + 0.6 * place.depth / FOCAL + thing.radius
            fallen = np.where(since > 0, height - GRAVITY * since**2 / 2, height)
            path[:, 1] = np.maximum(fallen, lowest(thing))
        paths.append(path[:, None])
    reach = min(thing.radius, 0.4 * place.side - _MARGIN)
    for x in xs:
        place.screen(x - reach, x + reach, top, place.up(0.02 if falls else 0.18, 0.65))
    return place.event([thing], _Film(paths[0], (True,)), _Film(paths[1], (True,)), place.frame(0.6))


def _solidity(place: _Set) -> Event:
    """A body meets a wall and comes back, or meets none and goes on."""
    rng = place.rng
    # What meets a wall upright with its whole side does not topple.
    thing = place.body(str(rng.choice(["disc", "box"])), 0.65)
    thing = replace(thing, elasticity=rng.uniform(0.75, 0.95), friction=0.0)
    width, height = rng.uniform(0.3, 0.5), rng.uniform(1.2, 2.2)
    wall = replace(slab(rng, "obstacle", place.instance(), place.depth, width, height), friction=0.0)
    x = rng.uniform(-0.15, 0.15) * place.side
    half = width / 2 + (thing.radius if thing.corners is None else float(np.abs(thing.corners[:, 0]).max()))
    hit = 0.55 * place.duration
    # It is out of sight at first.
    start = -place.direction * (place.side + 1.2 * thing.radius)
    speed = (x - place.direction * half - start) / hit
    begin = np.array([[start, lowest(thing), 0.0, speed, 0.0, 0.0]])
    stands = np.array([[x, height / 2, 0.0]])
    back, on = (
        simulate([thing], begin, walls, places, place.num_frames, place.frame_rate)
        for walls, places in (([wall], stands), ([], stands[:0]))
    )
    films = [np.concatenate([path, np.tile(stands, (place.num_frames, 1, 1))], 1) for path in (back, on)]
    reach = half + thing.radius + abs(speed) / place.frame_rate
    place.screen(x - reach, x + reach, max(height, lowest(thing) + thing.radius), place.up(0.12))
    switch = int(np.floor(hit * place.frame_rate))
    return place.event([thing, wall], _Film(films[0], (True, True)), _Film(films[1], (True, False)), switch)


def _gravity(place: _Set) -> Event:
    """A body falls onto a pillar and stays there, or there is none and it falls to the floor."""
    rng, thing = place.rng, place.body()
    height = rng.uniform(max(1.6, lowest(thing) + thing.radius + 0.3), 2.9)
    width = rng.uniform(1.4, 2.4)
    pillar = slab(rng, "obstacle", place.instance(), place.depth, width, height)
    x = rng.uniform(-0.6, 0.6) * place.side
    above = EYE + 0.6 * place.depth / FOCAL + thing.radius
    wait = place.frame(0.42)
    start = np.array([[x, above, 0.0, 0.0, 0.0, 0.0]])
    paths = []
    for obstacles in ([pillar], []):
        places = np.array([[x, height / 2, 0.0]])[: len(obstacles)]
        falls = simulate([thing], start, obstacles, places, place.num_frames - wait, place.frame_rate)
        path = np.concatenate([np.repeat(falls[:1], wait, 0), falls])
        paths.append(np.concatenate([path, np.tile([[x, height / 2, 0.0]], (place.num_frames, 1, 1))], 1))
    landed = np.flatnonzero((paths[0][:, 0] != paths[1][:, 0]).any(1))
    reach = max(thing.radius, width / 2)
    place.screen(x - reach, x + reach, height - _MARGIN + 0.25, place.up(0.15))
    return place.event([thing, pillar], _Film(paths[0], (True, True)), _Film(paths[1], (True, False)), int(landed[0]))


_MAKERS: dict[str, Callable[[_Set], Event]] = dict(
    zip(CATEGORIES, (_permanence, _continuity, _solidity, _gravity, _constancy), strict=True)
)
