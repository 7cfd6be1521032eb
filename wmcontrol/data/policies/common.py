"""What the policies for collecting share: how long episodes are, and noise that stays for a while."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..collecting import Lengths, Script

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Scripted:
    """A policy whose scripts are all made in one way: of a number of frames and a generator."""

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
