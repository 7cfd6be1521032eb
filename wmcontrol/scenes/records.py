"""What scenes are made into: clips with exact labels, and pairs of films of which one cannot be."""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

# In the order of their numbers in masks; the first two are no bodies.
CLASSES = ("wall", "floor", "obstacle", "occluder", "disc", "box", "triangle", "pentagon")
SceneKind = Literal["flat", "solid"]
CATEGORIES = ("permanence", "continuity", "solidity", "gravity", "constancy")


class Clip(NamedTuple):
    """A film, and what is true of each of its pixels.

    Attributes:
        frames: (T, height, width, 3) uint8, RGB.
        classes: (T, height, width) uint8, numbers of class names; of what is nearest at the middle of the pixel.
        instances: (T, height, width) uint8, which thing it is, the same in all frames; 0 is wall or floor.
        depth: (T, height, width) float32, metres from the camera's plane.
        times: (T,) float64, seconds.
    """

    frames: NDArray[np.uint8]
    classes: NDArray[np.uint8]
    instances: NDArray[np.uint8]
    depth: NDArray[np.float32]
    times: NDArray[np.float64]


class Pair(NamedTuple):
    """Two films with the same beginning, of which one goes on as it must and the other as it cannot.

    Attributes:
        possible: the first.
        impossible: the second.
        category: what it breaks, of :data:`CATEGORIES`.
        first_difference: the first frame that differs; all before are the same, bit by bit.
    """

    possible: Clip
    impossible: Clip
    category: str
    first_difference: int
