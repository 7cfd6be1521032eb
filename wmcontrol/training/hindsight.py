"""Pairs of frames of a store's trajectories, and how many steps lie between them: what hindsight teaches.

Letters: ``B`` pairs of frames, ``N`` the most model steps that are told apart, ``P`` patches of a frame, ``D`` numbers
of a token.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..data import LatentStore
from ..hardware import usable_device
from ..models import WorldModel
from .inputs import Seeds, model_beside, open_store, split, token_statistics

_FARTHER = 0.35  # of the pairs are of two trajectories


class Pairs(NamedTuple):
    """Two frames each, and how many model steps apart they are."""

    tokens: Tensor  # (B, P, D)
    goal: Tensor  # (B, P, D)
    steps: Tensor  # (B,) from 0 to N, N + 1 for "farther"


class HindsightPairs:
    """Pairs of frames of one trajectory, any number of steps up to N apart, and of two trajectories.

    Args:
        store: of tokens.
        members: numbers of trajectories.
        frameskip: environment steps of a model step; what lies between is rounded up.
        max_steps: N.
        use: what they are for, as errors say it.

    Raises:
        ValueError: there are fewer than two trajectories, or none is as long as a model step.
    """

    def __init__(
        self, store: LatentStore, members: Sequence[int], frameskip: int, max_steps: int, use: str = "to learn from"
    ):
        lengths = store.lengths[list(members)]
        if len(lengths) < 2 or lengths.max() <= frameskip:
            raise ValueError(
                f"{store.folder}: expected at least two trajectories {use}, one of them longer than the {frameskip} "
                f"steps of a model step; got {len(lengths)}, of at most {max(0, lengths.max(initial=1) - 1)} steps; "
                "give more or longer ones, or another split_seed, which decides what is held out"
            )
        self._store, self._max_steps, self.folder = store, max_steps, store.folder
        self.frames = np.concatenate([np.arange(n) + store.offsets[m] for m, n in zip(members, lengths, strict=True)])
        self._lengths = np.repeat(lengths, lengths)  # of the trajectory of each frame
        self._firsts = np.repeat(np.cumsum(lengths) - lengths, lengths)  # where in frames it begins
        self._rest = rest = self._firsts + self._lengths - 1 - np.arange(len(self.frames))  # steps after each frame
        self._by_rest = np.argsort(-rest, kind="stable")
        most = min(int(lengths.max()) - 1, max_steps * frameskip)
        self._having = len(rest) - np.searchsorted(np.sort(rest), np.arange(most + 1))  # frames with so many after them

        self._steps = -(-np.arange(most + 1) // frameskip)  # model steps that so many take
        near = np.bincount(self._steps, minlength=max_steps + 1) / (most + 1)
        self.shares = np.append((1 - _FARTHER) * near, _FARTHER)  # of pairs with so many model steps

    def later(self, count: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return any frames (count,) but the last of trajectories, and for each a later one (count,) of its trajectory,
        any of those up to N model steps later as likely."""
        starts = self._by_rest[rng.integers(self._having[1], size=count)]
        most = np.minimum(self._rest[starts], len(self._having) - 1)
        return starts, starts + 1 + rng.integers(most)

    def tokens(self, rows: NDArray[np.int64]) -> Tensor:
        """Return the tokens (…, P, D) of frames (…), by their numbers in ``frames``."""
        return self._store.tokens[torch.from_numpy(self.frames[rows])].float()

    def statistics(self, seed: int) -> tuple[Tensor, Tensor]:
        """Return means and deviations (D,) of the numbers of tokens; see :func:`~.inputs.token_statistics`."""
        starts, _ = self.later(4096, np.random.default_rng([seed, 2]))
        return token_statistics(self.tokens(starts), self.folder)

    def draw(self, count: int, rng: np.random.Generator) -> Pairs:
        """Draw pairs at random, any number of environment steps as often."""
        gaps = rng.integers(len(self._having), size=count)
        starts = self._by_rest[rng.integers(self._having[gaps])]
        goals, steps = starts + gaps, self._steps[gaps]
        far = rng.random(count) < _FARTHER
        others = rng.integers(len(self.frames) - self._lengths[starts])
        others += np.where(others >= self._firsts[starts], self._lengths[starts], 0)
        goals, steps = np.where(far, others, goals), np.where(far, self._max_steps + 1, steps)
        return Pairs(self.tokens(starts), self.tokens(goals), torch.from_numpy(steps))


class FarSettings(Seeds, Protocol):
    """Settings of a training that learns from pairs."""

    @property
    def max_steps(self) -> int:
        """N."""


class Hindsight(NamedTuple):
    """What a training begins with that learns from pairs of frames."""

    device: torch.device
    store: LatentStore
    model: WorldModel  # a copy, which gets what is learned
    pairs: HindsightPairs  # to train on
    unseen: HindsightPairs  # of held-out trajectories


def hindsight(
    store: LatentStore | str | Path, base: WorldModel | str | Path, settings: FarSettings, device: str | torch.device
) -> Hindsight:
    """Return what a training begins with that learns from pairs of a store's frames, for a model with actions.

    Raises:
        ValueError: a store of another encoder, a model without actions, too few or too short trajectories.
        OSError: the store or model is not there.
    """
    place, data = usable_device(device), open_store(store)
    world = model_beside(base, data)
    if world.normalizer is None:
        raise ValueError("base: expected a model with actions, whose frameskip says how long a model step is")
    train, held_out = split(data, settings)
    if len(held_out) < 2:  # as of few trajectories; pairs of two need two
        train, held_out = train[:-1], [*held_out, *train[-1:]]
    pairs = HindsightPairs(data, train, world.frameskip, settings.max_steps)
    unseen = HindsightPairs(data, held_out, world.frameskip, settings.max_steps, use="to hold out")
    return Hindsight(place, data, world, pairs, unseen)
