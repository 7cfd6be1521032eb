"""Clips of variable frame rate to pretrain on, and how many processes share them.

Letters: ``B`` clips of a batch, ``T`` frames of a clip.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from .clip_index import ChosenClips, ClipIndex
from .frames import Pixels
from .trajectory import Floats

if TYPE_CHECKING:
    from .dataset import TrajectoryDataset

MAX_SKIPPED = 0.05  # of all trajectories: more than these damaged, and it is no accident
_NAMED = 3  # how many of the damaged an error names


@dataclass(frozen=True, kw_only=True)
class Clip:
    """``T`` frames of one trajectory, and when they were."""

    trajectory: int  # which one
    indices: NDArray[np.int64]  # (T,) which of its frames
    times: Floats  # (T,) seconds
    frames: Pixels  # (T, height, width, 3)


class Clips:
    """Training clips without end: clip ``k`` is ``clips[k]``, and depends on the seed, ``k`` and the data alone.

    :class:`~wmcontrol.data.clip_index.ClipIndex` says how frames are chosen. A clip that cannot be read, because the
    trajectory is damaged there, is replaced by the next draw for its number; so every process replaces it alike.

    Attributes:
        index: chooses the frames.
        skipped: the trajectories that could not be read, by their number, each with the reason; of this process.

    Args:
        dataset: what to take clips of; it must have frames.
        num_frames: T.
        step_seconds: the shortest and the longest time from one frame to the next; the shortest no shorter than the
            time between the frames that there are.
        seed: another one, other clips.

    Raises:
        ValueError: there are no frames, or no clip fits; as :meth:`ClipIndex.over` says.
    """

    def __init__(
        self, dataset: "TrajectoryDataset", num_frames: int = 8, *, step_seconds: tuple[float, float], seed: int
    ) -> None:
        self.dataset = dataset
        self.index = ClipIndex.of(dataset, num_frames, step_seconds, seed=seed)
        self.skipped: dict[int, str] = {}
        first = dataset.trajectory(0)
        if first.frames is None:
            raise ValueError(f"{first.provenance}: it has no frames to make clips of; draw or record them")

    def __getitem__(self, number: int) -> Clip:
        """Read one clip.

        Raises:
            IndexError: the number is below 0.
            ValueError: more than 5 % of the trajectories turned out to be damaged; it names the first of them.
        """
        return self._read(number, self.index.choose(np.array([number])), 0)

    def read(self, numbers: NDArray[np.int64]) -> list[Clip]:
        """Read several, as ``[clips[k] for k in numbers]``, chosen all at once."""
        chosen = self.index.choose(numbers)
        return [self._read(int(number), chosen, row) for row, number in enumerate(numbers)]

    def _read(self, number: int, chosen: ChosenClips, row: int) -> Clip:
        attempt = 0
        while True:
            trajectory, indices, times = int(chosen.trajectories[row]), chosen.frames[row], chosen.times[row]
            try:
                frames = self.dataset.trajectory(trajectory).frames
                if frames is None:
                    raise ValueError(f"trajectory {trajectory} has no frames")
                return Clip(trajectory=trajectory, indices=indices, times=times, frames=frames.read(indices))
            except (ValueError, OSError) as error:
                self._skip(trajectory, error)
            attempt += 1
            chosen, row = self.index.choose(np.array([number]), attempt), 0

    def _skip(self, trajectory: int, error: Exception) -> None:
        self.skipped[trajectory] = str(error)
        if len(self.skipped) > MAX_SKIPPED * len(self.dataset):
            named = "; ".join(list(self.skipped.values())[:_NAMED])
            raise ValueError(
                f"{len(self.skipped)} of {len(self.dataset)} trajectories are damaged, more than {MAX_SKIPPED:.0%}; "
                f"repair or remove them: {named}{'; ...' if len(self.skipped) > _NAMED else ''}"
            ) from error


class ClipBatch(NamedTuple):
    """Clips side by side."""

    trajectories: Tensor  # (B,)
    times: Tensor  # (B, T) float64 seconds
    frames: Tensor  # (B, T, height, width, 3) uint8


class ClipStream(IterableDataset[ClipBatch]):
    """Batches of clips without end, for ``DataLoader(stream, batch_size=None, num_workers=...)``.

    Batch ``i`` of rank ``r`` of ``w`` are clips number ``start + (i * w + r) * batch_size`` and the ``batch_size - 1``
    after it. So ranks and workers read disjoint clips, all together those that one process would read with batches of
    ``w * batch_size``, and a rank sees the same batches with any number of workers. To go on after ``n`` batches, set
    ``start`` to ``n * w * batch_size``.

    Args:
        clips: where they come from.
        batch_size: B, of one rank.
        rank: which process this is.
        world_size: how many processes train together.
        start: the number of the first clip.

    Raises:
        ValueError: settings out of range.
    """

    def __init__(self, clips: Clips, batch_size: int, *, rank: int = 0, world_size: int = 1, start: int = 0) -> None:
        super().__init__()
        if batch_size < 1 or start < 0 or not 0 <= rank < world_size:
            raise ValueError(
                "expected batch_size of at least 1, start from 0 up and rank from 0 to world_size - 1, got "
                f"batch_size={batch_size}, start={start}, rank={rank}, world_size={world_size}"
            )
        self.clips, self.batch_size, self.start = clips, batch_size, start
        self.rank, self.world_size = rank, world_size

    def __iter__(self) -> Iterator[ClipBatch]:
        # DataLoader takes from its workers in turn: worker j of n makes batches j, j + n, j + 2n, ...
        worker = get_worker_info()
        batch, stride = (0, 1) if worker is None else (worker.id, worker.num_workers)
        while True:
            first = self.start + (batch * self.world_size + self.rank) * self.batch_size
            clips = self.clips.read(np.arange(first, first + self.batch_size))
            yield ClipBatch(
                torch.tensor([clip.trajectory for clip in clips], dtype=torch.int64, device="cpu"),
                torch.from_numpy(np.stack([clip.times for clip in clips])),
                torch.from_numpy(np.stack([clip.frames for clip in clips])),
            )
            batch += stride
