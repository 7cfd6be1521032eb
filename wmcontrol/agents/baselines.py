"""Baselines: no-op and random actions."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from ..checks import check_whole
from ..envs.making import check_actions
from .observations import batch_size


class NoOpAgent:
    """The no-op baseline: the action is always zero.

    Args:
        action_space: of one environment.

    Raises:
        TypeError: it is no Box of floating-point numbers of shape (a,).
        ValueError: zero is not well inside its bounds, so that it is no no-op, as where actions are places to go to.
    """

    def __init__(self, action_space: gym.Space[Any]):
        self.action_space = check_actions(action_space)
        if not ((self.action_space.low < 0) & (self.action_space.high > 0)).all():
            raise ValueError(
                f"zero must lie between the bounds of actions, to mean doing nothing; they are "
                f"{self.action_space.low.tolist()} and {self.action_space.high.tolist()}"
            )

    def predict(
        self, observation: Any, state: None = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[NDArray[Any], None]:
        """Return zeros, (a,) or (B, a), and no state."""
        rows, batched = batch_size(observation)
        actions = np.zeros((rows, *self.action_space.shape), self.action_space.dtype)
        return (actions if batched else actions[0]), None


@dataclass(frozen=True)
class RandomState:
    """How often each environment was acted in; random numbers are a function of that and the seeds."""

    seeds: tuple[tuple[int, int], ...]
    steps: int = 0


class RandomAgent:
    """Draws actions uniformly within their bounds, for each environment from a seed of its own.

    Args:
        action_space: of one environment.
        seed: the same seed, the same actions.

    Raises:
        TypeError: the space is no Box of floating-point numbers of shape (a,).
        ValueError: it has no bounds.
    """

    def __init__(self, action_space: gym.Space[Any], seed: int = 0):
        self.action_space = check_actions(action_space)
        if not self.action_space.is_bounded():
            raise ValueError(f"actions must have bounds to be drawn between, got {self.action_space}")
        check_whole("seed", seed, least=0)
        self.seed = int(seed)

    def start(self, seeds: Iterable[int]) -> RandomState:
        """Return the state before the first call for environments with these seeds; else ``i`` has the seed ``i``."""
        return RandomState(tuple((self.seed, int(seed)) for seed in seeds))

    def predict(
        self,
        observation: Any,
        state: RandomState | None = None,
        episode_start: Any = None,
        deterministic: bool = True,
    ) -> tuple[NDArray[Any], RandomState]:
        """Return random actions, (a,) or (B, a), and the state for the next call."""
        rows, batched = batch_size(observation)
        state = self.start(range(rows)) if state is None else state
        if len(state.seeds) != rows:
            raise ValueError(f"the state is of {len(state.seeds)} environments, the observation of {rows}")
        low, high = self.action_space.low, self.action_space.high
        generators = [np.random.default_rng((*seed, state.steps)) for seed in state.seeds]
        drawn = [generator.uniform(low.astype(np.float64), high.astype(np.float64)) for generator in generators]
        actions = np.clip(np.stack(drawn).astype(self.action_space.dtype), low, high)
        return (actions if batched else actions[0]), RandomState(state.seeds, state.steps + 1)
