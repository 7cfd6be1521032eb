"""Wandering through Wall, and through its door from room to room, wherever wall and door are."""

import numpy as np

from ...envs.wall.physics import BORDER, HALF_WIDTH
from ..collecting import Script, View
from .common import Floats, lasting_noise

_CLEAR = 2.0  # how far before and behind the wall's faces the way through the door is straight, pixels
_NEAR = 1.0  # how near the door's middle line the dot must be to go through
_NEAR_INSIDE = 3.0  # the same when it is between the jambs
_MARGIN = 3.4  # targets keep this from wall and border, as starts and goals do
_PIXELS = 2.0  # that a whole action moves the dot by
_CORRELATION = 0.8
# Of Wall's data, DINO-WM's and eb_jepa's: the length of a step in units of action, a truncated normal distribution,
# and how much like the heading before the next is, von Mises' kappa.
_STEP, _STEP_STD, _STEP_RANGE = 1.0, 0.4, (0.2, 1.8)
_KAPPA = 5.0
_CROSSING = 0.25  # the share of episodes that begin by looking for the door


def way_through(place: Floats, target: Floats, wall: float, door: float, near: float = _NEAR) -> Floats:
    """Return where to head for next, from ``place`` to ``target`` (2,): before the door, behind it, or the target."""
    side = np.sign(target[0] - wall)  # of the wall, where the target is
    clear = HALF_WIDTH + _CLEAR
    if (place[0] - wall) * side > HALF_WIDTH:
        return target
    inside = abs(place[0] - wall) < HALF_WIDTH  # the doorway
    if abs(place[1] - door) < (_NEAR_INSIDE if inside else near):
        return np.array([wall + clear * side, door])
    if inside:
        return np.array([place[0] + 0.1 * side, door])
    return np.array([wall - clear * side, door])


class Door(Script):
    """Go to a random place in the other room, then to one in this, and so on: about every second leg crosses.

    The first leg always crosses. Each leg has a speed of its own, from 40 to 100 % of the action's range, and actions
    noise that lasts, of a strength that is drawn for each episode.
    """

    def __init__(self, num_frames: int, rng: np.random.Generator):
        super().__init__(num_frames)
        self._rng = rng
        self._noise = iter(rng.uniform(0, 0.4) * lasting_noise(rng, num_frames - 1, 2, _CORRELATION))
        self._target: Floats | None = None
        self._speed = 1.0

    def act(self, view: View) -> Floats:
        """Head for the next place on the way."""
        place = view.state
        wall, door = (float(view.variation[name][0]) for name in ("wall_position", "door_position"))
        if self._target is None or np.linalg.norm(place - self._target) < _PIXELS:
            other = self._target is None or self._rng.random() < 0.5
            right = (place[0] < wall) == other
            low = np.array([wall + HALF_WIDTH if right else BORDER[0], BORDER[0]]) + _MARGIN
            high = np.array([BORDER[1] if right else wall - HALF_WIDTH, BORDER[1]]) - _MARGIN
            self._target, self._speed = self._rng.uniform(low, high), self._rng.uniform(0.4, 1)
        way = (way_through(place, self._target, wall, door) - place) / _PIXELS
        return np.asarray(way * min(1.0, self._speed / max(1e-9, float(np.abs(way).max()))) + next(self._noise))


class Drifting(Script):
    """A walk through Wall that keeps its heading for a while.

    The heading of each action is that of the last one turned by a von Mises draw of kappa 5, its length a normal draw
    of mean 1 and standard deviation 0.4 between 0.2 and 1.8, as in the data of DINO-WM and eb_jepa. The environment
    clips actions to its box and moves the dot by two pixels for each unit. Since few such walks find the door, in a
    quarter of the episodes the heading is drawn around the way through it until the dot is in the other room.
    """

    def __init__(self, num_frames: int, rng: np.random.Generator):
        super().__init__(num_frames)
        self._crosses = rng.random() < _CROSSING
        self._heading = rng.uniform(-np.pi, np.pi)
        self._steps = truncated_steps(rng, num_frames - 1).tolist()
        self._turns = rng.vonmises(0, _KAPPA, num_frames - 1).tolist()
        self._beyond: Floats | None = None  # a place in the other room

    def act(self, view: View) -> Floats:
        """Turn a little, and go on."""
        if self._crosses:
            self._head_for_door(view)
        self._heading += self._turns.pop()
        step = self._steps.pop()
        return np.array([step * np.cos(self._heading), step * np.sin(self._heading)])

    def _head_for_door(self, view: View) -> None:
        wall, door = (float(view.variation[name][0]) for name in ("wall_position", "door_position"))
        if self._beyond is None:
            self._beyond = np.array([wall + np.copysign(10, wall - view.state[0]), door])
        x, y = way_through(view.state, self._beyond, wall, door, near=3.0) - view.state
        self._heading = np.arctan2(y, x)
        self._crosses = (view.state[0] - wall) * (self._beyond[0] - wall) < 0 or abs(view.state[0] - wall) < 4


def truncated_steps(rng: np.random.Generator, count: int) -> Floats:
    """Draw lengths of steps (count,) in units of action, those beyond the range anew."""
    steps = rng.normal(_STEP, _STEP_STD, count)
    while (outside := (steps < _STEP_RANGE[0]) | (steps > _STEP_RANGE[1])).any():
        steps[outside] = rng.normal(_STEP, _STEP_STD, outside.sum())
    return steps
