"""A small data set in memory."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wmcontrol.data import ArrayFrames, Provenance, Trajectory, TrajectoryDataset


class Memory(TrajectoryDataset):
    """Random walks: every number of them, and every pixel, follows from the seed."""

    def __init__(
        self, lengths: Sequence[int] = (7, 12, 5, 9), seed: int = 0, size: int = 16, with_actions: bool = True
    ):
        self.lengths = np.array(lengths, dtype=np.int64)
        self.control_rate = 10.0
        self.env_id = None
        self.action_bounds = None
        self.seed, self.size, self.with_actions = seed, size, with_actions

    def trajectory(self, index: int) -> Trajectory:
        if not 0 <= index < len(self):
            raise IndexError(index)
        T, rng = int(self.lengths[index]), np.random.default_rng([self.seed, index])
        actions = rng.normal(size=(T - 1, 2))
        states = np.concatenate([np.zeros((1, 2)), actions.cumsum(0)])
        frames: NDArray[np.uint8] = rng.integers(0, 256, (T, self.size, self.size, 3), dtype=np.uint8)
        return Trajectory(
            times=np.arange(T) / 10.0,
            provenance=Provenance("memory", Path("nowhere"), f"walk_{index}"),
            frames=ArrayFrames(frames),
            states=states,
            actions=actions if self.with_actions else None,
        )

    def fingerprint(self) -> str:
        content = (self.seed, self.size, self.with_actions, self.lengths.tolist())
        return hashlib.sha256(repr(content).encode()).hexdigest()
