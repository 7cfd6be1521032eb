"""What agents are given in environments of any kind: the sums of rewards of whole episodes."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from ..checks import check_whole


@dataclass(frozen=True)
class Returns:
    """Sums of rewards.

    Attributes:
        values: (N,) of each episode, in the order of their seeds.
        lengths: (N,) steps of each.
    """

    values: NDArray[np.float64]
    lengths: NDArray[np.int64]

    @property
    def mean(self) -> float:
        """Of all episodes."""
        return float(self.values.mean())

    def interval(self, confidence: float = 0.95, seed: int = 0) -> tuple[float, float]:
        """Return an interval for the mean by bootstrap over episodes, percentiles of 10,000 resamples."""
        rng = np.random.default_rng(seed)
        means = rng.choice(self.values, (10_000, len(self.values))).mean(1)
        low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
        return float(low), float(high)

    def __str__(self) -> str:
        low, high = self.interval()
        return f"{self.mean:.1f} [{low:.1f}, {high:.1f}] over {len(self.values)} episodes"


def evaluate_returns(
    agent: Any,
    make: Callable[[], gym.Env[Any, Any]],
    num_episodes: int,
    *,
    seed: int = 0,
    batch: int = 16,
    progress: Callable[[int, int], None] | None = None,
) -> Returns:
    """Let an agent act in whole episodes, each until it ends or is truncated, and sum the rewards.

    The episodes' seeds are ``seed``, ``seed + 1`` and so on, so that agents with the same seed have the same starts.

    Args:
        agent: whatever has the ``predict`` of Stable-Baselines3.
        make: returns the environment, whose observations are arrays or flat dicts; it must truncate or end by itself.
        num_episodes: how many. For example 20.
        seed: of the first; of the agent's random numbers too, where it takes seeds. For example 1000.
        batch: episodes that run side by side. For example 8.
        progress: is told how many episodes are done, of how many.
    """
    check_whole("num_episodes", num_episodes)
    check_whole("batch", batch)
    check_whole("seed", seed, least=0)
    values, lengths = np.zeros(num_episodes), np.zeros(num_episodes, np.int64)
    with ExitStack() as stack:
        envs = [stack.enter_context(closing(make())) for _ in range(min(batch, num_episodes))]
        for begin in range(0, num_episodes, batch):
            numbers = range(begin, min(begin + batch, num_episodes))
            seen = [env.reset(seed=seed + number)[0] for env, number in zip(envs, numbers, strict=False)]
            state = agent.start([seed + number for number in numbers]) if hasattr(agent, "start") else None
            running, first = np.ones(len(numbers), bool), np.ones(len(numbers), bool)
            while running.any():
                actions, state = agent.predict(_stacked(seen), state=state, episode_start=first, deterministic=True)
                first = np.zeros(len(numbers), bool)
                for row in np.flatnonzero(running):
                    seen[row], reward, terminated, truncated, _ = envs[row].step(actions[row])
                    values[begin + row] += float(reward)
                    lengths[begin + row] += 1
                    running[row] = not (terminated or truncated)
            if progress is not None:
                progress(numbers.stop, num_episodes)
    return Returns(values, lengths)


def _stacked(seen: list[Any]) -> Any:
    if isinstance(seen[0], Mapping):
        return {key: np.stack([one[key] for one in seen]) for key in seen[0]}
    return np.stack(seen)
