"""What the policies for collecting share, and the one that acts at random in any environment."""

from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from ...actions import draw_actions
from ..collecting import Script, View

Floats = NDArray[np.float64]


def lasting_noise(rng: np.random.Generator, count: int, size: int, correlation: float) -> Floats:
    """Draw ``count`` numbers (count, size) of unit variance, each like the one before by ``correlation``."""
    noise = rng.standard_normal((count, size))
    for i in range(1, count):
        noise[i] = correlation * noise[i - 1] + np.sqrt(1 - correlation**2) * noise[i]
    return noise


class Uniform(Script):
    """Every action is drawn uniformly within the bounds of ``space``, and independently of the one before.

    Args:
        num_frames: of the episode.
        rng: draws everything.
        space: what actions there are.
        hold: how many steps an action lasts, on average; how many is drawn for each.
    """

    def __init__(self, num_frames: int, rng: np.random.Generator, space: gym.Space[Any], hold: float = 1):
        super().__init__(num_frames)
        actions = draw_actions(space, num_frames - 1, rng)
        if hold > 1:
            begins = np.insert(rng.random(num_frames - 2) < 1 / hold, 0, True)
            actions = actions[np.flatnonzero(begins)[np.cumsum(begins) - 1]]
        self._actions = iter(actions)

    def act(self, view: View) -> NDArray[Any]:
        """Return the next of the actions that were drawn beforehand."""
        return next(self._actions)
