"""Diffusion Policy's replay buffers of Push-T (Chi et al., 2023): zarr, in a folder or in one zip file.

``data/img`` (F, height, width, 3), ``data/state`` (F, 5) recorded before each step, ``data/action`` (F, 2), and
``meta/episode_ends`` (N,), where ``F`` counts the frames of all episodes, one after the other.
"""

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..dataset import TrajectoryDataset
from ..fingerprint import fingerprint
from ..resized import ImageSize, height_and_width, resized
from ..trajectory import Floats, Pixels, Provenance, Trajectory
from .reading import PerProcess, as_floats, as_pixels, checked_index, checked_lengths, checked_rows, import_library

CONTROL_RATE = 10.0  # Hz
_ENDS = "meta/episode_ends"
_ARRAYS = {"data/img": 4, "data/state": 2, "data/action": 2}  # and how many dimensions they have
# Where the position control of Push-T (gains 100 and 20, ten steps of 0.01 s) takes an agent that touches nothing:
# rows are its place and velocity after a control step, columns its place, its velocity and its target before.
_STEP = [
    [1 - 100 * 0.01**2, 0.01 * (1 - 20 * 0.01), 100 * 0.01**2],
    [-100 * 0.01, 1 - 20 * 0.01, 100 * 0.01],
    [0, 0, 1],
]
_CONTROL = np.linalg.matrix_power(np.array(_STEP), 10)


def recognises(path: Path) -> bool:
    """Whether this is a zarr store that has where episodes end."""
    if path.is_file():
        if path.name.endswith(".zarr.zip"):
            return True
        if not zipfile.is_zipfile(path):
            return False
        with zipfile.ZipFile(path) as archive:
            return any(name.startswith(f"{_ENDS}/") for name in archive.namelist())
    return path.suffix == ".zarr" or (path / _ENDS).is_dir()


class DiffusionPolicy(TrajectoryDataset):
    """People's demonstrations of Push-T, as ``pusht_cchi_v7_replay.zarr`` or its zip file has them.

    States (T, 7) are those of our environment: the five that are recorded, and the agent's velocity, which follows
    from two of its places and the action between them, since it touches nothing that could stop it. On the 206
    published demonstrations the velocity so found at one frame predicts that at the next to 0.001 pixels/s.

    Actions (T - 1, 2) are targets in pixels: those of ``PushT-v0`` with ``action_mode="absolute"``.

    Frames are decoded a chunk at a time (161 frames in the published file, 0.07 s).

    Args:
        path: the folder or the zip file.
        image_size: of the frames, pixels, to which they are resized: one side, or height and width.

    Raises:
        OSError: it cannot be read as zarr, or an array, or a part of one, is missing.
        ValueError: arrays of other shapes than Push-T's, or lengths that disagree.
    """

    def __init__(self, path: str | Path, *, image_size: ImageSize | None = None):
        self.path = Path(path)
        self._size = None if image_size is None else height_and_width(image_size)
        self._store = PerProcess(partial(_open, self.path))
        group = self._store.get()
        shapes = {name: group[name].shape for name in _ARRAYS}
        for name, dimensions in _ARRAYS.items():
            if len(shapes[name]) != dimensions or shapes[name][1:] != _numbers(name, shapes[name]):
                raise ValueError(f"{self.path}: {name} has shape {shapes[name]}, which is not that of Push-T")
        ends = np.asarray(group[_ENDS][:])
        lengths = np.diff(ends, prepend=0) if ends.ndim == 1 else ends
        self.lengths = checked_lengths(self.path / _ENDS, lengths)
        self._starts = np.cumsum(self.lengths) - self.lengths
        for name, shape in shapes.items():
            if shape[0] != ends[-1]:
                raise ValueError(f"{self.path}: {_ENDS} counts {ends[-1]} frames, but {name} has {shape[0]}")
        self.control_rate = CONTROL_RATE
        self.env_id = "wmcontrol/PushT-v0"
        self.env_settings = {"action_mode": "absolute"}  # what gymnasium.make takes with the id
        self.action_bounds = (np.zeros(2), np.full(2, 512.0))

    def trajectory(self, index: int) -> Trajectory:
        """Return one trajectory, its frames unread."""
        index = checked_index(index, len(self))
        start, T = int(self._starts[index]), int(self.lengths[index])
        provenance = Provenance("Diffusion Policy", self.path, f"episode_{index}")
        numbers = {
            name: as_floats(
                _read(self._store.get(), name, slice(start, start + T), provenance), f"{provenance}: {name}"
            )
            for name in ("data/state", "data/action")
        }
        actions = numbers["data/action"][:-1]
        return Trajectory(
            times=np.arange(T) / CONTROL_RATE,
            provenance=provenance,
            frames=resized(_Frames(self._store, start, T, provenance), self._size),
            states=np.concatenate([numbers["data/state"], _velocities(numbers["data/state"][:, :2], actions)], -1),
            actions=actions,
        )

    def fingerprint(self) -> str:
        """Return a digest of the files' names, sizes and times."""
        files = [self.path] if self.path.is_file() else [file for file in self.path.rglob("*") if file.is_file()]
        return fingerprint("Diffusion Policy", files, {"image_size": self._size})


@dataclass(frozen=True)
class _Frames:
    """The frames of one episode, among those of all."""

    store: PerProcess[Any]
    start: int
    length: int
    provenance: Provenance

    def __len__(self) -> int:
        return self.length

    def read(self, indices: Sequence[int] | NDArray[np.integer[Any]]) -> Pixels:
        """Return the frames with these indices."""
        rows = checked_rows(indices, self.length, self.provenance)
        return as_pixels(_read(self.store.get(), "data/img", self.start + rows, self.provenance), self.provenance)


def _numbers(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return what Push-T has behind the first dimension."""
    return {"data/img": (*shape[1:3], 3), "data/state": (5,), "data/action": (2,)}[name]


def _open(path: Path) -> Any:
    """Return the store's group, after a look at whether all of its arrays and their chunks are there."""
    zarr = import_library("zarr")
    try:
        store = zarr.storage.ZipStore(path, mode="r") if path.is_file() else path
        group = zarr.open_group(store, mode="r")
        missing = [name for name in (*_ARRAYS, _ENDS) if name not in group]
        chunks = [] if missing else [(name, group[name].nchunks, group[name].nchunks_initialized) for name in _ARRAYS]
    except Exception as error:  # each part of zarr has its own
        raise OSError(f"{path}: not a whole zarr store ({error!r}); fetch it again") from error
    if missing:
        raise FileNotFoundError(f"{path / missing[0]} is missing: Diffusion Policy's layout has it; fetch it again")
    for name, expected, found in chunks:
        # zarr would read zeros where a chunk is not there.
        if found < expected:
            raise FileNotFoundError(
                f"{path / name}: {expected - found} of {expected} chunks are missing; fetch it again"
            )
        # A zip file has its own checksums.
        if path.is_dir() and any("blosc" in type(codec).__name__.lower() for codec in group[name].compressors):
            _check_blosc(path / name)
    return group


def _check_blosc(folder: Path) -> None:
    """Raise an OSError for a chunk that was cut short: Blosc would read on in memory that is not the chunk's."""
    for file in folder.rglob("*"):
        if file.name.startswith(".") or file.name == "zarr.json" or not file.is_file():
            continue
        with file.open("rb") as chunk:
            header = chunk.read(16)  # its last four bytes count those of the whole chunk
        expected, found = int.from_bytes(header[12:16], "little"), file.stat().st_size
        if len(header) < 16 or found != expected:
            raise OSError(
                f"{file} is cut short: Blosc's header counts {expected} bytes, it has {found}; fetch it again"
            )


def _read(group: Any, name: str, rows: Any, provenance: Provenance) -> NDArray[Any]:
    try:
        return np.asarray(group[name][rows] if isinstance(rows, slice) else group[name].oindex[rows])
    except Exception as error:  # each codec has its own
        raise OSError(f"{provenance}: {name} cannot be read ({error!r}); fetch the data again") from error


def _velocities(places: Floats, targets: Floats) -> Floats:
    """Return the agent's velocities (T, 2), pixels/s, from its places (T, 2) and the targets (T - 1, 2) between them.

    A step is linear in place, velocity and target, so a velocity follows from the place one step later; the last one
    from the velocity before it.
    """
    if len(places) == 1:
        return np.zeros((1, 2))  # nothing tells it
    (a, b, c), (d, e, f), _ = _CONTROL
    before = (places[1:] - a * places[:-1] - c * targets) / b
    last = d * places[-2] + e * before[-1] + f * targets[-1]
    return np.concatenate([before, last[None]])
