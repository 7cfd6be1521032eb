"""Windows of tokens and actions, gathered from a latent store into batches."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .latent_store import LatentStore
from .windows import WindowIndex


class TokenBatch(NamedTuple):
    """Windows of ``T`` frames: ``B`` of them."""

    tokens: Tensor  # (B, T, P, D), in the store's number type
    times: Tensor  # (B, T) seconds, float64
    actions: Tensor | None  # (B, T - 1, frameskip * A) float32, in the environment's units, one after the other


class TokenWindows:
    """All windows of some trajectories of a store; made by :meth:`LatentStore.windows`."""

    def __init__(self, store: LatentStore, num_frames: int, frameskip: int, members: NDArray[np.int64]):
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
