"""The order in which windows are trained on: shuffled, the same for any number of processes, resumable anywhere."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


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
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
                raise ValueError(f"{name} must be a whole number from {least} up, got {value!r}")
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
