"""Trajectories that are in memory.

Letters: ``N`` trajectories, ``T`` frames of one, ``A`` numbers in an action.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from ..actions import ActionLayout
from .dataset import TrajectoryDataset, checked_index
from .environment import DrawnFrames, Environment
from .formats.reading import as_floats, checked_rate
from .frames import ArrayFrames, ImageSize, checked_size, resized, side_of
from .trajectory import Floats, Provenance, Trajectory


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
    must not change afterwards. Without frames they are drawn from the states, by an environment of ours.

    Args:
        frames: of each trajectory (T, height, width, 3), uint8, all of one size.
        actions: of each trajectory (T - 1, A), in the environment's units; None where nobody knows them.
        states: of each trajectory (T, n), as the environment's ``get_state()`` where it is one of ours.
        control_rate: actions per second, Hz; that of the environment where it is one of ours.
        action_bounds: the lowest and the highest action of the environment, both (A,), infinite where it has no
            bound; None: the environment's, or not known. Where no bound is known, plans stay within what the actions
            were.
        action_space: of the environment, in place of its bounds, and needed where actions are no vectors: then they are
            (T - 1, …), as the space has them.
        rewards: of each trajectory (T - 1,), what each action was given; None where there are none.
        env_id: of the environment.
        env_settings: what it was made with.
        image_size: to which frames are resized, or in which they are drawn, pixels: one side, or height and width.

    Raises:
        ValueError: arrays that do not fit together or the environment, or that are not finite; it names the trajectory.
    """

    def __init__(
        self,
        frames: Sequence[NDArray[np.uint8]] | None = None,
        actions: Sequence[NDArray[Any]] | None = None,
        *,
        states: Sequence[NDArray[Any]] | None = None,
        control_rate: float | None = None,
        action_bounds: tuple[Any, Any] | None = None,
        action_space: gym.Space[Any] | None = None,
        rewards: Sequence[NDArray[Any]] | None = None,
        env_id: str | None = None,
        env_settings: Mapping[str, Any] = MappingProxyType({}),
        image_size: ImageSize | None = None,
    ):
        given: dict[str, Any] = {"frames": frames, "states": states, "actions": actions, "rewards": rewards}
        counts = {name: len(value) for name, value in given.items() if _has_length(name, value)}
        if len(set(counts.values())) != 1 or 0 in counts.values():
            raise ValueError(f"expected arrays of as many trajectories, one or more; got {counts}")
        environment = Environment.of(env_id, env_settings)
        if frames is None and (states is None or environment is None):
            raise ValueError("give frames, or states and the env_id of an environment that draws them")
        self.control_rate, self.env_id = checked_rate(control_rate, environment, "ArrayDataset"), env_id
        self.env_settings = environment.settings if environment else dict(env_settings)
        self._frames = None if frames is None else [np.asanyarray(clip) for clip in frames]
        self._actions = None if actions is None else [np.asarray(values) for values in actions]
        self._states = None if states is None else [np.asarray(values) for values in states]
        self._rewards = None if rewards is None else [np.asarray(values) for values in rewards]
        self._size: Any = side_of(image_size) if frames is None else checked_size(image_size)
        if action_space is not None:
            if action_bounds is not None:
                raise ValueError("action_space has the bounds of actions; leave action_bounds out")
            action_bounds = self._take_layout(action_space)
        elif action_bounds is None and environment:
            action_bounds = environment.action_bounds
        super().__init__([self._trajectory(index, environment) for index in range(counts.popitem()[1])])
        self.action_bounds = None
        if action_bounds is not None and self._actions:
            self.action_bounds = _bounds(action_bounds, self._actions[0].shape[1:])

    def _take_layout(self, space: gym.Space[Any]) -> tuple[Any, Any]:
        """Turn actions of a space into vectors, and return their bounds."""
        layout = ActionLayout.of(space)
        for index, values in enumerate(self._actions or []):
            try:
                self._actions[index] = layout.to_vectors(values)  # type: ignore[index]
            except ValueError as error:
                raise ValueError(f"trajectory {index}: {error}") from error
        self.action_layout = None if layout.is_vector else layout
        return layout.bounds(space)

    def _trajectory(self, index: int, environment: Environment | None) -> Trajectory:
        """Return a trajectory, which refuses what contradicts itself."""
        where, found = Provenance("arrays", Path("memory"), f"trajectory {index}"), dict[str, Any]()
        if self._states:
            found["states"] = self._states[index]
            if environment:
                environment.check_states(np.atleast_2d(found["states"]).shape[1], f"trajectory {index}: states")
        if self._frames:
            clip, first = self._frames[index], self._frames[0]
            if clip.dtype != np.uint8 or clip.ndim != 4 or clip.shape[1:] != (*first.shape[1:3], 3):
                raise ValueError(
                    f"trajectory {index}: frames must be uint8 (T, height, width, 3), all of one size; "
                    f"got {clip.dtype} of shape {clip.shape}"
                )
            found["frames"], T = resized(ArrayFrames(clip), self._size), len(clip)
        else:
            T, states = len(found["states"]), as_floats(found["states"], f"trajectory {index}: states")
            found["frames"] = DrawnFrames(str(self.env_id), states, self._size, {}, self.env_settings)
        if self._actions:
            values, first = self._actions[index], self._actions[0]
            if values.ndim != 2 or values.dtype.kind != "f":
                raise ValueError(
                    f"trajectory {index}: actions must be floating-point numbers of shape (T - 1, A), got "
                    f"{values.dtype} of shape {values.shape}; turn quantities into floats, and give action_space where "
                    "they are choices or have another shape"
                )
            if environment:
                environment.check_actions(values.shape[1], f"trajectory {index}: actions")
            if values.shape[1:] != first.shape[1:]:
                raise ValueError(
                    f"trajectory {index}: expected actions of {first.shape[1]} numbers as before, got {values.shape[1]}"
                )
            found["actions"] = values
        if self._rewards:
            found["rewards"] = self._rewards[index]
        return Trajectory(times=np.arange(T) / self.control_rate, provenance=where, **found)

    def fingerprint(self) -> str:
        """Return a digest of all frames, actions and rewards, and of what the actions mean."""
        settings = (self.action_layout, self.env_id, sorted(self.env_settings.items()), self._size)
        digest = hashlib.sha256(repr((self.control_rate, self.action_bounds, *settings)).encode())
        if self._frames is None:
            digest.update(np.asarray(self.trajectory(0).frames).tobytes())  # as the environment draws today
        for arrays in (self._frames, self._states, self._actions, *([self._rewards] if self._rewards else [])):
            digest.update(repr(arrays is None).encode())
            for array in arrays or []:
                digest.update(repr((array.shape, array.dtype.str)).encode())
                digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()


def _has_length(name: str, value: object) -> bool:
    """Say whether arrays are given; a TypeError where they are no sequence."""
    if value is not None and not hasattr(value, "__len__"):
        raise TypeError(f"{name} must be a sequence of arrays, one for each trajectory; got {value!r}")
    return value is not None


def _bounds(given: Any, shape: tuple[int, ...]) -> tuple[Floats, Floats]:
    """Return bounds of actions, of that shape each."""
    try:
        low, high = (np.asarray(bound, np.float64) for bound in given)
    except (TypeError, ValueError) as error:
        raise TypeError(f"action_bounds must be two vectors of numbers, got {given!r}") from error
    if not low.shape == high.shape == shape or not (low <= high).all():
        raise ValueError(
            f"action_bounds must be a lower and a higher vector of {shape[0]} numbers, got {low} and {high}"
        )
    return low, high
