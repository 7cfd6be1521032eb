"""What the policies for collecting share: how long episodes are, and noise that stays for a while."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...data.collect import Script

Floats = NDArray[np.float64]
Length = int | tuple[int, int]  # frames of an episode, or from how many to how many


@dataclass(frozen=True)
class Lengths:
    """How many frames episodes have: each number from ``low`` to ``high`` is as likely."""

    low: int
    high: int

    @staticmethod
    def of(num_frames: Length) -> "Lengths":
        """Take a number, or a pair of them.

        Raises:
            ValueError: it is neither, or less than 2.
        """
        pair = num_frames if isinstance(num_frames, (tuple, list)) else (num_frames, num_frames)
        whole = len(pair) == 2 and all(isinstance(n, (int, np.integer)) and not isinstance(n, bool) for n in pair)
        if not whole or not 2 <= pair[0] <= pair[1]:
            raise ValueError(f"num_frames must be 2 or more, or the least and the most, got {num_frames!r}")
        return Lengths(int(pair[0]), int(pair[1]))

    def draw(self, rng: np.random.Generator) -> int:
        """Draw the length of one episode."""
        return int(rng.integers(self.low, self.high, endpoint=True))


@dataclass(frozen=True)
class Scripted:
    """A behaviour whose scripts are all made in one way: of a number of frames and a generator."""

    make: Callable[[int, np.random.Generator], Script]
    lengths: Lengths
    env_settings: Mapping[str, Any] = field(default_factory=dict)

    def script(self, rng: np.random.Generator) -> Script:
        """Return the script of an episode."""
        return self.make(self.lengths.draw(rng), rng)


class ScriptBase:
    """What scripts have besides ``act``."""

    def __init__(self, num_frames: int, options: Mapping[str, Any] | None = None):
        self.num_frames = num_frames
        self.options: Mapping[str, Any] = options or {}


def lasting_noise(rng: np.random.Generator, count: int, size: int, correlation: float) -> Floats:
    """Draw ``count`` numbers (count, size) of unit variance, each like the one before by ``correlation``."""
    noise = rng.standard_normal((count, size))
    for i in range(1, count):
        noise[i] = correlation * noise[i - 1] + np.sqrt(1 - correlation**2) * noise[i]
    return noise
