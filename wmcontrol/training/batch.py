"""Where training batches come from: windows or clips of stored tokens, by the number of the step alone.

Letters: ``B`` clips, ``T`` frames of a clip, ``P`` patches of a frame, ``D`` numbers of a token, ``A`` numbers of a
model action.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from ..data import LatentStore
from ..data.clip_index import ClipIndex
from ..data.windows import Shuffled, TokenWindows
from ..models import ActionNormalizer

_SPAN = 2**32  # clips of one store are numbered apart from those of another


class Batch(NamedTuple):
    """What one step of one process trains on."""

    tokens: Tensor  # (B, T, P, D) float32
    times: Tensor  # (B, T) seconds, float64
    actions: Tensor | None  # (B, T - 1, A), normalised
    names: Sequence[str]  # (B,) where each clip comes from, for errors

    def part(self, rows: slice) -> "Batch":
        """Return some rows."""
        actions = None if self.actions is None else self.actions[rows]
        return Batch(self.tokens[rows], self.times[rows], actions, self.names[rows])

    def to(self, device: torch.device) -> "Batch":
        """Return it on a device."""
        tokens, times = (x.to(device, non_blocking=True) for x in (self.tokens, self.times))
        actions = None if self.actions is None else self.actions.to(device, non_blocking=True)
        return Batch(tokens, times, actions, self.names)

    def pinned(self) -> "Batch":
        """Return it in pinned memory, from which a GPU copies without waiting."""
        actions = None if self.actions is None else self.actions.pin_memory()
        return Batch(self.tokens.pin_memory(), self.times.pin_memory(), actions, self.names)


class Source(Protocol):
    """Batches by number: the same number, the same batch, on any machine and after any restart."""

    @property
    def batch_size(self) -> int:
        """Clips of a batch, of all processes together."""

    def batch(self, step: int, rank: int = 0, world_size: int = 1) -> Batch:
        """Return a process's share of a batch."""


def read_batches(source: Source, steps: range, rank: int, world_size: int, *, ahead: bool) -> Iterator[Batch]:
    """Yield a process's shares of batches.

    Args:
        source: of batches.
        steps: which.
        rank, world_size: the process, of how many.
        ahead: read each in a thread while the one before it is used, and keep it where a GPU copies it from while it
            computes.
    """
    if not ahead:
        yield from (source.batch(step, rank, world_size) for step in steps)
        return

    def read(step: int) -> Batch:
        found = source.batch(step, rank, world_size)
        return found.pinned() if torch.cuda.is_available() else found

    with ThreadPoolExecutor(1) as pool:
        waiting = [pool.submit(read, step) for step in steps[:1]]
        for number in range(len(steps)):
            batch = waiting.pop().result()
            waiting += [pool.submit(read, step) for step in steps[number + 1 : number + 2]]
            yield batch


@dataclass(frozen=True)
class WindowSource:
    """Shuffled windows with actions, each once before any comes again: for fine-tuning.

    Args:
        windows: of a store.
        batch_size: of all processes together.
        normalizer: of actions, with the windows' frameskip; None for batches without actions.
        seed: decides the order.
    """

    windows: TokenWindows
    batch_size: int
    normalizer: ActionNormalizer | None
    seed: int

    def batch(self, step: int, rank: int = 0, world_size: int = 1) -> Batch:
        """Return a process's share of a batch."""
        order = Shuffled(len(self.windows), self.batch_size, seed=self.seed, rank=rank, world_size=world_size)
        numbers = order.batch(step)
        found = self.windows.batch(numbers)
        actions = None
        if self.normalizer is not None:
            if found.actions is None:
                raise ValueError(f"{self.windows.store.folder} has no actions to train with")
            actions = self.normalizer.to_model(found.actions.unflatten(-1, (self.normalizer.frameskip, -1)))
        return Batch(found.tokens.float(), found.times, actions, self.windows.names(numbers))


@dataclass(frozen=True)
class MixedSource:
    """Batches that are made of a batch of each of two sources, one after the other.

    Args:
        first, second: of clips with as many frames, and with actions or without, both alike.
    """

    first: Source
    second: Source

    @property
    def batch_size(self) -> int:
        """Clips of a batch, of all processes together."""
        return self.first.batch_size + self.second.batch_size

    def batch(self, step: int, rank: int = 0, world_size: int = 1) -> Batch:
        """Return a process's share of a batch."""
        one, two = (source.batch(step, rank, world_size) for source in (self.first, self.second))
        both = None if one.actions is None or two.actions is None else torch.cat([one.actions, two.actions])
        names = [*one.names, *two.names]
        return Batch(torch.cat([one.tokens, two.tokens]), torch.cat([one.times, two.times]), both, names)


class ClipSource:
    """Clips of variable frame rate without actions, out of several stores, mixed by weight: for pretraining.

    Args:
        stores: with tokens of one shape and one encoder.
        weights: how often each is drawn from, relative to the others.
        batch_size: of all processes together.
        num_frames: T.
        step_seconds: the shortest and the longest time from one frame to the next.
        seed: decides which clips.

    Raises:
        ValueError: stores whose tokens differ in shape, weights that make no sense, or no clip fits into a store.
    """

    def __init__(
        self,
        stores: Sequence[LatentStore],
        weights: Sequence[float],
        batch_size: int,
        *,
        num_frames: int,
        step_seconds: tuple[float, float],
        seed: int,
    ):
        if not stores or len(stores) != len(weights):
            raise ValueError(
                f"weights: expected one for each of {len(stores)} stores, at least one; got {len(weights)}"
            )
        if not all(0 < weight < np.inf for weight in weights):
            raise ValueError(f"weights must be numbers over 0, got {list(weights)}")
        shapes = {tuple(store.tokens.shape[1:]) for store in stores}
        if len(shapes) > 1:
            raise ValueError(f"stores must have tokens of one shape (P, D), got {sorted(shapes)}")
        self._batch_size = batch_size
        self._stores, self._seed = list(stores), seed
        self._ends = np.cumsum(np.asarray(weights, float)) / np.sum(weights)
        self._clips = [
            ClipIndex.over(store.times, store.lengths, num_frames, step_seconds, seed=seed + 1 + i)
            for i, store in enumerate(stores)
        ]

    @property
    def batch_size(self) -> int:
        """Clips of a batch, of all processes together."""
        return self._batch_size

    def batch(self, step: int, rank: int = 0, world_size: int = 1) -> Batch:
        """Return a process's share of a batch."""
        if self.batch_size % world_size:
            raise ValueError(f"batch_size must be a multiple of the {world_size} processes, got {self.batch_size}")
        share = self.batch_size // world_size
        # All processes draw which store each clip of the whole batch is of, and keep their own.
        draws = np.random.default_rng([self._seed, step]).random(self.batch_size)
        places = np.arange(rank * share, (rank + 1) * share)
        owners = np.searchsorted(self._ends, draws[places], side="right")
        numbers = (step * self.batch_size + places) % _SPAN
        pieces, names, order = [], [], []
        for i, (store, clips) in enumerate(zip(self._stores, self._clips, strict=True)):
            mine = np.flatnonzero(owners == i)
            if not len(mine):
                continue
            chosen = clips.choose(numbers[mine])
            rows = store.offsets[chosen.trajectories][:, None] + chosen.frames
            tokens = store.tokens.index_select(0, torch.from_numpy(rows.ravel())).unflatten(0, rows.shape)
            pieces.append((tokens.float(), torch.from_numpy(chosen.times)))
            names += [f"{store.folder} trajectory {t} from frame {f[0]}" for t, f in zip(*chosen[:2], strict=True)]
            order.append(mine)
        back = np.argsort(np.concatenate(order))
        return Batch(
            torch.cat([tokens for tokens, _ in pieces])[back],
            torch.cat([times for _, times in pieces])[back],
            None,
            [names[i] for i in back],
        )
