"""What of a Minari episode's observations are states, and what are frames."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..trajectory import Floats, Provenance

_GOALS = ("goal", "desired", "achieved")  # names with one of these are of the task, not of the world


def leaves(observations: Any, provenance: Provenance, prefix: str = "") -> dict[str, Any]:
    """Return all arrays of the observations by name, as ``"a/b"``; one array by itself has the name ``""``.

    Raises:
        ValueError: what is neither an array nor a group of them, such as a link to nowhere.
    """
    if hasattr(observations, "shape"):
        return {prefix: observations}
    if not hasattr(observations, "items"):
        raise ValueError(f"{provenance}: {prefix or 'observations'} must be an array or a group of them")
    found: dict[str, Any] = {}
    for name, part in observations.items():
        found |= leaves(part, provenance, f"{prefix}/{name}" if prefix else name)
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


def find_images(
    found: Mapping[str, Any], spaces: Mapping[str, Any], camera: str | None, provenance: Provenance
) -> tuple[str, bool] | None:
    """Return which of the observations are the frames, and whether they are JPEG files; None where none are.

    Raises:
        ValueError: there are no images of this name, or none is named and there are several.
    """
    kinds = {name: _image_kind(leaf, space_of(spaces, name)) for name, leaf in found.items()}
    images = [name for name, kind in kinds.items() if kind]
    if camera is None:
        images = sorted(name for name in images if not _is_goal(name))
        if len(images) > 1 and "pixels" not in images:
            raise ValueError(f"{provenance}: there are images of {len(images)} cameras; give camera=, one of {images}")
        camera = next((name for name in ("pixels", *images) if name in images), None)
    elif camera not in images:
        raise ValueError(f"{provenance}: there are no images {camera!r}; it has {sorted(images)}")
    return None if camera is None else (camera, kinds[camera] == "jpeg")


def space_of(spaces: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return the space of one array, {} where nobody wrote it down."""
    for key in filter(None, name.split("/")):
        inner = spaces.get("subspaces") or {}
        if isinstance(inner, list):
            number = int(key.removeprefix("_index_"))  # HDF5 has names, Arrow numbers
            inner = {key: inner[number]} if number < len(inner) else {}
        spaces = inner.get(key) or {}
    return spaces


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
