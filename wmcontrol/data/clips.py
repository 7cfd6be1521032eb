"""Clips of variable frame rate of a data set's frames."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .clip_index import ClipIndex
from .frames import Pixels
from .trajectory import Floats

if TYPE_CHECKING:
    from .dataset import TrajectoryDataset

MAX_SKIPPED = 0.05  # of all trajectories: more than these damaged, and it is no accident
_NAMED = 3  # how many of the damaged an error names


class Clip(NamedTuple):
    """``T`` frames of one trajectory, and when they were; in a batch of torch's ``DataLoader`` a tensor of each."""

    trajectory: int  # which one
    indices: NDArray[np.int64]  # (T,) which of its frames
    times: Floats  # (T,) seconds
    frames: Pixels  # (T, height, width, 3)


class Clips:
    """Training clips without end: clip ``k`` is ``clips[k]``, and depends on the seed, ``k`` and the data alone.

    A map-style data set of torch's whose length the sampler says: process ``r`` of ``w`` reads every ``w``-th clip with
    ``DataLoader(clips, batch_size=8, sampler=range(r, 10**9, w), num_workers=2)``.

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
        attempt = 0
        while True:
            (trajectory,), (indices,), (times,) = self.index.choose(np.array([number]), attempt)
            try:
                frames = self.dataset.trajectory(int(trajectory)).frames
                if frames is None:
                    raise ValueError(f"trajectory {trajectory} has no frames")
                return Clip(int(trajectory), indices, times, frames.read(indices))
            except (ValueError, OSError) as error:
                self.skipped[int(trajectory)] = str(error)
                if too_many := too_many_damaged(list(self.skipped.values()), len(self.dataset), "trajectories"):
                    raise ValueError(too_many) from error
            attempt += 1


def too_many_damaged(reasons: list[str], count: int, what: str) -> str:
    """Say that too many of ``count`` are damaged, and why the first are; nothing where they are few."""
    if len(reasons) <= MAX_SKIPPED * count:
        return ""
    named = "; ".join(reasons[:_NAMED]) + "; ..." * (len(reasons) > _NAMED)
    return f"{len(reasons)} of {count} {what} are damaged, more than {MAX_SKIPPED:.0%}; repair or remove them: {named}"
