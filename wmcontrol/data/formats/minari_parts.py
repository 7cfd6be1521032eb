"""Batches of trajectories on their way into a Minari set: one file each, safe as soon as it has its name."""

import json
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..safe_file import safe_file
from ..trajectory import Floats, Frames, Trajectory

LEVEL = 3  # of zlib: on drawn frames as fast as 1 and a tenth smaller; 6 takes twice as long
_BLOCK = 64  # frames read at once
_NAME = re.compile(r"(\d{9})-(\d{9})\.npz")


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
    def from_json(text: str) -> "Shapes":
        """Read what ``to_json`` wrote."""
        read = json.loads(text)
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
    with safe_file(path) as file:
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
            with _opened(path) as arrays:
                timed |= bool(arrays["timed"].any())
                notes = json.loads(arrays["notes"].tobytes())
            for note in notes:
                looks = note["variation"]
                common = looks if common is None else {k: v for k, v in common.items() if looks.get(k) == v}
        return Common(timed, common or {})


def read_part(path: Path) -> Iterator[Episode]:
    """Return the episodes of a part, one after the other.

    Raises:
        OSError: it is not whole; it names the file.
    """
    with _opened(path) as file:
        arrays = {name: file[name] for name in file.files}
    lengths = arrays["lengths"]
    notes = json.loads(arrays["notes"].tobytes())
    ends, steps = np.cumsum(lengths), np.cumsum(lengths - 1)
    frames = None
    if "frame_sizes" in arrays:
        blob, cuts = arrays["frame_bytes"].tobytes(), np.concatenate([[0], np.cumsum(arrays["frame_sizes"])])
        frames = [blob[a:b] for a, b in pairwise(cuts)]
    for i, (length, note) in enumerate(zip(lengths, notes, strict=True)):
        seen, done = slice(ends[i] - length, ends[i]), slice(steps[i] - length + 1, steps[i])
        yield Episode(
            times=arrays["times"][seen],
            states=arrays["states"][seen] if "states" in arrays else None,
            actions=arrays["actions"][done] if "actions" in arrays else None,
            frames=None if frames is None else frames[seen],
            **note,
        )


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            yield arrays
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise OSError(f"{path} is not whole: {error}; remove it and the parts after it, and run again") from error
