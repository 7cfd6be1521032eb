"""Still backgrounds, painted once and kept."""

from collections.abc import Callable

import numpy as np

from .canvas import Frames
from .distractor import Distractor
from .variation import Values
from .world import Rows

_Key = tuple[bytes, tuple[Distractor, ...]]
# Paints a picture (size, size, 3) of one world: its size, values and distractors.
Painter = Callable[[int, Values, tuple[Distractor, ...]], Frames]


class Backgrounds:
    """The background of each of ``N`` worlds at each size, painted when first needed."""

    def __init__(self, painter: Painter, num_worlds: int):
        self._painter = painter
        self._looks: list[Values] = [{}] * num_worlds
        self._keys: list[_Key] = [(b"", ())] * num_worlds
        self._painted: dict[tuple[_Key, int], Frames] = {}

    def change(self, row: int, values: Values, distractors: tuple[Distractor, ...]) -> None:
        """Say what one world looks like from now on."""
        key = (b"".join(value.tobytes() for value in values.values()), distractors)
        if key == self._keys[row]:
            return
        self._keys[row], self._looks[row] = key, values
        kept = set(self._keys)
        self._painted = {k: picture for k, picture in self._painted.items() if k[0] in kept}

    def frames(self, rows: Rows, size: int) -> Frames:
        """Return new frames (R, size, size, 3) that hold the backgrounds of these worlds."""
        return np.stack(self.pictures(rows, size))

    def pictures(self, rows: Rows, size: int) -> list[Frames]:
        """Return the backgrounds of these worlds, each (size, size, 3), to be read only."""
        return [self._picture(self._keys[row], size, row) for row in rows.tolist()]

    def _picture(self, key: "_Key", size: int, row: int) -> Frames:
        if (key, size) not in self._painted:
            look, distractors = self._looks[row], key[1]
            assert look, "change() comes before pictures()"
            self._painted[key, size] = self._painter(size, look, distractors)
        return self._painted[key, size]
