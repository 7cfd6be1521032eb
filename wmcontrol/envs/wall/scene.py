"""How the two rooms look: black walls on white, and a red dot with soft edges, as in the reference frames."""

from collections.abc import Sequence

import numpy as np

from ..backgrounds import Distractors
from ..canvas import Camera, Floats, Frames, supersample
from ..variation import Values
from .physics import BORDER, HALF_DOOR, HALF_WIDTH, SIZE

WHITE, BLACK, RED, GREEN = (255, 255, 255), (0, 0, 0), (255, 0, 0), (0, 170, 0)
DOT_SIGMA = 1.7  # of the Gaussian dot
WINDOW_ORIGIN = (-0.5, -0.5)
_REACH = 4.0  # how many sigmas of the dot are drawn


def paint_background(size: int, values: Values, distractors: Distractors) -> Frames:
    """Paint the floor, distractors and walls: (size, size, 3)."""
    floor = np.broadcast_to(values["background_color"], (size, size, 3))
    if distractors:

        def painting(frames: Frames) -> None:
            frames[:] = values["background_color"]
            for distractor in distractors:
                distractor.paint(frames, Camera(_origin(values)[None], SIZE))

        floor = supersample(size, painting).astype(float)
    cover = _wall_cover(size, values)[..., None]
    return np.rint(floor + cover * (values["wall_color"] - floor)).astype(np.uint8)


def paint_floor_mask(size: int, values: Values, distractors: Distractors) -> Frames:
    """Paint the floor white and the walls black, (size, size, 3): dots are seen only on the floor."""
    return np.repeat(np.rint(255 * (1 - _wall_cover(size, values)))[..., None], 3, -1).astype(np.uint8)


def _origin(values: Values) -> Floats:
    return np.array(WINDOW_ORIGIN) + values["camera_offset"] * SIZE


def _wall_cover(size: int, values: Values) -> Floats:
    """Return how much of each pixel walls cover, (size, size)."""
    x, door = float(values["wall_position"][0]), float(values["door_position"][0])
    origin = _origin(values)

    def cover(low: float, high: float, axis: int) -> Floats:
        """Return how much of each column or row lies between two coordinates, (size,)."""
        edges = origin[axis] + np.arange(size + 1) * (SIZE / size)
        inside = np.clip(edges, low, high)
        return np.asarray(np.diff(inside) * (size / SIZE))

    # Walls are whole pixels of the reference frame: a line at 4 covers 3.5 to 4.5.
    lines = [(edge - 0.5, edge + 0.5) for edge in BORDER]
    columns = 1 - np.sum([cover(*line, 0) for line in lines], 0)
    rows = 1 - np.sum([cover(*line, 1) for line in lines], 0)
    wall = cover(x - HALF_WIDTH - 0.5, x + HALF_WIDTH + 0.5, 0)
    beside_door = 1 - cover(door - HALF_DOOR - 0.5, door + HALF_DOOR + 0.5, 1)
    return np.asarray(1 - rows[:, None] * columns * (1 - beside_door[:, None] * wall))


def draw_dots(
    frames: Frames,
    floors: Sequence[Frames],
    camera: Camera,
    positions: Floats,
    sigmas: Floats,
    colors: Floats,
) -> None:
    """Blend one soft dot into every frame, all frames at once.

    Args:
        frames: (N, S, S, 3), written in place.
        floors: N pictures (S, S, 3), 255 where a dot is seen and 0 where a wall hides it.
        camera: what the frames show.
        positions: (N, 2) in world units.
        sigmas: (N,) of the dots, in world units.
        colors: (N, 3), 0 to 255.
    """
    size = frames.shape[1]
    scale = size / camera.side
    width = min(size, int(np.ceil(2 * _REACH * sigmas.max() * scale)) + 1)
    centers = camera.to_pixels(positions, size)
    corners = np.clip(np.rint(centers - width / 2).astype(int), 0, size - width)  # (N, 2): column, row
    distance = corners[:, :, None] + np.arange(width) - centers[:, :, None]  # (N, 2, width)
    falloff = np.exp(-np.square(distance) / (2 * np.square(sigmas * scale)[:, None, None]))
    alpha = (falloff[:, 1, :, None] * falloff[:, 0, None, :] / 255)[..., None]  # (N, width, width, 1)
    colors = colors[:, None, None]
    places = [np.s_[row : row + width, column : column + width] for column, row in corners.tolist()]
    patches = np.stack([frame[place] for frame, place in zip(frames, places, strict=True)])
    seen = np.stack([floor[place][..., :1] for floor, place in zip(floors, places, strict=True)])
    blended = np.rint(patches + alpha * seen * (colors - patches)).astype(np.uint8)
    for frame, place, patch in zip(frames, places, blended, strict=True):
        frame[place] = patch
