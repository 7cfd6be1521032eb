"""How Push-T looks: the colours and proportions of the reference frames, anti-aliased."""

import numpy as np

from ..backgrounds import Distractors
from ..canvas import (
    Camera,
    Floats,
    Frames,
    Rows,
    draw_discs,
    draw_polygons,
    edge_reach,
    fill_polygons,
    paint_polygons,
    rectangle,
    supersample,
)
from ..variation import Values
from .geometry import T, placed
from .physics import AGENT_RADIUS, BAR, FIELD, STEM

WHITE = (255, 255, 255)
LIGHT_GRAY = (211, 211, 211)  # walls
LIGHT_SLATE_GRAY = (119, 136, 153)  # block
ROYAL_BLUE = (65, 105, 225)  # agent
LIGHT_GREEN = (144, 238, 144)  # target
TARGET_POSE = np.array([256.0, 256.0, np.pi / 4])
# The references draw on a canvas of 512 pixels, on which the coordinate 0 is the centre of the first one.
WINDOW_ORIGIN = (-0.5, -0.5)
_BORDER = 2.0  # half the width of the block's outline, and half the agent's
_LIGHTER = 1.2  # the inside of a shape against its outline


# For drawing without a seam, the target's stem begins at the bar's outer edge.
_TARGET = np.stack([rectangle(*BAR), rectangle(STEM[0], BAR[1], STEM[2], STEM[3])])
_OUTWARD = rectangle(-1, -1, 1, 1)  # where each corner goes when a rectangle grows by 1
_WALLS = np.stack([rectangle(*box) for box in ((3, 3, 508, 7), (504, 3, 508, 508), (3, 504, 508, 508), (3, 3, 7, 508))])


def _with_light(color: Floats) -> Floats:
    """Return outline and inside colours (N, 2, 3) of colours (N, 3)."""
    return np.minimum(color[:, None] * [[1.0], [_LIGHTER]], 255)


def paint_background(size: int, values: Values, distractors: Distractors, target: Floats | None) -> Frames:
    """Paint the floor, distractors, target ``(x, y, angle)`` and walls: (size, size, 3)."""

    def painting(frames: Frames) -> None:
        frames[:] = values["background_color"]
        camera = Camera(np.array([WINDOW_ORIGIN]) + values["camera_offset"] * FIELD, FIELD)
        for distractor in distractors:
            distractor.paint(frames, camera)
        if target is not None:
            draw_target(frames, camera, target[None], values["block_size"], values["goal_color"][None])
        paint_polygons(frames, camera, _WALLS[None], np.repeat(values["wall_color"][None, None], 4, 1))

    return supersample(size, painting)


def draw_target(frames: Frames, camera: Camera, poses: Floats, scale: Floats, color: Floats) -> None:
    """Draw where a block shall be: ``poses`` (N, 3), ``scale`` (N,), ``color`` (N, 3)."""
    parts = placed(poses, scale[:, None, None, None] * _TARGET)
    draw_polygons(frames, camera, parts, np.repeat(color[:, None], 2, 1))


def draw_bodies(frames: Frames, camera: Camera, states: Floats, values: Values, rows: Rows) -> None:
    """Draw agents and blocks in states (R, 7) on frames of ``rows``; ``values`` hold (N, k)."""
    # Each part twice: out to the outer edge of its outline, and inside of it.
    borders = np.array([_BORDER, -_BORDER]) - edge_reach(frames, camera)
    parts = values["block_size"][rows, :, None, None, None] * T[:, None] + borders[:, None, None] * _OUTWARD
    block = placed(states[:, 2:5], parts.reshape(-1, 4, 4, 2))
    fill_polygons(frames, camera, block, np.tile(_with_light(values["block_color"][rows]), (1, 2, 1)))
    agent = np.repeat(states[:, None, :2], 2, 1)
    radii = AGENT_RADIUS * values["agent_size"][rows] - (0.0, 2 * _BORDER)
    draw_discs(frames, camera, agent, radii, _with_light(values["agent_color"][rows]))
