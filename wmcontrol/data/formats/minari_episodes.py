"""The episodes of a Minari data set in HDF5: a group each."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..trajectory import Frames, Pixels
from .hdf5_file import Hdf5File, reading


@dataclass(frozen=True)
class Episode:
    """What is stored of an episode, as yet unread.

    Attributes:
        observations: an array by itself, or by name, nested; None where there are none.
        actions: an array; None where there are none.
        attributes: what is known of it besides, the options of its reset as ``"options/a/b"``.
    """

    observations: Any
    actions: Any
    attributes: Any


class Hdf5Episodes:
    """Where they lie: ``main_data.hdf5``."""

    def __init__(self, folder: Path):
        self.path = folder / "main_data.hdf5"
        self._file = Hdf5File(self.path)

    def files(self) -> list[Path]:
        """Return all files that are read."""
        return [self.path]

    def count(self) -> int:
        """Return how many there are."""
        with reading(self.path, "all episodes"):
            return sum(1 for _ in self._file.root())

    def steps(self, index: int) -> Any:
        """Return how many steps an episode says that it has."""
        with reading(self.path, f"episode_{index}"):
            return self._group(index).attrs.get("total_steps")

    @contextmanager
    def opened(self, index: int) -> Iterator[Episode]:
        """Give an episode, and name it in what goes wrong while it is read."""
        with reading(self.path, f"episode_{index}"):
            group = self._group(index)
            yield Episode(group.get("observations"), group.get("actions"), group.attrs)

    def frames(self, index: int, name: str, length: int, jpeg: bool) -> Frames:
        """Return the frames of an episode that an array of its observations has, unread."""
        path = "/".join(filter(None, [f"episode_{index}", "observations", name]))
        return _Frames(self._file, path, f"episode_{index}", length, jpeg)

    def _group(self, index: int) -> Any:
        group = self._file.root().get(f"episode_{index}")
        if group is None:
            raise ValueError(f"{self.path} has no episode_{index}, which metadata.json counts")
        if not hasattr(group, "items"):
            raise ValueError(f"{self.path}: episode_{index} must be a group, got {group.dtype} {group.shape}")
        return group


def decoded(jpeg: bytes) -> Pixels:
    """Return the picture in a JPEG file, (height, width, 3)."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(jpeg)) as image:
            return np.asarray(image.convert("RGB"))
    except Exception as error:  # PIL has errors of many kinds, for files that are too large among them
        raise OSError(f"a picture is damaged, or no JPEG file: {error}") from error


@dataclass(frozen=True, eq=False)
class _Frames:
    """Frames in an HDF5 data set, read one by one: raw (T, height, width, 3), or T JPEG files."""

    file: Hdf5File
    name: str
    record: str
    length: int
    jpeg: bool

    def __len__(self) -> int:
        return self.length

    def read(self, indices: Sequence[int] | NDArray[np.integer[Any]]) -> Pixels:
        """Return the frames with these indices, (len(indices), height, width, 3)."""
        wanted = np.asarray(indices, dtype=np.intp).tolist()
        with reading(self.file.path, self.record):
            stored = self.file.root()[self.name]
            if not wanted:
                return np.zeros((0, *self._decode(stored[0]).shape), np.uint8)
            return np.stack([self._decode(stored[index]) for index in wanted])

    def _decode(self, stored: Any) -> Pixels:
        return decoded(np.asarray(stored, np.uint8).tobytes()) if self.jpeg else np.asarray(stored)
