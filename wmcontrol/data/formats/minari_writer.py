"""Writing trajectories as a Minari data set: HDF5, lossless, in batches, so that a kill loses one batch at most.

On the way each batch is a file in ``parts``; at the end they are merged into ``data``, which
``minari.MinariDataset(folder / "data")`` opens. An episode's observations are a Dict with ``state`` (T, n) float64
and, where frames were given, ``pixels`` (T, height, width, 3) uint8, each frame compressed by itself; ``time`` (T,)
stands beside them, in seconds, where times do not follow from the control rate. Rewards are zero unless trajectories
have some, and every episode ends by truncation. Its attributes hold ``provenance`` and, as Minari keeps the options of
a reset, ``options/variation/...``, how its world looked.

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
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from numpy.typing import ArrayLike

from ... import ENV_IDS
from ...actions import ActionLayout
from ...files import atomic_write, sync_folder
from ...untrusted import ListOf, MapOf, Number, Record, Text, parse_json
from ..trajectory import Floats, Provenance, Trajectory
from .hdf5_file import Hdf5Group, open_hdf5
from .reading import check_rate, checked_lengths, import_library

MINARI_VERSION = "0.5.4"  # whose layout this is; the first that knows of lossless images
_LEVEL = 3  # of gzip: on drawn frames as fast as 1 and a tenth smaller; 6 takes twice as long
_BLOCK = 64  # frames read at once
_OVERHEAD = 6000  # bytes that HDF5 needs for an episode besides its numbers
_TIME_TOLERANCE = 1e-9  # s
_NOTES = ListOf(Record({"provenance": Text(), "variation": MapOf(ListOf(Number()))}))
_NUMBERS = ("times", "states", "actions", "rewards")  # of a trajectory, each where there are some
_NAME = re.compile(r"(\d{9})-(\d{9})\.hdf5")


class _Shapes(NamedTuple):
    """What all trajectories of a set have in common; None where they do not have it."""

    state: int | None
    action: int | None
    image: tuple[int, ...] | None
    rewards: bool


class MinariWriter:
    """Writes trajectories into a folder, and goes on where an earlier run stopped; that it was the same is not checked.

    Args:
        folder: where; it is made if need be.
        env_id: the Gymnasium id of the environment that made them, or None.
        control_rate: environment actions per second, Hz; None for trajectories with times of their own.
        action_bounds: the lowest and highest action of the environment, both (A,), or None.
        action_layout: how its actions lie in vectors (A,); None where they are such vectors.
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
        action_layout: ActionLayout | None = None,
        settings: Mapping[str, Any],
    ):
        import_library("h5py")  # missing, it shall be missed before the work is done
        check_rate(control_rate)
        bounds = (
            None if action_bounds is None else [np.asarray(bound, float).ravel().tolist() for bound in action_bounds]
        )
        about = {"env_id": env_id, "control_rate": control_rate, "action_bounds": bounds, "settings": dict(settings)}
        if action_layout is not None and not action_layout.is_vector:
            about["action_layout"] = action_layout.as_json()
        self._about: dict[str, Any] = json.loads(json.dumps(about))
        self.folder = Path(folder)
        self._data, self._parts = self.folder / "data", self.folder / "parts"
        if self._data.exists():
            shutil.rmtree(self._parts, ignore_errors=True)  # of a run that was killed when all was done
            raise FileExistsError(f"{self._data} is a finished data set; remove it, or write into another folder")
        self._parts.mkdir(parents=True, exist_ok=True)
        parts = self._list_parts()
        self.written = parts[-1][1].stop if parts else 0
        self._shapes = next(_read_part(*parts[0])).shapes if parts else None

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
        shapes = self._shapes or _checked_shapes(trajectories[0])
        for trajectory in trajectories:
            its = _checked_shapes(trajectory)
            if its != shapes:
                raise ValueError(f"{trajectory.provenance}: the set has {shapes}, this trajectory {its}")
        bounds = self._about["action_bounds"]
        if bounds is not None and shapes.action != len(bounds[0]):
            raise ValueError(f"action_bounds are of {len(bounds[0])} numbers, actions have {shapes.action}")
        end = self.written + len(trajectories)
        # In memory, so that a full disk is no matter of HDF5's.
        with import_library("h5py").File("part", "w", driver="core", backing_store=False) as part:
            part.attrs["timed"] = not all(self._is_regular(trajectory.times) for trajectory in trajectories)
            _write_part(part, trajectories, shapes)
            part.flush()
            with atomic_write(self._parts / f"{self.written:09d}-{end:09d}.hdf5") as file:
                file.write(part.id.get_file_image())
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
        timed = False
        for part, _ in parts:
            with _whole(part) as root:
                timed |= bool(root.attrs["timed"])
        try:
            with import_library("h5py").File(path, "w") as file:
                for part, numbers in parts:
                    for number, stored in zip(numbers, _read_part(part, numbers), strict=True):
                        _write_episode(file.create_group(f"episode_{number}"), number, stored, timed)
                        lengths.append(len(stored.trajectory))
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
            "wmcontrol": {
                "format": 1,
                **self._about,
                "lengths": lengths,
                **({"rewards": True} if shapes.rewards else {}),
            },
        }
        if env_id in ENV_IDS:
            spec = copy.deepcopy(gym.spec(env_id))
            spec.kwargs |= self._about["settings"].get("env_settings", {})
            metadata["env_spec"] = spec.to_json()
        with atomic_write(folder / "metadata.json") as file:
            file.write(json.dumps(metadata).encode())


def _shapes(trajectory: Trajectory, image: tuple[int, ...] | None) -> _Shapes:
    states, actions = trajectory.states, trajectory.actions
    state, action = (None if array is None else array.shape[1] for array in (states, actions))
    return _Shapes(state, action, image, trajectory.rewards is not None)


def _checked_shapes(trajectory: Trajectory) -> _Shapes:
    """Return those of a trajectory; its first frame is read for it.

    Raises:
        ValueError: frames that are not uint8 (height, width, 3), or nothing at all.
    """
    image = None
    if trajectory.frames is not None:
        frame = trajectory.frames.read([0])
        if frame.dtype != np.uint8 or frame.ndim != 4 or frame.shape[-1] != 3:
            raise ValueError(
                f"{trajectory.provenance}: frames must be uint8 (T, height, width, 3), got {frame.dtype} {frame.shape}"
            )
        image = frame.shape[1:]
    if image is None and trajectory.states is None:
        raise ValueError(f"{trajectory.provenance}: it has neither states nor frames, there is nothing to keep")
    return _shapes(trajectory, image)


class _Stored(NamedTuple):
    """An episode in a part: its frames as they are compressed."""

    trajectory: Trajectory
    provenance: str
    shapes: _Shapes
    chunks: list[bytes]


def _create_pixels(group: Any, count: int, image: tuple[int, ...]) -> Any:
    kept = {"chunks": (1, *image), "compression": "gzip", "compression_opts": _LEVEL}
    return group.create_dataset("pixels", (count, *image), np.uint8, **kept)


def _write_part(part: Any, trajectories: Sequence[Trajectory], shapes: _Shapes) -> None:
    """Write all numbers and frames of trajectories into a file, one trajectory after the other."""
    looks = [{name: np.ravel(value).tolist() for name, value in t.variation.items()} for t in trajectories]
    notes = [{"provenance": str(t.provenance), "variation": look} for t, look in zip(trajectories, looks, strict=True)]
    part["notes"] = np.frombuffer(json.dumps(notes).encode(), np.uint8)
    part["lengths"] = np.array([len(trajectory) for trajectory in trajectories], np.int64)
    for name in _NUMBERS:
        if (values := [getattr(trajectory, name) for trajectory in trajectories])[0] is not None:
            part[name] = np.concatenate(values)
    if shapes.image is None:
        return
    pixels, end = _create_pixels(part, sum(map(len, trajectories)), shapes.image), 0
    for trajectory in trajectories:
        assert trajectory.frames is not None
        for start in range(0, len(trajectory), _BLOCK):
            block = trajectory.frames.read(range(start, min(start + _BLOCK, len(trajectory))))
            if block.dtype != np.uint8 or block.shape[1:] != shapes.image:
                raise ValueError(
                    f"{trajectory.provenance}: frames must be uint8 {shapes.image}, got {block.dtype} {block.shape[1:]}"
                )
            pixels[end : end + len(block)] = block
            end += len(block)


@contextmanager
def _whole(part: Path) -> Iterator[Hdf5Group]:
    """Open a part, and name it in what goes wrong while it is read."""
    try:
        yield open_hdf5(part)
    except (OSError, RuntimeError, LookupError, ValueError, AttributeError, TypeError) as error:
        raise ValueError(f"{part} is not whole: {error}; remove it and the parts after it, and run again") from error


def _read_part(part: Path, numbers: range) -> Iterator[_Stored]:
    """Read the episodes of a part, each checked as any trajectory is."""
    with _whole(part) as root:
        notes = parse_json(root["notes"][()].tobytes(), _NOTES, "notes")
        lengths = checked_lengths(part, root["lengths"][()]).tolist()
        if not len(notes) == len(lengths) == len(numbers):
            raise ValueError(f"expected {len(numbers)} episodes, got {len(lengths)} lengths and {len(notes)} notes")
        held = {name: root[name][()] for name in _NUMBERS if name in root}
        pixels, image, start = root.get("pixels"), None, 0
        if pixels is not None:
            image = pixels.shape[1:]
            if len(pixels) != sum(lengths) or pixels.chunks != (1, *image):
                raise ValueError(f"pixels must be {sum(lengths)} frames stored one by one, got {pixels.shape}")
        for index, (number, T, note) in enumerate(zip(numbers, lengths, notes, strict=True)):
            between = ("actions", "rewards")
            first = {name: start - index * (name in between) for name in held}
            its = {name: rows[first[name] : first[name] + T - (name in between)] for name, rows in held.items()}
            where = Provenance("part", part, f"episode_{number}")
            trajectory = Trajectory(**its, provenance=where, variation=note["variation"])
            chunks: list[bytes] = []
            if pixels is not None:
                chunks = [pixels.id.read_direct_chunk((frame, 0, 0, 0))[1] for frame in range(start, start + T)]
            yield _Stored(trajectory, note["provenance"], _shapes(trajectory, image), chunks)
            start += T


def _write_episode(group: Any, number: int, stored: _Stored, timed: bool) -> None:
    """Write an episode as Minari has it."""
    trajectory, T = stored.trajectory, len(stored.trajectory)
    group.attrs["id"], group.attrs["total_steps"] = number, T - 1
    group.attrs["provenance"] = stored.provenance
    for name, value in trajectory.variation.items():
        group.attrs[f"options/variation/{name}"] = value
    observations = group.create_group("observations")
    if trajectory.states is not None:
        packed = "gzip" if trajectory.states.shape[1] > 64 else None  # those that are replayed hold the same actions
        observations.create_dataset("state", data=trajectory.states, compression=packed)
    if timed:
        observations.create_dataset("time", data=trajectory.times)
    if stored.shapes.image is not None:
        pixels = _create_pixels(observations, T, stored.shapes.image)
        for t, chunk in enumerate(stored.chunks):
            pixels.id.write_direct_chunk((t, 0, 0, 0), chunk)
    actions = trajectory.actions
    group.create_dataset("actions", data=np.zeros((T - 1, 0)) if actions is None else actions)
    # Never written to, these read as zeros and take no room.
    rewards = group.create_dataset("rewards", shape=(T - 1,), dtype=np.float64)
    if trajectory.rewards is not None:
        rewards[...] = trajectory.rewards
    group.create_dataset("terminations", shape=(T - 1,), dtype=np.bool_)
    group.create_dataset("truncations", data=np.arange(1, T) == T - 1)


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
