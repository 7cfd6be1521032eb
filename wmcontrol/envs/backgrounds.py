"""Still backgrounds, painted once and kept."""

from collections.abc import Callable

import numpy as np

from .canvas import Frames, supersample
from .distractor import Distractor
from .variation import Values
from .world import Rows

# Paints the floor and what stands on it, on (1, S, S, 3), for one world's values and distractors.
Painter = Callable[[Frames, Values, tuple[Distractor, ...]], None]


class Backgrounds:
    """The background of each of ``N`` worlds at each size, painted when first needed."""

    def __init__(self, painter: Painter, num_worlds: int):
        self._painter = painter
        self._looks: list[tuple[Values, tuple[Distractor, ...]] | None] = [None] * num_worlds
        self._keys: list[bytes] = [b""] * num_worlds
        self._painted: dict[tuple[bytes, int], Frames] = {}

    def change(self, row: int, values: Values, distractors: tuple[Distractor, ...]) -> None:
        """Say what one world looks like from now on."""
        key = b"".join(value.tobytes() for value in values.values()) + repr(distractors).encode()
        if key == self._keys[row]:
            return
        self._keys[row], self._looks[row] = key, (values, distractors)
        kept = set(self._keys)
        self._painted = {k: picture for k, picture in self._painted.items() if k[0] in kept}

    def frames(self, rows: Rows, size: int) -> Frames:
        """Return new frames (R, size, size, 3) that hold the backgrounds of these worlds."""
        frames = np.empty((len(rows), size, size, 3), np.uint8)
        for frame, row in zip(frames, rows, strict=True):
            frame[:] = self._picture(int(row), size)
        return frames

    def _picture(self, row: int, size: int) -> Frames:
        key = (self._keys[row], size)
        if key not in self._painted:
            look = self._looks[row]
            assert look is not None, "change() comes before frames()"
            self._painted[key] = supersample(size, lambda large: self._painter(large, *look))
        return self._painted[key]
