"""Windows over trajectories: a few frames, or their stored tokens, equally far apart, and the actions between them."""

import operator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..checks import check_whole
from .frames import Pixels
from .trajectory import Floats

if TYPE_CHECKING:
    from .dataset import TrajectoryDataset
    from .latent_store import LatentStore


class Window(dict[str, Any]):
    """``T`` frames, ``frameskip`` environment steps apart, and ``T - 1`` model actions between them.

    A dictionary of what there is, whose values are attributes too; what there is not (frames of data that have none,
    say) is an attribute that is None, and no key. So ``torch.utils.data.DataLoader`` makes batches of windows with
    its own collation: they are windows of tensors that begin with a batch dimension.
    """

    trajectory: int  # which one
    start: int  # its first frame, in environment steps
    times: Floats  # (T,) seconds
    frames: Pixels | None  # (T, height, width, 3)
    states: Floats | None  # (T, n)
    actions: Floats | None  # (T - 1, frameskip * A): the actions of each model step, one after the other

    def __getattr__(self, name: str) -> Any:
        if name not in Window.__annotations__:
            raise AttributeError(f"a window has no {name!r}; it has {list(Window.__annotations__)}")
        return self.get(name)


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
            check_whole(name, value)
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
    """All windows of a data set; made by :meth:`TrajectoryDataset.windows`.

    A map-style data set of torch's: ``DataLoader(dataset.windows(4, 5), batch_size=8, shuffle=True, num_workers=2)``.
    """

    def __init__(self, dataset: "TrajectoryDataset", num_frames: int, frameskip: int):
        self.dataset = dataset
        self.index = WindowIndex.of(dataset.lengths, num_frames, frameskip)

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, number: int) -> Window:
        """Read one window: only its frames are read. Numbers below 0 count from the last."""
        number = operator.index(number)
        trajectories, starts = self.index.locate(np.array([number + len(self) * (number < 0)], dtype=np.int64))
        start, f, T = int(starts[0]), self.index.frameskip, self.index.num_frames
        trajectory = self.dataset.trajectory(int(trajectories[0]))
        seen = start + f * np.arange(T)
        found = Window(trajectory=int(trajectories[0]), start=start, times=trajectory.times[seen])
        if trajectory.frames is not None:
            found["frames"] = trajectory.frames.read(seen)
        if trajectory.states is not None:
            found["states"] = trajectory.states[seen]
        if trajectory.actions is not None:
            found["actions"] = trajectory.actions[start : seen[-1]].reshape(T - 1, f * trajectory.actions.shape[1])
        return found


class TokenBatch(NamedTuple):
    """Windows of ``T`` frames: ``B`` of them."""

    tokens: Tensor  # (B, T, P, D), in the store's number type
    times: Tensor  # (B, T) seconds, float64
    actions: Tensor | None  # (B, T - 1, frameskip * A) float32, in the environment's units, one after the other


class TokenWindows:
    """All windows of some trajectories of a store; made by :meth:`LatentStore.windows`."""

    def __init__(self, store: "LatentStore", num_frames: int, frameskip: int, members: NDArray[np.int64]):
        self.store = store
        self.index = WindowIndex.of(store.lengths[members], num_frames, frameskip)
        self._members = members
        self._offsets = store.offsets[members]
        self._times = torch.from_numpy(store.times)
        self._actions = None if store.actions is None else torch.from_numpy(store.actions.astype(np.float32))
        self._frames = torch.arange(num_frames, dtype=torch.int64, device="cpu") * frameskip
        self._steps = torch.arange((num_frames - 1) * frameskip, dtype=torch.int64, device="cpu")

    def __len__(self) -> int:
        return len(self.index)

    def names(self, numbers: NDArray[np.int64]) -> list[str]:
        """Say where windows (B,) lie."""
        trajectories, starts = self.index.locate(np.asarray(numbers, dtype=np.int64))
        places = zip(self._members[trajectories].tolist(), starts.tolist(), strict=True)
        return [f"{self.store.folder} trajectory {trajectory} from frame {start}" for trajectory, start in places]

    def batch(self, numbers: NDArray[np.int64]) -> TokenBatch:
        """Gather windows by their numbers (B,), from 0 to ``len(self) - 1``: one copy from the file's pages.

        Raises:
            ValueError: a window has tokens that are not finite; it is named.
        """
        trajectories, starts = self.index.locate(np.asarray(numbers, dtype=np.int64))
        first = torch.from_numpy(self._offsets[trajectories] + starts)[:, None]  # (B, 1)
        B, T, f = len(first), self.index.num_frames, self.index.frameskip
        seen = (first + self._frames).flatten()
        tokens = self.store.tokens.index_select(0, seen).unflatten(0, (B, T))
        if not tokens.sum(dtype=torch.float32).isfinite():  # quicker than a look at each, and no less sure
            finite = tokens.isfinite().flatten(1).all(1)
            raise ValueError(
                f"{self.names(numbers)[int(finite.int().argmin())]}: tokens are not finite; the store is damaged: "
                "encode again"
            )
        times = self._times.index_select(0, seen).view(B, T)
        if self._actions is None:
            return TokenBatch(tokens, times, None)
        taken = self._actions.index_select(0, (first + self._steps).flatten())  # (B * (T - 1) * f, A)
        return TokenBatch(tokens, times, taken.view(B, T - 1, f * self._actions.shape[1]))


class Shuffled:
    """An endless row of numbers from 0 to ``count - 1``: one random order after another, each number once in each.

    Batch ``step`` of all processes together is the next ``batch_size`` of the row; a process takes its equal share. So
    any step can be had at once, and two processes read what one would.

    Args:
        count: how many numbers there are.
        batch_size: of all processes together.
        seed: decides all orders.
        rank, world_size: which process this is, of how many.

    Raises:
        ValueError: numbers that make no sense, or a batch that does not split evenly.
    """

    def __init__(self, count: int, batch_size: int, *, seed: int, rank: int = 0, world_size: int = 1):
        for name, value, least in (("count", count, 1), ("batch_size", batch_size, 1), ("seed", seed, 0)):
            check_whole(name, value, least)
        if not 0 <= rank < world_size:
            raise ValueError(f"rank must be from 0 to world_size - 1 = {world_size - 1}, got {rank!r}")
        if batch_size % world_size:
            raise ValueError(f"batch_size must be a multiple of the {world_size} processes, got {batch_size}")
        self.count, self.batch_size, self.seed = count, batch_size, seed
        self.rank, self.share = rank, batch_size // world_size

    def batch(self, step: int) -> NDArray[np.int64]:
        """Return this process's share of a batch, (batch_size / world_size,)."""
        start = step * self.batch_size + self.rank * self.share
        places = np.arange(start, start + self.share)
        numbers = np.empty(self.share, dtype=np.int64)
        epochs = places // self.count
        for epoch in np.unique(epochs):
            mine = epochs == epoch
            numbers[mine] = _order(self.count, self.seed, int(epoch))[places[mine] % self.count]
        return numbers


@lru_cache(maxsize=4)
def _order(count: int, seed: int, epoch: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, epoch]).permutation(count)
