"""The HDF5 files of stable-worldmodel, which LeWM is trained on (arXiv 2603.19312).

One data set per column, the rows of all episodes one after the other, and two that say where episodes are:
``ep_offset`` and ``ep_len`` (N,). ``pixels`` are uint8, (F, height, width, 3) or (F, 3, height, width). Row ``t`` of
``action`` is what was done at frame ``t``: when an episode is recorded its actions are shifted by one, and the last is
NaN.
"""

from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..dataset import TrajectoryDataset, checked_index
from ..environment import Environment
from ..frames import ImageSize, ReadFrames, checked_size, resized
from ..trajectory import Provenance, Trajectory
from .hdf5_file import Hdf5Group, is_hdf5, open_hdf5, reading
from .reading import PerProcess, as_floats, checked_lengths, checked_rate, fingerprint

_WHERE = ("ep_offset", "ep_len")


def recognises(path: Path) -> bool:
    """Whether this is an HDF5 file that says where episodes begin and how long they are.

    Raises:
        OSError: it is an HDF5 file, but not a whole one.
    """
    return is_hdf5(path) and any(name in open_hdf5(path) for name in _WHERE)


class LeWM(TrajectoryDataset):
    """A file of stable-worldmodel's, as ``pusht_expert_train.h5`` or ``tworoom.h5``.

    States are the column ``state``, or where there is none ``proprio``. The file does not say which environment it is
    of, nor how many actions there were per second: give ``env_id``, which says both and the bounds of the actions, or
    ``control_rate``.

    Files compressed by Blosc, as some are, need ``pip install hdf5plugin`` besides.

    Args:
        path: the file.
        control_rate: actions per second, Hz; that of the environment where it is one of ours.
        env_id: of the environment.
        env_settings: what the environment was made with, such as ``{"action_mode": "absolute"}``.
        image_size: of the frames, pixels, to which they are resized: one side, or height and width.

    Raises:
        OSError: it cannot be read, or a column is missing.
        ValueError: columns of the wrong kind, episodes that reach beyond them or overlap, no control rate or one that
            is not the environment's, or states that are not the environment's.
    """

    def __init__(
        self,
        path: str | Path,
        control_rate: float | None = None,
        env_id: str | None = None,
        *,
        env_settings: Mapping[str, Any] = MappingProxyType({}),
        image_size: ImageSize | None = None,
    ):
        self._size = checked_size(image_size)
        with suppress(ImportError):
            import hdf5plugin  # type: ignore[import-not-found]  # noqa: F401  it registers its filters
        self.path = Path(path)
        self._file = PerProcess(partial(open_hdf5, self.path))
        root = self._file.get()
        for name in ("pixels", "action", *_WHERE):
            if name not in root:
                raise OSError(f"{self.path}: column {name} is missing: LeWM's layout has it; it has {list(root)}")
        self._states = next((name for name in ("state", "proprio") if name in root), None)
        columns = {name: self._column(name) for name in ("pixels", "action", *_WHERE, self._states) if name}
        with reading(self.path, "ep_len and ep_offset"):
            self.lengths = checked_lengths(self.path / "ep_len", columns["ep_len"][:])
            self._starts = np.asarray(columns["ep_offset"][:])
        shape, dtype = columns["pixels"].shape, columns["pixels"].dtype
        if len(shape) != 4 or 3 not in (shape[1], shape[3]) or dtype != np.uint8:
            raise ValueError(f"{self.path}: pixels must be uint8 with 3 channels, got {dtype} of shape {shape}")
        self._check_places({name: len(column) for name, column in columns.items() if name not in _WHERE})
        environment = Environment.of(env_id, env_settings)
        self.control_rate = checked_rate(control_rate, environment, self.path)
        self.env_id = env_id
        self.env_settings = environment.settings if environment else dict(env_settings)
        self.action_bounds = environment.action_bounds if environment else None
        if environment:
            shape = columns["action"].shape
            environment.check_actions(shape[1] if len(shape) == 2 else 1, f"{self.path}: column action")
        if environment and self._states:
            shape = columns[self._states].shape
            environment.check_states(shape[1] if len(shape) == 2 else 1, f"{self.path}: column {self._states}")

    def trajectory(self, index: int) -> Trajectory:
        """Return one trajectory, its frames unread."""
        index = checked_index(index, len(self))
        start, T = int(self._starts[index]), int(self.lengths[index])
        provenance = Provenance("LeWM", self.path, f"episode_{index}")
        root, states = self._file.get(), None
        with reading(self.path, provenance.record):
            actions = as_floats(root["action"][start : start + T - 1], f"{provenance}: action")
            if self._states:
                states = as_floats(root[self._states][start : start + T], f"{provenance}: {self._states}")
        return Trajectory(
            times=np.arange(T) / self.control_rate,
            provenance=provenance,
            frames=resized(ReadFrames(T, provenance, partial(_pixels, self._file, start, provenance)), self._size),
            states=states,
            actions=actions,
        )

    def fingerprint(self) -> str:
        """Return a digest of the file's name and content, and of the settings."""
        settings = {"control_rate": self.control_rate, "env_id": self.env_id, "env_settings": self.env_settings}
        return fingerprint("LeWM", [self.path], {**settings, "image_size": self._size})

    def _column(self, name: str) -> Any:
        column = self._file.get()[name]
        if not getattr(column, "shape", ()):
            raise ValueError(f"{self.path}: {name} must have a row for each frame or episode, got {column!r}")
        return column

    def _check_places(self, rows: dict[str, int]) -> None:
        if self._starts.shape != self.lengths.shape or self._starts.dtype.kind not in "iu":
            raise ValueError(
                f"{self.path}: expected {len(self.lengths)} whole numbers in ep_offset, as many as in ep_len, got "
                f"{self._starts.dtype} of shape {self._starts.shape}"
            )
        order = np.argsort(self._starts, kind="stable")
        starts, ends = self._starts[order], (self._starts + self.lengths)[order]
        for episode, start, before in zip(order, starts, [0, *ends[:-1]], strict=True):
            if start < before:
                raise ValueError(
                    f"{self.path}: episode_{episode} begins in row {start}, where the one before it still goes on"
                )
        for name, found in rows.items():
            if found < ends[-1]:
                raise ValueError(
                    f"{self.path}: episode_{order[-1]} ends with row {ends[-1] - 1}, but {name} has {found} rows"
                )


def _pixels(file: PerProcess[Hdf5Group], start: int, where: Provenance, asked: NDArray[np.int64]) -> NDArray[Any]:
    """Return frames of an episode, among those of all."""
    rows, places = np.unique(asked, return_inverse=True)
    pixels = file.get()["pixels"]
    with reading(where.path, f"{where.record}, pixels"):
        # Rising numbers, each once, are what HDF5 can pick; a list of them it picks slowly.
        frames = np.stack([pixels[start + row] for row in rows]) if len(rows) else pixels[:0]
    frames = frames if pixels.shape[-1] == 3 else np.moveaxis(frames, 1, -1)
    return np.asarray(frames[places])
