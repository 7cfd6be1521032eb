"""Baselines: no-op and random actions."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from ..actions import ActionLayout, draw_actions
from ..checks import check_whole
from .observations import batch_size


class NoOpAgent:
    """The no-op baseline: the action is always zero.

    Args:
        action_space: of one environment.

    Raises:
        TypeError: it is no space that actions can be planned in, as :class:`~wmcontrol.actions.ActionLayout` has them.
        ValueError: zero is not well inside its bounds, so that it is no no-op, as where actions are places to go to or
            choices.
    """

    def __init__(self, action_space: gym.Space[Any]):
        low, high = ActionLayout.of(action_space).bounds(action_space)
        if not ((low < 0) & (high > 0)).all():
            raise ValueError(
                f"zero must lie between the bounds of actions, to mean doing nothing; they are {action_space}"
            )
        self.action_space = action_space

    def predict(
        self, observation: Any, state: None = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[NDArray[Any], None]:
        """Return zeros, of the shape of the action space or (B, …), and no state."""
        rows, batched = batch_size(observation)
        actions = np.zeros((rows, *(self.action_space.shape or ())), self.action_space.dtype)
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
        TypeError: the space is none that actions can be planned in.
        ValueError: it has no bounds.
    """

    def __init__(self, action_space: gym.Space[Any], seed: int = 0):
        draw_actions(action_space, 1, np.random.default_rng(0))  # refused here, if at all
        self.action_space = action_space
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
        """Return random actions, of the shape of the action space or (B, …), and the state for the next call."""
        rows, batched = batch_size(observation)
        state = self.start(range(rows)) if state is None else state
        if len(state.seeds) != rows:
            raise ValueError(f"the state is of {len(state.seeds)} environments, the observation of {rows}")
        generators = [np.random.default_rng((*seed, state.steps)) for seed in state.seeds]
        drawn = np.concatenate([draw_actions(self.action_space, 1, generator) for generator in generators])
        actions = drawn.astype(self.action_space.dtype)
        if isinstance(self.action_space, gym.spaces.Box):
            actions = np.clip(actions, self.action_space.low, self.action_space.high)
        return (actions if batched else actions[0]), RandomState(state.seeds, state.steps + 1)
