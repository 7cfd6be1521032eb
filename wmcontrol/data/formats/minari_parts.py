"""Batches of trajectories on their way into a Minari set: one file each, safe as soon as it has its name."""

import json
import math
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...files import atomic_write
from ...untrusted import (
    Array,
    Integer,
    ListOf,
    MapOf,
    Nullable,
    Number,
    Record,
    Text,
    parse_json,
    read_arrays,
    read_json,
)
from ..trajectory import Floats, Frames, Trajectory

LEVEL = 3  # of zlib: on drawn frames as fast as 1 and a tenth smaller; 6 takes twice as long
_BLOCK = 64  # frames read at once
_NAME = re.compile(r"(\d{9})-(\d{9})\.npz")
_FIX = "remove the folder, and run again"
_SIZE = Integer(low=1, high=2**31)
_SHAPES = Record(
    {"state": Nullable(_SIZE), "action": Nullable(Integer(low=0, high=2**31)), "image": Nullable(ListOf(_SIZE, 3, 3))}
)
_NOTES = ListOf(Record({"provenance": Text(), "variation": MapOf(ListOf(Number()))}))
# Letters: N episodes, F frames of all of them, K actions, J and Z bytes.
_NEEDED = {
    "lengths": Array("int64", ("N",)),
    "timed": Array("b", ("N",)),
    "times": Array("float64", ("F",)),
    "notes": Array("uint8", ("J",)),
}
_STATES, _ACTIONS = {"states": Array("float64", ("F", "n"))}, {"actions": Array("float64", ("K", "A"))}
_FRAMES = {"frame_bytes": Array("uint8", ("Z",)), "frame_sizes": Array("int64", ("F",))}


@dataclass(frozen=True)
class Shapes:
    """What all trajectories of a set have in common; None where they do not have it."""

    state: int | None
    action: int | None
    image: tuple[int, ...] | None

    @staticmethod
    def of(trajectory: Trajectory) -> "Shapes":
        """Return those of a trajectory; its first frame is read for it.

        Raises:
            ValueError: arrays that are not (T, n), frames that are not uint8 (height, width, 3), or nothing at all.
        """
        image = None
        if trajectory.frames is not None:
            frame = trajectory.frames.read([0])
            if frame.dtype != np.uint8 or frame.ndim != 4 or frame.shape[-1] != 3:
                raise ValueError(
                    f"{trajectory.provenance}: frames must be uint8 (T, height, width, 3), got {frame.dtype} "
                    f"{frame.shape}"
                )
            image = frame.shape[1:]
        sizes: dict[str, int | None] = {}
        for name, values in (("states", trajectory.states), ("actions", trajectory.actions)):
            if values is not None and values.ndim != 2:
                raise ValueError(f"{trajectory.provenance}: {name} must be (T, n), got {values.shape}")
            sizes[name] = None if values is None else values.shape[1]
        if image is None and sizes["states"] is None:
            raise ValueError(f"{trajectory.provenance}: it has neither states nor frames, there is nothing to keep")
        return Shapes(sizes["states"], sizes["actions"], image)

    def to_json(self) -> str:
        """Write them down."""
        return json.dumps(vars(self))

    @staticmethod
    def read(path: Path) -> "Shapes":
        """Read what ``to_json`` wrote.

        Raises:
            OSError, ValueError: the file is missing or broken; it is named.
        """
        read = read_json(path, _SHAPES, fix=_FIX)
        return Shapes(read["state"], read["action"], None if read["image"] is None else tuple(read["image"]))


@dataclass(frozen=True)
class Episode:
    """One trajectory as it stands in a part."""

    times: Floats
    states: Floats | None
    actions: Floats | None
    frames: list[bytes] | None  # each a zlib stream
    variation: dict[str, list[float]]
    provenance: str


def list_parts(folder: Path) -> tuple[list[Path], int]:
    """Return the parts in a folder in order, and how many episodes they hold; drop what a kill left half-written.

    Raises:
        ValueError: a part is missing.
    """
    for leftover in folder.glob("*.tmp"):
        leftover.unlink()
    parts, written = [], 0
    for path in sorted(folder.glob("*.npz")):
        match = _NAME.fullmatch(path.name)
        if match is None or int(match[1]) != written:
            raise ValueError(f"{folder}: {path.name} does not follow episode {written}; is a part missing?")
        parts.append(path)
        written = int(match[2])
    return parts, written


def write_part(folder: Path, first: int, trajectories: Sequence[Trajectory], timed: Sequence[bool]) -> Path:
    """Write a batch whose first trajectory has number ``first``; ``timed`` says whose times are not regular."""
    path = folder / f"{first:09d}-{first + len(trajectories):09d}.npz"
    notes = [
        {
            "provenance": str(trajectory.provenance),
            "variation": {name: np.asarray(v, float).ravel().tolist() for name, v in trajectory.variation.items()},
        }
        for trajectory in trajectories
    ]
    arrays: dict[str, NDArray[Any]] = {
        "lengths": np.array([len(trajectory) for trajectory in trajectories], np.int64),
        "timed": np.array(timed, np.bool_),
        "times": np.concatenate([trajectory.times for trajectory in trajectories]).astype(np.float64),
        "notes": np.frombuffer(json.dumps(notes).encode(), np.uint8),
    }
    shapes = Shapes.of(trajectories[0])
    if shapes.state is not None:
        arrays["states"] = np.concatenate([t.states for t in trajectories if t.states is not None]).astype(np.float64)
    if shapes.action is not None:
        arrays["actions"] = np.concatenate([t.actions for t in trajectories if t.actions is not None]).astype(float)
    if shapes.image is not None:
        packed = [
            stream
            for t in trajectories
            if t.frames is not None
            for stream in _pack(t.frames, shapes.image, str(t.provenance))
        ]
        arrays["frame_bytes"] = np.frombuffer(b"".join(packed), np.uint8)
        arrays["frame_sizes"] = np.array([len(stream) for stream in packed], np.int64)
    with atomic_write(path) as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
    return path


def _pack(frames: Frames, image: tuple[int, ...], name: str) -> Iterator[bytes]:
    for start in range(0, len(frames), _BLOCK):
        block = frames.read(range(start, min(start + _BLOCK, len(frames))))
        if block.dtype != np.uint8 or block.shape[1:] != image:
            raise ValueError(f"{name}: frames must be uint8 {image}, got {block.dtype} {block.shape[1:]}")
        for frame in block:
            yield zlib.compress(frame.tobytes(), LEVEL)


@dataclass(frozen=True)
class Common:
    """What holds for all episodes of a set.

    Attributes:
        timed: whether any has times that do not follow from the control rate.
        variation: the looks that none differs in.
    """

    timed: bool
    variation: dict[str, list[float]]

    @staticmethod
    def of(parts: Sequence[Path]) -> "Common":
        """Find it out from all parts."""
        timed, common = False, None
        for path in parts:
            arrays = _read(path, None, only=("timed", "notes"))
            timed |= bool(arrays["timed"].any())
            for note in _notes(path, arrays["notes"]):
                looks = note["variation"]
                common = looks if common is None else {k: v for k, v in common.items() if looks.get(k) == v}
        return Common(timed, common or {})


def read_part(path: Path, shapes: Shapes) -> Iterator[Episode]:
    """Return the episodes of a part, one after the other.

    Raises:
        ValueError: it is not whole, or not of a set of these shapes; it names the file.
    """
    arrays = _read(path, shapes)
    lengths, notes = arrays["lengths"], _notes(path, arrays["notes"])
    F, K = len(arrays["times"]), len(arrays.get("actions", ()))
    fits = {
        "lengths": len(lengths) == len(notes) and lengths.min(initial=1) >= 1 and sum(lengths.tolist()) == F,
        "actions": shapes.action is None or F - len(lengths) == K,
        "frame_sizes": shapes.image is None or _sizes_fit(arrays["frame_sizes"], arrays["frame_bytes"]),
    }
    for name, whole in fits.items():
        if not whole:
            raise _broken(path, f"{name} do not fit the other arrays")
    ends, steps = np.cumsum(lengths), np.cumsum(lengths - 1)
    frames = None
    if shapes.image is not None:
        blob, cuts = arrays["frame_bytes"].tobytes(), np.concatenate([[0], np.cumsum(arrays["frame_sizes"])])
        frames = [blob[a:b] for a, b in pairwise(cuts)]
        _check_frame(path, frames[0], shapes.image)
    for i, (length, note) in enumerate(zip(lengths, notes, strict=True)):
        seen, done = slice(ends[i] - length, ends[i]), slice(steps[i] - length + 1, steps[i])
        yield Episode(
            times=arrays["times"][seen],
            states=arrays["states"][seen] if "states" in arrays else None,
            actions=arrays["actions"][done] if "actions" in arrays else None,
            frames=None if frames is None else frames[seen],
            **note,
        )


def _read(path: Path, shapes: Shapes | None, only: Sequence[str] | None = None) -> dict[str, NDArray[Any]]:
    """Return the arrays of a part: those that a set of these shapes has, or of any set."""
    optional, needed = {**_STATES, **_ACTIONS, **_FRAMES}, dict(_NEEDED)
    sizes = {}
    if shapes is not None:
        for size, arrays in ((shapes.state, _STATES), (shapes.action, _ACTIONS), (shapes.image, _FRAMES)):
            needed |= arrays if size is not None else {}
        optional = {}
        sizes = {name: size for name, size in (("n", shapes.state), ("A", shapes.action)) if size is not None}
    try:
        return read_arrays(path, needed, optional, sizes=sizes, only=only)
    except (OSError, ValueError) as error:
        raise _broken(path, error) from error


def _notes(path: Path, written: NDArray[np.uint8]) -> list[dict[str, Any]]:
    try:
        notes: list[dict[str, Any]] = parse_json(written.tobytes(), _NOTES, f"{path}, notes")
    except ValueError as error:
        raise _broken(path, error) from error
    return notes


def _sizes_fit(sizes: NDArray[np.int64], written: NDArray[np.uint8]) -> bool:
    return bool(sizes.min(initial=1) >= 1) and sum(sizes.tolist()) == len(written)


def _check_frame(path: Path, stream: bytes, image: tuple[int, ...]) -> None:
    """Refuse a part whose first frame is not of the set's size."""
    size = math.prod(image)
    try:
        found = len(zlib.decompressobj().decompress(stream, size + 1))
    except zlib.error as error:
        raise _broken(path, error) from error
    if found != size:
        raise _broken(path, f"its frames do not have the {size} bytes of image, {list(image)} by shapes.json")


def _broken(path: Path, problem: object) -> ValueError:
    return ValueError(f"{path} is not whole: {problem}; remove it and the parts after it, and run again")
