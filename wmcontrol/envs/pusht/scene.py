"""How Push-T looks: the colours and proportions of the reference frames, anti-aliased."""

import numpy as np

from ..canvas import Camera, Floats, Frames, draw_discs, draw_polygons, rectangle
from ..distractor import Distractor, paint
from ..variation import Values
from .geometry import corners
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


def _grown(box: tuple[float, float, float, float], by: float) -> Floats:
    left, top, right, bottom = box
    return rectangle(left - by, top - by, right + by, bottom + by)


_SOLID = np.stack([rectangle(*BAR), rectangle(*STEM)])
_BLOCK = np.stack([_grown(BAR, _BORDER), _grown(BAR, -_BORDER), _grown(STEM, _BORDER), _grown(STEM, -_BORDER)])
_WALLS = np.stack([rectangle(*box) for box in ((3, 3, 508, 7), (504, 3, 508, 508), (3, 504, 508, 508), (3, 3, 7, 508))])


def _with_light(color: Floats) -> Floats:
    """Return outline and inside colours (N, 2, 3) of colours (N, 3)."""
    return np.stack([color, np.minimum(_LIGHTER * color, 255)], 1)


def paint_background(
    frames: Frames, values: Values, distractors: tuple[Distractor, ...], target: Floats | None
) -> None:
    """Paint the floor, distractors, target ``(x, y, angle)`` and walls on one frame (1, S, S, 3)."""
    frames[:] = values["background_color"]
    camera = Camera(np.array([WINDOW_ORIGIN]) + values["camera_offset"] * FIELD, FIELD)
    paint(frames, camera, distractors)
    if target is not None:
        draw_target(frames, camera, target[None], values["block_size"], values["goal_color"][None])
    draw_polygons(frames, camera, _WALLS[None], np.repeat(values["wall_color"][None, None], 4, 1))


def draw_target(frames: Frames, camera: Camera, poses: Floats, scale: Floats, color: Floats) -> None:
    """Draw where a block shall be: ``poses`` (N, 3), ``scale`` (N,), ``color`` (N, 3)."""
    draw_polygons(frames, camera, corners(poses, scale, _SOLID), np.repeat(color[:, None], 2, 1))


def draw_bodies(frames: Frames, camera: Camera, states: Floats, values: Values) -> None:
    """Draw agents and blocks in states (N, 7); ``values`` hold (N, k)."""
    block = corners(states[:, 2:5], values["block_size"][:, 0], _BLOCK)
    draw_polygons(frames, camera, block, np.tile(_with_light(values["block_color"]), (1, 2, 1)))
    agent = np.repeat(states[:, None, :2], 2, 1)
    radius = AGENT_RADIUS * values["agent_size"]
    radii = np.concatenate([radius, radius - 2 * _BORDER], 1)
    draw_discs(frames, camera, agent, radii, _with_light(values["agent_color"]))
