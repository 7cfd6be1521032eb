"""Trajectories in Wall that are known beforehand."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import gymnasium as gym
import numpy as np

from wmcontrol.data import Provenance, Trajectory, TrajectoryDataset


class Walks(TrajectoryDataset):
    """Walks in the left room of Wall, each straight on, the first of them standing still if asked."""

    control_rate = 10.0
    env_id = "wmcontrol/Wall-v0"
    action_bounds = (-np.ones(2), np.ones(2))

    def __init__(self, count: int = 6, frames: int = 41, still: int = 0, settings: Mapping[str, Any] | None = None):
        self.lengths = np.full(count, frames)
        self.still = still
        self.env_settings = MappingProxyType(dict(settings or {}))

    def trajectory(self, index: int) -> Trajectory:
        rng = np.random.default_rng(index)
        count = int(self.lengths[index])
        action = rng.uniform(0.15, 0.25, 2) * np.array([1, rng.choice([-1, 1])])
        if index < self.still:
            action = np.zeros(2)
        env: Any = gym.make("wmcontrol/Wall-v0", obs_type="state", disable_env_checker=True).unwrapped
        variation = {"agent_color": np.array([200.0, 0, 0]), "wall_position": np.array([36.0])}
        env.reset(seed=0, options={"state": rng.uniform((8, 28), (10, 32)), "variation": variation})
        states, actions = [env.get_state()], []
        for _ in range(count - 1):
            actions.append(action)
            env.step(actions[-1])
            states.append(env.get_state())
        return Trajectory(
            times=np.arange(count) / 10,
            provenance=Provenance("walks", Path("walks"), f"episode_{index}"),
            states=np.stack(states),
            actions=np.stack(actions),
            variation=variation,
        )

    def fingerprint(self) -> str:
        return "walks"
