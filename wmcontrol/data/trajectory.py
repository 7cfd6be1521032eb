"""One trajectory: what was seen, where the world was, what was done, when.

Letters: ``T`` frames (of this trajectory), ``n`` numbers in a state, ``A`` numbers in one environment action.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .frames import Frames

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Provenance:
    """Where a trajectory comes from: what errors name, and what a report can cite."""

    layout: str  # the name of the reader
    path: Path  # the file or folder
    record: str  # which trajectory in it, in that layout's own words, as "episode_12"

    def __str__(self) -> str:
        return f"{self.path} ({self.layout}, {self.record})"


@dataclass(frozen=True, kw_only=True, repr=False)
class Trajectory:
    """T frames or states, and the T - 1 actions between them: action ``t`` leads from frame ``t`` to ``t + 1``.

    Layouts that record an action with the last frame too lose it, since nobody saw what it did. Numbers of other
    types are converted to float64.

    Raises:
        ValueError: it is empty, shapes or lengths that disagree, what is no number or not finite, times that do not
            rise; it names the record.
    """

    times: Floats  # (T,) seconds
    provenance: Provenance
    frames: Frames | None = None  # None: nobody kept or can draw them
    states: Floats | None = None  # (T, n), as the environment's get_state() where it is one of ours
    actions: Floats | None = None  # (T - 1, A), in the environment's units
    rewards: Floats | None = None  # (T - 1,), that each action was given
    variation: Mapping[str, Floats] = field(default_factory=dict)  # how this world looked, where it is one of ours

    def __post_init__(self) -> None:
        T = len(self._numbers("times", self.times, "(T,)"))
        if T == 0:
            raise ValueError(f"{self.provenance}: it is empty")
        for name, expected, shape in (
            ("times", T, "(T,)"),
            ("states", T, "(T, n)"),
            ("actions", T - 1, "(T - 1, A)"),
            ("rewards", T - 1, "(T - 1,)"),
        ):
            given = getattr(self, name)
            if given is None:
                continue
            values = self._numbers(name, given, shape)
            if len(values) != expected:
                raise ValueError(f"{self.provenance}: expected {expected} {name} for {T} times, got {len(values)}")
            finite = np.isfinite(values).all(axis=tuple(range(1, values.ndim)))
            if not finite.all():
                raise ValueError(f"{self.provenance}: {name}[{finite.argmin()}] is not finite")
            object.__setattr__(self, name, values)
        for name, look in self.variation.items():
            if not np.isfinite(self._numbers(f"variation {name}", np.ravel(look), "(k,)")).all():
                raise ValueError(f"{self.provenance}: variation {name} is not finite, got {look}")
        if self.frames is not None and len(self.frames) != T:
            raise ValueError(f"{self.provenance}: expected {T} frames, one for each time, got {len(self.frames)}")
        if T > 1 and not (np.diff(self.times) > 0).all():
            row = int((np.diff(self.times) <= 0).argmax())
            raise ValueError(
                f"{self.provenance}: times must rise, got {self.times[row]} and then {self.times[row + 1]} at {row + 1}"
            )

    def __len__(self) -> int:
        return len(self.times)

    def __repr__(self) -> str:
        arrays = {name: getattr(self, name) for name in ("states", "actions", "rewards")}
        parts = [f"{name} {array.shape}" for name, array in arrays.items() if array is not None]
        seen = "times" if self.frames is None else "frames"
        return f"Trajectory({', '.join([f'{len(self)} {seen}', *parts])}, from {str(self.provenance)!r})"

    def _numbers(self, name: str, given: Any, shape: str) -> Floats:
        array = np.asarray(given)
        if array.dtype.kind not in "fiu" or array.ndim != shape.count(",") + (", " in shape) or 0 in array.shape[1:]:
            raise ValueError(
                f"{self.provenance}: {name} must be numbers of shape {shape}, got {array.dtype} of shape {array.shape}"
            )
        return array.astype(np.float64, copy=False)
