"""What of a Minari episode's observations are states, and what are frames."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..trajectory import Floats, Pixels, Provenance
from .hdf5_file import Hdf5File, reading

_GOALS = ("goal", "desired", "achieved")  # names with one of these are of the task, not of the world


@dataclass(frozen=True, eq=False)
class Hdf5Frames:
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
        if not self.jpeg:
            return np.asarray(stored)
        from PIL import Image

        with Image.open(io.BytesIO(np.asarray(stored, np.uint8).tobytes())) as image:
            return np.asarray(image.convert("RGB"))


def leaves(observations: Any, prefix: str = "") -> dict[str, Any]:
    """Return all arrays of the observations by name, as ``"a/b"``; one array by itself has the name ``""``."""
    if hasattr(observations, "shape"):
        return {prefix: observations}
    found: dict[str, Any] = {}
    for name, part in observations.items():
        found |= leaves(part, f"{prefix}/{name}" if prefix else name)
    return found


def find_states(found: Mapping[str, Any], provenance: Provenance) -> Floats | None:
    """Read the states (T, n) among observations (see :class:`~wmcontrol.data.formats.minari.MinariTrajectories`)."""
    for name in ("state", "", "observation"):
        if name in found and _is_vector(found[name]):
            return _vectors([found[name]])
    if "state" in found:
        leaf = found["state"]
        raise ValueError(f"{provenance}: state must be numbers (T, n), got {leaf.dtype} {leaf.shape}")
    vectors = [found[name] for name in sorted(found) if _is_vector(found[name]) and not _is_goal(name)]
    return _vectors(vectors) if vectors else None


def find_frames(found: Mapping[str, Any], spaces: Mapping[str, Any], file: Hdf5File, record: str) -> Hdf5Frames | None:
    """Return the frames among observations, or None."""
    kinds = {name: _image_kind(leaf, _space(spaces, name)) for name, leaf in found.items()}
    images = sorted((name for name, kind in kinds.items() if kind), key=lambda name: (name != "pixels", name))
    for name in images:
        if not _is_goal(name):
            path = "/".join(filter(None, [record, "observations", name]))
            return Hdf5Frames(file, path, record, len(found[name]), jpeg=kinds[name] == "jpeg")
    return None


def _is_goal(name: str) -> bool:
    return any(word in name for word in _GOALS)


def _is_vector(leaf: Any) -> bool:
    return leaf.dtype.kind in "fiub" and leaf.dtype != np.uint8 and leaf.ndim in (1, 2)


def _vectors(found: list[Any]) -> Floats:
    return np.concatenate([np.asarray(leaf[()], np.float64).reshape(len(leaf), -1) for leaf in found], axis=1)


def _image_kind(leaf: Any, space: Mapping[str, Any]) -> str | None:
    """Say whether these are images: raw ones say so themselves, of JPEG files the space does."""
    if leaf.ndim == 4:
        return "raw" if leaf.dtype == np.uint8 and leaf.shape[-1] == 3 else None
    shape = space.get("shape") or []
    files = leaf.dtype.kind == "O" or (leaf.dtype == np.uint8 and leaf.ndim == 2)
    return "jpeg" if files and space.get("dtype") == "uint8" and len(shape) == 3 and shape[-1] == 3 else None


def _space(spaces: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return the space of one array, {} where nobody wrote it down."""
    for key in filter(None, name.split("/")):
        inner = spaces.get("subspaces") or {}
        if isinstance(inner, list):
            number = int(key.removeprefix("_index_"))
            inner = {key: inner[number]} if number < len(inner) else {}
        spaces = inner.get(key) or {}
    return spaces
