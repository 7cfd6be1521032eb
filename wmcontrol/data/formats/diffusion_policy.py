"""Diffusion Policy's replay buffers of Push-T (Chi et al., 2023): zarr, in a folder or in one zip file.

``data/img`` (F, height, width, 3), ``data/state`` (F, 5) recorded before each step, ``data/action`` (F, 2), and
``meta/episode_ends`` (N,), where ``F`` counts the frames of all episodes, one after the other.
"""

import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..dataset import TrajectoryDataset, checked_index
from ..frames import ImageSize, ReadFrames, checked_size, resized
from ..trajectory import Floats, Provenance, Trajectory
from .reading import PerProcess, as_floats, checked_lengths, fingerprint
from .zarr_store import open_group

CONTROL_RATE = 10.0  # Hz
_ENDS = "meta/episode_ends"
_ARRAYS = {"data/img": 4, "data/state": 2, "data/action": 2}  # and how many dimensions they have
_READ_WHOLE = {"data/img": False, "data/state": True, "data/action": True, _ENDS: True}
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
        ValueError: arrays of other shapes than Push-T's, lengths that disagree, or numbers or codecs that are not read.
    """

    def __init__(self, path: str | Path, *, image_size: ImageSize | None = None):
        self.path = Path(path)
        self._size = checked_size(image_size)
        self._store = PerProcess(partial(open_group, self.path, _READ_WHOLE))
        group = self._store.get()
        shapes = {name: group[name].shape for name in _ARRAYS}
        for name, dimensions in _ARRAYS.items():
            if len(shapes[name]) != dimensions or shapes[name][1:] != _numbers(name, shapes[name]):
                raise ValueError(f"{self.path}: {name} has shape {shapes[name]}, which is not that of Push-T")
        ends = _read(group, _ENDS, slice(None), self.path)
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
            frames=resized(ReadFrames(T, provenance, partial(_images, self._store, start, provenance)), self._size),
            states=np.concatenate([numbers["data/state"], _velocities(numbers["data/state"][:, :2], actions)], -1),
            actions=actions,
        )

    def fingerprint(self) -> str:
        """Return a digest of the files' names and contents."""
        files = [self.path] if self.path.is_file() else [file for file in self.path.rglob("*") if file.is_file()]
        return fingerprint("Diffusion Policy", files, {"image_size": self._size})


def _numbers(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return what Push-T has behind the first dimension."""
    return {"data/img": (*shape[1:3], 3), "data/state": (5,), "data/action": (2,)}[name]


def _read(group: Any, name: str, rows: Any, where: object) -> NDArray[Any]:
    try:
        return np.asarray(group[name][rows] if isinstance(rows, slice) else group[name].oindex[rows])
    except Exception as error:  # each codec has its own
        raise OSError(f"{where}: {name} cannot be read ({error!r}); fetch the data again") from error


def _images(store: PerProcess[Any], start: int, where: object, rows: NDArray[np.int64]) -> NDArray[Any]:
    return _read(store.get(), "data/img", start + rows, where)


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
