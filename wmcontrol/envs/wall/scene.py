"""How the two rooms look: black walls on white, and a red dot with soft edges, as in the reference frames."""

from collections.abc import Sequence

import numpy as np

from ..canvas import Camera, Floats, Frames, paint_polygons, rectangle
from ..distractor import Distractor, paint
from ..variation import Values
from .dynamics import BORDER, HALF_DOOR, HALF_WIDTH, SIZE

WHITE, BLACK, RED, GREEN = (255, 255, 255), (0, 0, 0), (255, 0, 0), (0, 170, 0)
DOT_SIGMA = 1.7  # of the Gaussian dot
WINDOW_ORIGIN = (-0.5, -0.5)
_REACH = 4.0  # how many sigmas of the dot are drawn
# Walls are whole pixels of the reference frame: a line at 4 covers 3.5 to 4.5.
_LOW, _HIGH = BORDER[0] - 0.5, BORDER[1] + 0.5
_FRAME = [
    rectangle(-0.5, _LOW, SIZE, _LOW + 1),
    rectangle(-0.5, _HIGH - 1, SIZE, _HIGH),
    rectangle(_LOW, -0.5, _LOW + 1, SIZE),
    rectangle(_HIGH - 1, -0.5, _HIGH, SIZE),
]


def paint_background(frames: Frames, values: Values, distractors: tuple[Distractor, ...]) -> None:
    """Paint the floor, distractors and walls on one frame (1, S, S, 3)."""
    frames[:] = values["background_color"]
    camera = _camera(values)
    paint(frames, camera, distractors)
    walls = _walls(values)
    paint_polygons(frames, camera, walls[None], np.tile(values["wall_color"], (1, len(walls), 1)))


def paint_floor_mask(frames: Frames, values: Values, distractors: tuple[Distractor, ...]) -> None:
    """Paint the floor white and the walls black: dots are seen only on the floor."""
    frames[:] = WHITE
    walls = _walls(values)
    paint_polygons(frames, _camera(values), walls[None], np.zeros((1, len(walls), 3)))


def _camera(values: Values) -> Camera:
    return Camera(np.array([WINDOW_ORIGIN]) + values["camera_offset"] * SIZE, SIZE)


def _walls(values: Values) -> Floats:
    x, door = values["wall_position"][0], values["door_position"][0]
    left, right = x - HALF_WIDTH - 0.5, x + HALF_WIDTH + 0.5
    above = rectangle(left, -0.5, right, door - HALF_DOOR - 0.5)
    below = rectangle(left, door + HALF_DOOR + 0.5, right, SIZE)
    return np.stack([*_FRAME, above, below])


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
