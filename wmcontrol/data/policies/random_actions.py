"""Random actions, as the references collect with."""

import gymnasium as gym
import numpy as np

from ..collecting import View
from .common import Floats, ScriptBase
from .wall_door import way_through

# Of Wall's data, DINO-WM's and eb_jepa's: the length of a step in units of action, a truncated normal distribution,
# and how much like the heading before the next is, von Mises' kappa.
_STEP, _STEP_STD, _STEP_RANGE = 1.0, 0.4, (0.2, 1.8)
_KAPPA = 5.0
_CROSSING = 0.25  # the share of episodes that begin by looking for the door


class Uniform(ScriptBase):
    """Every action is drawn uniformly within the bounds of ``space``, and independently of the one before.

    Args:
        num_frames: of the episode.
        rng: draws everything.
        space: what actions there are.
        hold: how many steps an action lasts, on average; how many is drawn for each.
    """

    def __init__(self, num_frames: int, rng: np.random.Generator, space: gym.spaces.Box, hold: float = 1):
        super().__init__(num_frames)
        actions = rng.uniform(space.low, space.high, (num_frames - 1, *space.shape))
        if hold > 1:
            begins = np.insert(rng.random(num_frames - 2) < 1 / hold, 0, True)
            actions = actions[np.flatnonzero(begins)[np.cumsum(begins) - 1]]
        self._actions = iter(actions)

    def act(self, view: View) -> Floats:
        """Return the next of the actions that were drawn beforehand."""
        return next(self._actions)


class Drifting(ScriptBase):
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
