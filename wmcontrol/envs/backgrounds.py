"""Still backgrounds, painted once and kept; and what may lie on the floor to distract."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .canvas import Camera, Frames, Rows, draw_discs, paint_polygons
from .variation import Values


@dataclass(frozen=True)
class Distractor:
    """A coloured disc or square on the floor, which moves nothing and means nothing.

    Centre and radius are in world units, the angle in radians, the colour 0 to 255.
    """

    round: bool
    center: tuple[float, float]
    radius: float
    angle: float
    color: tuple[float, float, float]

    def paint(self, frames: Frames, camera: Camera) -> None:
        """Paint it on one frame (1, S, S, 3). It stays where it is in the world when the camera moves."""
        center, color = np.array(self.center), np.array([[self.color]])
        if self.round:
            draw_discs(frames, camera, center[None, None], np.array([[self.radius]]), color)
        else:
            angles = self.angle + np.arange(4) * np.pi / 2
            corners = center + self.radius * np.stack([np.cos(angles), np.sin(angles)], -1)
            paint_polygons(frames, camera, corners[None, None], color)


Distractors = tuple[Distractor, ...]
# Paints a picture (size, size, 3) of one world: its size, values and distractors.
Painter = Callable[[int, Values, Distractors], Frames]


class Backgrounds:
    """The background of each of ``N`` worlds at each size, painted when first needed."""

    def __init__(self, painter: Painter, num_worlds: int):
        self._painter = painter
        self._looks: list[Values] = [{}] * num_worlds
        self._keys: list[tuple[bytes, Distractors]] = [(b"", ())] * num_worlds
        self._painted: dict[tuple[tuple[bytes, Distractors], int], Frames] = {}

    def change(self, row: int, values: Values, distractors: Distractors) -> None:
        """Say what one world looks like from now on."""
        key = (b"".join(value.tobytes() for value in values.values()), distractors)
        if key != self._keys[row]:
            self._keys[row], self._looks[row] = key, values
            self._painted = {k: picture for k, picture in self._painted.items() if k[0] in self._keys}

    def frames(self, rows: Rows, size: int) -> Frames:
        """Return new frames (R, size, size, 3) that hold the backgrounds of these worlds."""
        return np.stack(self.pictures(rows, size))

    def pictures(self, rows: Rows, size: int) -> list[Frames]:
        """Return the backgrounds of these worlds, each (size, size, 3), to be read only."""
        for row in rows.tolist():
            key = self._keys[row]
            if (key, size) not in self._painted:
                self._painted[key, size] = self._painter(size, self._looks[row], key[1])
        return [self._painted[self._keys[row], size] for row in rows.tolist()]
