"""Windows over trajectories: a few frames, equally far apart, and the actions between them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .frames import Pixels
from .trajectory import Floats

if TYPE_CHECKING:
    from .dataset import TrajectoryDataset


@dataclass(frozen=True, kw_only=True)
class Window:
    """``T`` frames, ``frameskip`` environment steps apart, and ``T - 1`` model actions between them."""

    trajectory: int  # which one
    start: int  # its first frame, in environment steps
    times: Floats  # (T,) seconds
    frames: Pixels | None  # (T, height, width, 3)
    states: Floats | None  # (T, n)
    actions: Floats | None  # (T - 1, frameskip * A): the actions of each model step, one after the other


@dataclass(frozen=True)
class WindowIndex:
    """Which windows there are: an arithmetic of lengths that both frames and stored tokens are read by.

    Windows are numbered trajectory by trajectory, and by their first frame within one.
    """

    num_frames: int  # T
    frameskip: int
    ends: NDArray[np.int64]  # (N,) how many windows the trajectories up to and with this one have

    @staticmethod
    def of(lengths: NDArray[np.int64], num_frames: int, frameskip: int) -> "WindowIndex":
        """Count the windows in trajectories of these lengths."""
        for name, value in (("num_frames", num_frames), ("frameskip", frameskip)):
            if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < 1:
                raise ValueError(f"{name} must be a whole number from 1 up, got {value!r}")
        if len(lengths) and (lengths.dtype.kind not in "iu" or lengths.min() < 1):
            raise ValueError(f"lengths must be whole numbers from 1 up, got {lengths.dtype} from {lengths.min()}")
        span = (num_frames - 1) * frameskip + 1
        longest = int(lengths.max(initial=0))
        counts = np.maximum(lengths - min(span, longest + 1) + 1, 0)
        if not counts.any():
            raise ValueError(
                f"no window of {num_frames} frames, {frameskip} apart, which span {span}: the longest of "
                f"{len(lengths)} trajectories has {longest}; take fewer frames or a smaller frameskip"
            )
        return WindowIndex(int(num_frames), int(frameskip), np.cumsum(counts))

    def __len__(self) -> int:
        return int(self.ends[-1])

    def locate(self, windows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the trajectories and first frames of windows, both of the shape of ``windows``."""
        if windows.size and (windows.min() < 0 or windows.max() >= len(self)):
            raise IndexError(f"there are {len(self)} windows, got numbers from {windows.min()} to {windows.max()}")
        trajectories = np.searchsorted(self.ends, windows, side="right")
        before = np.where(trajectories > 0, self.ends[trajectories - 1], 0)
        return trajectories, windows - before


class Windows:
    """All windows of a data set; made by :meth:`TrajectoryDataset.windows`."""

    def __init__(self, dataset: "TrajectoryDataset", num_frames: int, frameskip: int):
        self.dataset = dataset
        self.index = WindowIndex.of(dataset.lengths, num_frames, frameskip)

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, number: int) -> Window:
        """Read one window: only its frames are read."""
        trajectories, starts = self.index.locate(np.array([number], dtype=np.int64))
        start, f, T = int(starts[0]), self.index.frameskip, self.index.num_frames
        trajectory = self.dataset.trajectory(int(trajectories[0]))
        seen = start + f * np.arange(T)
        actions = trajectory.actions
        return Window(
            trajectory=int(trajectories[0]),
            start=start,
            times=trajectory.times[seen],
            frames=None if trajectory.frames is None else trajectory.frames.read(seen),
            states=None if trajectory.states is None else trajectory.states[seen],
            actions=None if actions is None else actions[start : seen[-1]].reshape(T - 1, f * actions.shape[1]),
        )
