"""Writing trajectories as a Minari data set: HDF5, lossless, in batches, so that a kill loses one batch at most.

On the way each batch is a file in ``parts``; at the end they are merged into ``data``, which
``minari.MinariDataset(folder / "data")`` opens. An episode's observations are a Dict with ``state`` (T, n) float64
and, where frames were given, ``pixels`` (T, height, width, 3) uint8, each frame compressed by itself; ``time`` (T,)
stands beside them, in seconds, where times do not follow from the control rate. Rewards are zero and every episode ends
by truncation. Its attributes hold ``provenance`` and, as Minari keeps the options of a reset,
``options/variation/...``, how its world looked.

The same trajectories give the same bytes, however they were batched and whatever was killed. That, and frames that are
compressed without loss, is what the ``minari`` package does not offer: it keeps frames as JPEG or uncompressed, its
bytes depend on the batches, and a kill while it adds to its one file can damage all that is in it.
"""

import copy
import errno
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from numpy.typing import ArrayLike

from ... import ENV_IDS
from ...files import atomic_write, sync_folder
from ...untrusted import Boolean, ListOf, MapOf, Number, Record, Text, parse_json
from ..frames import Pixels
from ..trajectory import Floats, Trajectory
from .hdf5_file import Hdf5File
from .reading import as_floats, check_rate, checked_lengths, import_library

MINARI_VERSION = "0.5.4"  # whose layout this is; the first that knows of lossless images
_LEVEL = 3  # of gzip: on drawn frames as fast as 1 and a tenth smaller; 6 takes twice as long
_BLOCK = 64  # frames read at once
_OVERHEAD = 6000  # bytes that HDF5 needs for an episode besides its numbers
_TIME_TOLERANCE = 1e-9  # s
_NOTES = Record({"timed": Boolean(), "provenance": ListOf(Text()), "variation": ListOf(MapOf(ListOf(Number())))})
_NAME = re.compile(r"(\d{9})-(\d{9})\.hdf5")


class _Shapes(NamedTuple):
    """What all trajectories of a set have in common; None where they do not have it."""

    state: int | None
    action: int | None
    image: tuple[int, ...] | None


class MinariWriter:
    """Writes trajectories into a folder, and goes on where an earlier run stopped; that it was the same is not checked.

    Args:
        folder: where; it is made if need be.
        env_id: the Gymnasium id of the environment that made them, or None.
        control_rate: environment actions per second, Hz; None for trajectories with times of their own.
        action_bounds: the lowest and highest action of the environment, both (A,), or None.
        settings: whatever else decided what is written (a policy, a seed, a source), as JSON has it; kept with the
            data.

    Raises:
        FileExistsError: the folder holds a finished data set.
        TypeError: settings that JSON cannot hold.
        ValueError: a batch of an earlier run is missing.
        OSError: the folder cannot be written to.
    """

    written: int
    """Episodes that are safe on disk; the next one to add has this number."""

    def __init__(
        self,
        folder: str | Path,
        *,
        env_id: str | None,
        control_rate: float | None,
        action_bounds: tuple[ArrayLike, ArrayLike] | None,
        settings: Mapping[str, Any],
    ):
        import_library("h5py")  # missing, it shall be missed before the work is done
        check_rate(control_rate)
        bounds = (
            None if action_bounds is None else [np.asarray(bound, float).ravel().tolist() for bound in action_bounds]
        )
        about = {"env_id": env_id, "control_rate": control_rate, "action_bounds": bounds, "settings": dict(settings)}
        self._about: dict[str, Any] = json.loads(json.dumps(about))
        self.folder = Path(folder)
        self._data, self._parts = self.folder / "data", self.folder / "parts"
        if self._data.exists():
            shutil.rmtree(self._parts, ignore_errors=True)  # of a run that was killed when all was done
            raise FileExistsError(f"{self._data} is a finished data set; remove it, or write into another folder")
        self._parts.mkdir(parents=True, exist_ok=True)
        parts = self._list_parts()
        self.written = parts[-1][1].stop if parts else 0
        self._shapes = _stored_shapes(parts[0][0]) if parts else None

    def add(self, trajectories: Sequence[Trajectory]) -> None:
        """Write one batch: all of it is safe when this returns, and nothing of it is there when it raises.

        Frames are kept where a trajectory has them; one whose frames shall be drawn again from its states is given
        without them.

        Raises:
            ValueError: a trajectory that has other numbers, or frames of another size, than those before it.
            OSError: the disk is full.
        """
        if not trajectories:
            return
        shapes = self._shapes or _shapes(trajectories[0])
        for trajectory in trajectories:
            its = _shapes(trajectory)
            if its != shapes:
                raise ValueError(f"{trajectory.provenance}: the set has {shapes}, this trajectory {its}")
        bounds = self._about["action_bounds"]
        if bounds is not None and shapes.action != len(bounds[0]):
            raise ValueError(f"action_bounds are of {len(bounds[0])} numbers, actions have {shapes.action}")
        end = self.written + len(trajectories)
        with atomic_write(self._parts / f"{self.written:09d}-{end:09d}.hdf5") as file:
            file.write(self._part(trajectories, shapes))
        self._shapes, self.written = shapes, end

    def finish(self, progress: Callable[[int, int], None] | None = None) -> Path:
        """Merge what was added into the data set, and return its folder.

        Args:
            progress: called with the episodes merged so far, and all of them.

        Raises:
            ValueError: nothing was added.
            OSError: the disk is full; the parts are still there, so that a later run can finish.
        """
        if self._shapes is None:
            raise ValueError(f"there are no episodes in {self.folder} to finish")
        merging = self.folder / "data.tmp"
        shutil.rmtree(merging, ignore_errors=True)  # of a run that was killed in the merge
        try:
            merging.mkdir()
            lengths, timed = self._merge(merging / "main_data.hdf5", progress)
            self._write_metadata(merging, self._shapes, lengths, timed)
            sync_folder(merging)
            merging.replace(self._data)
        except BaseException:
            shutil.rmtree(merging, ignore_errors=True)
            raise
        sync_folder(self.folder)
        shutil.rmtree(self._parts)
        return self._data

    def _list_parts(self) -> list[tuple[Path, range]]:
        """Return the parts in order, each with the numbers of its episodes; drop what a kill left half-written."""
        for leftover in self._parts.glob("*.tmp"):
            leftover.unlink()
        parts, written = [], 0
        for path in sorted(self._parts.glob("*.hdf5")):
            match = _NAME.fullmatch(path.name)
            if match is None or int(match[1]) != written:
                raise ValueError(f"{self._parts}: {path.name} does not follow episode {written}; is a part missing?")
            parts.append((path, range(written, int(match[2]))))
            written = int(match[2])
        return parts

    def _part(self, trajectories: Sequence[Trajectory], shapes: _Shapes) -> bytes:
        """Return a file of HDF5 with all numbers and frames of these, one trajectory after the other."""
        lengths = [len(trajectory) for trajectory in trajectories]
        looks = [{name: np.ravel(v).tolist() for name, v in t.variation.items()} for t in trajectories]
        notes = {
            "timed": not all(self._is_regular(trajectory.times) for trajectory in trajectories),
            "provenance": [str(trajectory.provenance) for trajectory in trajectories],
            "variation": looks,
        }
        # In memory, so that a full disk is no matter of HDF5's.
        with import_library("h5py").File("part", "w", driver="core", backing_store=False) as file:
            file["notes"] = np.frombuffer(json.dumps(notes).encode(), np.uint8)
            file["lengths"] = np.array(lengths, np.int64)
            for name in ("times", "states", "actions"):
                values = [getattr(trajectory, name) for trajectory in trajectories]
                if values[0] is not None:
                    file[name] = np.concatenate(values)
            if shapes.image is not None:
                pixels, start = _create_pixels(file, sum(lengths), shapes.image), 0
                for block in chain.from_iterable(_blocks(trajectory, shapes.image) for trajectory in trajectories):
                    pixels[start : start + len(block)] = block
                    start += len(block)
            file.flush()
            image: bytes = file.id.get_file_image()
            return image

    def _is_regular(self, times: Floats) -> bool:
        rate = self._about["control_rate"]
        return rate is not None and bool(np.abs(times - np.arange(len(times)) / rate).max() <= _TIME_TOLERANCE)

    def _merge(self, path: Path, progress: Callable[[int, int], None] | None) -> tuple[list[int], bool]:
        """Write all episodes, and return how many frames each has, and whether any has times that are not regular."""
        parts, lengths = self._list_parts(), list[int]()
        needed = sum(part.stat().st_size for part, _ in parts) + _OVERHEAD * self.written
        free = shutil.disk_usage(self.folder).free
        if free < needed:
            raise OSError(
                errno.ENOSPC,
                f"{self.folder} needs {needed / 1e6:.0f} MB to merge its parts, and {free / 1e6:.0f} are free; nothing "
                "is lost, make room and run again",
            )
        timed = any(_read_notes(part)["timed"] for part, _ in parts)
        try:
            with import_library("h5py").File(path, "w") as file:
                for part, numbers in parts:
                    for length in _merge_part(file, part, numbers, timed):
                        lengths.append(length)
                        if progress is not None:
                            progress(len(lengths), self.written)
                file.flush()
            with path.open("rb+") as written:
                os.fsync(written.fileno())
        except (OSError, RuntimeError) as error:  # h5py raises either when a disk is full
            raise OSError(
                getattr(error, "errno", None) or errno.EIO,
                f"cannot merge into {path}: {error}; the parts are still there, make room and run again",
            ) from error
        return lengths, timed

    def _write_metadata(self, folder: Path, shapes: _Shapes, lengths: Sequence[int], timed: bool) -> None:
        """Write what Minari wants to know of a set, and under ``wmcontrol`` what we do, lengths included."""
        subspaces = {}
        if shapes.state is not None:
            subspaces["state"] = _box((shapes.state,), "float64", -np.inf, np.inf)
        if timed:
            subspaces["time"] = _box((), "float64", -np.inf, np.inf)
        if shapes.image is not None:
            subspaces["pixels"] = _box(shapes.image, "uint8", 0, 255)
        low, high = self._about["action_bounds"] or (-np.inf, np.inf)
        env_id = self._about["env_id"]
        metadata = {
            "total_episodes": len(lengths),
            "total_steps": sum(lengths) - len(lengths),
            "data_format": "hdf5",
            "jpeg_encoding": False,
            "observation_space": json.dumps({"type": "Dict", "subspaces": subspaces}),
            "action_space": json.dumps(_box((shapes.action or 0,), "float64", low, high)),
            "dataset_id": _dataset_id(env_id),
            "minari_version": MINARI_VERSION,
            "dataset_size": round((folder / "main_data.hdf5").stat().st_size / 1e6, 1),
            "wmcontrol": {"format": 1, **self._about, "lengths": lengths},
        }
        if env_id in ENV_IDS:
            spec = copy.deepcopy(gym.spec(env_id))
            spec.kwargs |= self._about["settings"].get("env_settings", {})
            metadata["env_spec"] = spec.to_json()
        with atomic_write(folder / "metadata.json") as file:
            file.write(json.dumps(metadata).encode())


def _shapes(trajectory: Trajectory) -> _Shapes:
    """Return those of a trajectory; its first frame is read for it.

    Raises:
        ValueError: frames that are not uint8 (height, width, 3), or nothing at all.
    """
    states, actions, image = trajectory.states, trajectory.actions, None
    if trajectory.frames is not None:
        frame = trajectory.frames.read([0])
        if frame.dtype != np.uint8 or frame.ndim != 4 or frame.shape[-1] != 3:
            raise ValueError(
                f"{trajectory.provenance}: frames must be uint8 (T, height, width, 3), got {frame.dtype} {frame.shape}"
            )
        image = frame.shape[1:]
    if image is None and states is None:
        raise ValueError(f"{trajectory.provenance}: it has neither states nor frames, there is nothing to keep")
    return _Shapes(None if states is None else states.shape[1], None if actions is None else actions.shape[1], image)


def _create_pixels(group: Any, count: int, image: tuple[int, ...]) -> Any:
    kept = {"chunks": (1, *image), "compression": "gzip", "compression_opts": _LEVEL}
    return group.create_dataset("pixels", (count, *image), np.uint8, **kept)


def _blocks(trajectory: Trajectory, image: tuple[int, ...]) -> Iterator[Pixels]:
    """Read the frames of a trajectory, some at once."""
    assert trajectory.frames is not None
    for start in range(0, len(trajectory), _BLOCK):
        block = trajectory.frames.read(range(start, min(start + _BLOCK, len(trajectory))))
        if block.dtype != np.uint8 or block.shape[1:] != image:
            raise ValueError(
                f"{trajectory.provenance}: frames must be uint8 {image}, got {block.dtype} {block.shape[1:]}"
            )
        yield block


@contextmanager
def _whole(part: Path) -> Iterator[None]:
    """Name a part in what goes wrong while it is read."""
    try:
        yield
    except (OSError, RuntimeError, LookupError, ValueError, AttributeError, TypeError) as error:
        raise ValueError(f"{part} is not whole: {error}; remove it and the parts after it, and run again") from error


def _stored_shapes(part: Path) -> _Shapes:
    with _whole(part):
        root = Hdf5File(part).root()
        state, action = (root[name].shape[1] if name in root else None for name in ("states", "actions"))
        return _Shapes(state, action, root["pixels"].shape[1:] if "pixels" in root else None)


def _read_notes(part: Path) -> dict[str, Any]:
    with _whole(part):
        notes: dict[str, Any] = parse_json(Hdf5File(part).root()["notes"][()].tobytes(), _NOTES, "notes")
        return notes


def _merge_part(file: Any, part: Path, numbers: range, timed: bool) -> Iterator[int]:
    """Write the episodes of a part, and yield how many frames each has."""
    notes, N = _read_notes(part), len(numbers)
    with _whole(part):
        root = Hdf5File(part).root()
        lengths = checked_lengths(part, root["lengths"][()])
        F = int(lengths.sum())
        rows = {"times": F, "states": F, "pixels": F, "actions": F - N}
        found = {name: root[name] for name in rows if name in root}
        times, pixels = found["times"][()], found.pop("pixels", None)
        states, actions = (
            as_floats(found[name][()], name) if name in found else None for name in ("states", "actions")
        )
        held = {name: len(member) for name, member in found.items()} | {"lengths": len(lengths)}
        held |= {name: len(notes[name]) for name in ("provenance", "variation")}
        if any(count != rows.get(name, N) for name, count in held.items()):
            raise ValueError(f"expected rows of {N} episodes of {F} frames, got {held}")
        if pixels is not None and (len(pixels) != F or pixels.chunks != (1, *pixels.shape[1:])):
            raise ValueError(f"pixels must be {F} frames stored one by one, got {pixels.chunks} of {pixels.shape}")
    start = 0
    for index, (number, T) in enumerate(zip(numbers, lengths.tolist(), strict=True)):
        seen, done = slice(start, start + T), slice(start - index, start - index + T - 1)
        group = file.create_group(f"episode_{number}")
        group.attrs["id"], group.attrs["total_steps"] = number, T - 1
        group.attrs["provenance"] = notes["provenance"][index]
        for name, value in notes["variation"][index].items():
            group.attrs[f"options/variation/{name}"] = value
        observations = group.create_group("observations")
        if states is not None:
            observations.create_dataset("state", data=states[seen])
        if timed:
            observations.create_dataset("time", data=times[seen])
        if pixels is not None:
            kept = _create_pixels(observations, T, pixels.shape[1:])
            for t in range(T):
                with _whole(part):
                    _, stream = pixels.id.read_direct_chunk((start + t, 0, 0, 0))
                kept.id.write_direct_chunk((t, 0, 0, 0), stream)
        group.create_dataset("actions", data=np.zeros((T - 1, 0)) if actions is None else actions[done])
        # Never written to, these read as zeros and take no room.
        group.create_dataset("rewards", shape=(T - 1,), dtype=np.float64)
        group.create_dataset("terminations", shape=(T - 1,), dtype=np.bool_)
        group.create_dataset("truncations", data=np.arange(1, T) == T - 1)
        yield T
        start += T


def _box(shape: tuple[int, ...], dtype: str, low: Any, high: Any) -> dict[str, Any]:
    """Return a Box as Minari writes it."""
    bounds = {
        name: np.broadcast_to(np.asarray(value, dtype), shape).tolist()
        for name, value in (("low", low), ("high", high))
    }
    return {"type": "Box", "dtype": dtype, "shape": list(shape), **bounds}


def _dataset_id(env_id: str | None) -> str:
    """Return a name that Minari takes, such as wmcontrol/Wall/trajectories-v0."""
    name = re.sub(r"-v\d+$", "", env_id or "").rpartition("/")[2]
    return "/".join(["wmcontrol", *filter(None, [re.sub(r"\W", "_", name)]), "trajectories-v0"])
