"""Trajectories that are in memory.

Letters: ``N`` trajectories, ``T`` frames of one, ``A`` numbers in an action.
"""

import hashlib
from collections.abc import Sequence
from numbers import Real
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from ..actions import ActionLayout
from .dataset import TrajectoryDataset, checked_index
from .frames import ArrayFrames
from .trajectory import Provenance, Trajectory


class InMemory(TrajectoryDataset):
    """Trajectories that are in memory."""

    def __init__(self, trajectories: Sequence[Trajectory]):
        self._trajectories = trajectories
        self.lengths = np.array([len(trajectory) for trajectory in trajectories], dtype=np.int64)

    def trajectory(self, index: int) -> Trajectory:
        """Return one trajectory."""
        return self._trajectories[checked_index(index, len(self))]


class ArrayDataset(InMemory):
    """A data set of arrays, as one has them after stepping an environment in a loop.

    Action ``t`` leads from frame ``t`` to ``t + 1``. Frames are not copied, so memory-mapped ones stay on disk; they
    must not change afterwards.

    Args:
        frames: of each trajectory (T, height, width, 3), uint8, all of one size.
        actions: of each trajectory (T - 1, A), in the environment's units.
        control_rate: actions per second, Hz.
        action_bounds: the lowest and the highest action of the environment, both (A,), infinite where it has no
            bound; None where they are not known. Where no bound is known, plans stay within what the actions were.
        action_space: of the environment, in place of its bounds, and needed where actions are no vectors: then they are
            (T - 1, …), as the space has them.

    Raises:
        ValueError: arrays that do not fit together, or actions that are not finite; it names the trajectory.
    """

    def __init__(
        self,
        frames: Sequence[NDArray[np.uint8]],
        actions: Sequence[NDArray[Any]],
        *,
        control_rate: float,
        action_bounds: tuple[Any, Any] | None = None,
        action_space: gym.Space[Any] | None = None,
    ):
        for name, value in (("frames", frames), ("actions", actions)):
            if not hasattr(value, "__len__"):
                raise TypeError(f"{name} must be a sequence of arrays, one for each trajectory; got {value!r}")
        if len(frames) != len(actions) or not len(frames):
            raise ValueError(
                f"expected frames and actions of as many trajectories, one or more; got frames of {len(frames)} and "
                f"actions of {len(actions)}"
            )
        rate: object = control_rate
        if not isinstance(rate, Real) or not 0 < control_rate < np.inf:
            raise ValueError(f"control_rate must be a number over 0, in actions per second; got {control_rate!r}")
        self._frames = [np.asanyarray(clip) for clip in frames]
        self._actions = [np.asarray(values) for values in actions]
        if action_space is not None:
            layout = ActionLayout.of(action_space)
            if action_bounds is not None:
                raise ValueError("action_space has the bounds of actions; leave action_bounds out")
            action_bounds = layout.bounds(action_space)
            for index, values in enumerate(self._actions):
                try:
                    self._actions[index] = layout.to_vectors(values)
                except ValueError as error:
                    raise ValueError(f"trajectory {index}: {error}") from error
            self.action_layout = None if layout.is_vector else layout
        self.control_rate, self.env_id = float(control_rate), None
        self.action_bounds = None
        trajectories: list[Trajectory] = []
        for index, clip in enumerate(self._frames):
            if clip.dtype != np.uint8 or clip.ndim != 4 or clip.shape[1:] != (*self._frames[0].shape[1:3], 3):
                raise ValueError(
                    f"trajectory {index}: frames must be uint8 (T, height, width, 3), all of one size; "
                    f"got {clip.dtype} of shape {clip.shape}"
                )
            values = self._actions[index]
            if values.ndim != 2 or values.dtype.kind != "f":
                raise ValueError(
                    f"trajectory {index}: actions must be floating-point numbers of shape (T - 1, A), got "
                    f"{values.dtype} of shape {values.shape}; turn quantities into floats, and give action_space where "
                    "they are choices or have another shape"
                )
            times = np.arange(len(clip)) / self.control_rate  # seconds from its first frame
            where = Provenance("arrays", Path("memory"), f"trajectory {index}")
            # It refuses what contradicts itself.
            trajectories.append(Trajectory(times=times, frames=ArrayFrames(clip), actions=values, provenance=where))
            if self._actions[index].shape[1:] != self._actions[0].shape[1:]:
                raise ValueError(
                    f"trajectory {index}: expected actions of {self._actions[0].shape[1]} numbers as before, "
                    f"got {self._actions[index].shape[1]}"
                )
        super().__init__(trajectories)
        if action_bounds is not None:
            try:
                low, high = (np.asarray(bound, np.float64) for bound in action_bounds)
            except (TypeError, ValueError) as error:
                raise TypeError(f"action_bounds must be two vectors of numbers, got {action_bounds!r}") from error
            if not low.shape == high.shape == self._actions[0].shape[1:] or not (low <= high).all():
                raise ValueError(
                    f"action_bounds must be a lower and a higher vector of {self._actions[0].shape[1]} numbers, "
                    f"got {low} and {high}"
                )
            self.action_bounds = (low, high)

    def fingerprint(self) -> str:
        """Return a digest of all frames and actions, and of what the actions mean."""
        layout = () if self.action_layout is None else (self.action_layout,)
        digest = hashlib.sha256(repr((self.control_rate, self.action_bounds, *layout)).encode())
        for arrays in (self._frames, self._actions):
            for array in arrays:
                digest.update(repr((array.shape, array.dtype.str)).encode())
                digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()
