"""Encoding a whole data set into a latent store."""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..checks import check_whole
from ..encoders import Encoder, PyramidEncoder
from ..encoders.files import encoder_digest, save_encoder
from ..engine import run_parallel
from ..files import atomic_write, exclusive_lock
from ..hardware import usable_device
from .dataset import TrajectoryDataset
from .fitting import fit_encoder
from .frames import Pixels
from .latent_store import ARRAYS, DESCRIPTION, DTYPES, TOKENS, VERSION, LatentStore
from .trajectory import Trajectory

_DONE = "encoded"  # a folder with a file for each span of frames that is safe on disk, while a store is being built
_SPAN = 64  # batches


def encode(
    dataset: TrajectoryDataset,
    encoder: Encoder,
    folder: str | Path,
    *,
    dtype: str = "float16",
    batch_size: int = 512,
    device: str | torch.device = "cpu",
    fit_frames: int = 20_000,
    seed: int = 0,
    jobs: int = 1,
    engine: str = "processes",
    engine_address: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> LatentStore:
    """Encode all frames of a data set once, into a store in ``folder``; open it at once if it is there.

    The store's own folder is named by a digest of the encoder's weights and settings, the data's fingerprint and the
    number type, so that one which does not fit is never read. An interrupted run goes on where it was; what comes out
    is the same, byte for byte, as it is with any number of jobs.

    Args:
        dataset: with frames, all of one size.
        encoder: of single frames. A :class:`~wmcontrol.PyramidEncoder` that is not fitted yet is fitted to this data
            set, in place; :func:`~wmcontrol.data.fit_encoder` fits one to several.
        folder: of stores; it is made if need be.
        dtype: of the tokens on disk: "float16", "bfloat16" or "float32".
        batch_size: frames encoded at once.
        device: where the encoder goes and works; ``"auto"`` is a GPU if there is one.
        fit_frames: how many frames an encoder is fitted to.
        seed: which frames these are.
        jobs: processes that share the work, some thousand frames each at a time.
        engine: what runs them, as for :func:`wmcontrol.engine.run_parallel`.
        engine_address: of the Ray cluster.
        progress: is told how many frames are encoded, of how many.

    Raises:
        ValueError: no frames, frames of different sizes, or tokens that are not finite in this type; it names the
            trajectory and the frame.
        OSError: the disk has too little room; or another process is building this store.
    """
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise ValueError(f"dtype must be one of {list(DTYPES)}, got {dtype!r}")
    for name, value in (("batch_size", batch_size), ("jobs", jobs)):
        check_whole(name, value)
    if encoder.tubelet != 1:
        raise ValueError(f"a store holds tokens of single frames; this encoder takes {encoder.tubelet} at a time")
    if not len(dataset):
        raise ValueError("there is not a single trajectory to encode")
    first = _frames(dataset.trajectory(0), np.array([0]))
    if isinstance(encoder, PyramidEncoder) and not encoder.fitted:
        fit_encoder(encoder, [dataset], num_frames=fit_frames, seed=seed, folder=folder)
    height, width, _ = first.shape[1:]
    device = usable_device(device)
    encoder = encoder.to(device)
    # One frame for a trial: what cannot be encoded is told before a folder is made.
    _, patches, dim = encoder(torch.from_numpy(first).to(device)).shape
    fingerprint, bounds = dataset.fingerprint(), dataset.action_bounds
    parts = [VERSION, encoder_digest(encoder), fingerprint, dtype]
    key = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]
    store = Path(folder) / key
    finished = _finished(store)
    if finished is not None:
        return finished
    store.mkdir(parents=True, exist_ok=True)
    shape = (int(dataset.lengths.sum()), patches, dim)
    with exclusive_lock(store):
        finished = _finished(store)  # another process may have been quicker
        if finished is not None:
            return finished
        if (store / DESCRIPTION).exists():  # a store that is damaged, and nobody knows where
            for path in (DESCRIPTION, ARRAYS, TOKENS):
                (store / path).unlink(missing_ok=True)
        _reserve(store, shape, DTYPES[dtype])
        if not (store / ARRAYS).exists():
            _save_arrays(dataset, store)
        save_encoder(encoder, store, (height, width))
        span = _SPAN * batch_size
        spans = [(start, min(start + span, shape[0])) for start in range(0, shape[0], span)]
        left = [each for each in spans if not _marker(store, each).exists()]
        done = shape[0] - sum(stop - start for start, stop in left)
        work = _Job(dataset, encoder, device, store / TOKENS, shape, DTYPES[dtype], batch_size, (height, width))

        def tell(count: int, _: int = 0, each: int = span) -> None:
            if progress is not None:
                progress(min(done + count * each, shape[0]), shape[0])

        if jobs == 1 and engine == "processes":
            for start, stop in left:
                for frame in work.batches(start, stop):
                    tell(frame - start, each=1)
                done += stop - start
        else:
            run_parallel(work, left, jobs=jobs, engine=engine, engine_address=engine_address, progress=tell)
        description = {
            "version": VERSION,
            "key": key,
            "dtype": dtype,
            "frames": shape[0],
            "patches": shape[1],
            "dim": shape[2],
            "frame_size": [height, width],
            "source": {
                "fingerprint": fingerprint,
                "control_rate": dataset.control_rate,
                "env_id": dataset.env_id,
                "action_bounds": None if bounds is None else [np.asarray(bound, float).tolist() for bound in bounds],
                "env_settings": dict(dataset.env_settings),
                **({} if dataset.action_layout is None else {"action_layout": dataset.action_layout.as_json()}),
            },
        }
        with atomic_write(store / DESCRIPTION) as file:
            file.write(json.dumps(description, indent=1).encode())
        shutil.rmtree(store / _DONE)
    return LatentStore.open(store)


def _finished(folder: Path) -> LatentStore | None:
    """Open a store that is there; None where there is none, or one that is damaged and has to be built again."""
    try:
        return LatentStore.open(folder)
    except (FileNotFoundError, ValueError):
        return None


def _reserve(folder: Path, shape: tuple[int, int, int], dtype: torch.dtype) -> None:
    """Reserve the file of tokens, unless it is there and some of them are in it."""
    tokens, done = folder / TOKENS, folder / _DONE
    size = shape[0] * shape[1] * shape[2] * dtype.itemsize
    if tokens.exists() and tokens.stat().st_size == size and done.exists():
        return
    shutil.rmtree(done, ignore_errors=True)
    free = shutil.disk_usage(folder).free
    if size > free:
        raise OSError(
            errno.ENOSPC,
            f"the tokens of {shape[0]} frames take {size:,} bytes, the disk has {free:,} left",
            str(folder),
        )
    with tokens.open("wb") as file:
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
            else:
                file.truncate(size)
        except OSError as error:
            tokens.unlink()
            raise OSError(error.errno, f"no room for {size:,} bytes of tokens", str(tokens)) from error
    done.mkdir()


def _save_arrays(dataset: TrajectoryDataset, folder: Path) -> None:
    """Save lengths, times, states, actions and rewards; a kind that some trajectories lack is left out."""
    trajectories = [dataset.trajectory(index) for index in range(len(dataset))]
    arrays: dict[str, NDArray[Any]] = {
        "lengths": np.asarray(dataset.lengths, dtype=np.int64),
        "times": np.concatenate([trajectory.times for trajectory in trajectories]),
    }
    states = [trajectory.states for trajectory in trajectories]
    if all(state is not None for state in states):
        arrays["states"] = np.concatenate([state for state in states if state is not None])
    # From the last frame nothing leads on.
    actions = [np.pad(t.actions, ((0, 1), (0, 0))) for t in trajectories if t.actions is not None]
    if len(actions) == len(trajectories):
        arrays["actions"] = np.concatenate(actions)
    rewards = [np.append(t.rewards, 0.0) for t in trajectories if t.rewards is not None]
    if len(rewards) == len(trajectories):
        arrays["rewards"] = np.concatenate(rewards)
    with atomic_write(folder / ARRAYS) as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def _marker(folder: Path, span: tuple[int, int]) -> Path:
    return folder / _DONE / f"{span[0]}-{span[1]}"


@dataclass(frozen=True)
class _Job:
    """What encodes spans of frames, in this process or another."""

    dataset: TrajectoryDataset
    encoder: Encoder
    device: torch.device
    tokens: Path
    shape: tuple[int, int, int]  # of all tokens
    dtype: torch.dtype
    batch_size: int
    frame_size: tuple[int, int]

    def __call__(self, span: tuple[int, int]) -> None:
        for _ in self.batches(*span):
            pass

    def batches(self, first: int, last: int) -> Iterator[int]:
        """Encode a span, and yield how far it is after each batch; its marker says that it is safe on disk."""
        # Batches begin at multiples of their size, however often a run was killed, so that each is rounded alike.
        with self.tokens.open("r+b") as file:
            file.seek(first * self.shape[1] * self.shape[2] * self.dtype.itemsize)
            for start in range(first, last, self.batch_size):
                stop = min(start + self.batch_size, last)
                frames = torch.from_numpy(self._read(start, stop)).to(self.device)
                tokens = self.encoder(frames).to(self.dtype).cpu()
                self._check_finite(tokens, start)
                file.write(tokens.contiguous().view(torch.uint8).numpy().tobytes())
                yield stop
            file.flush()
            os.fsync(file.fileno())
        _marker(self.tokens.parent, (first, last)).touch()

    def _place(self, frame: int) -> tuple[int, int]:
        """Return which trajectory a frame is of, counted over all, and which of its frames it is."""
        ends = np.cumsum(self.dataset.lengths)
        index = int(np.searchsorted(ends, frame, side="right"))
        return index, frame - int(ends[index] - self.dataset.lengths[index])

    def _read(self, start: int, stop: int) -> Pixels:
        """Read frames by their numbers over all trajectories, (stop - start, height, width, 3)."""
        pieces = []
        while start < stop:
            index, first = self._place(start)
            count = min(stop - start, int(self.dataset.lengths[index]) - first)
            trajectory = self.dataset.trajectory(index)
            frames = _frames(trajectory, np.arange(first, first + count))
            if frames.shape[1:3] != self.frame_size:
                raise ValueError(
                    f"{trajectory.provenance}: expected frames of {self.frame_size[0]} x {self.frame_size[1]} as "
                    f"before, got {frames.shape[1]} x {frames.shape[2]}"
                )
            pieces.append(frames)
            start += count
        return np.ascontiguousarray(np.concatenate(pieces))

    def _check_finite(self, tokens: Tensor, start: int) -> None:
        finite = tokens.isfinite().flatten(1).all(1)
        if not finite.all():
            index, frame = self._place(start + int(finite.int().argmin()))
            raise ValueError(
                f"{self.dataset.trajectory(index).provenance}: tokens of frame {frame} are not finite in "
                f'{tokens.dtype}; with dtype="bfloat16" they may be'
            )


def _frames(trajectory: Trajectory, indices: NDArray[np.int64]) -> Pixels:
    if trajectory.frames is None:
        raise ValueError(f"{trajectory.provenance}: it has no frames to encode, and none can be drawn")
    frames = trajectory.frames.read(indices)
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3 or len(frames) != len(indices):
        raise ValueError(
            f"{trajectory.provenance}: expected {len(indices)} frames (height, width, 3) of uint8, "
            f"got {frames.dtype} of shape {frames.shape}"
        )
    return frames
