"""The geometry of the T: where its corners are, and how much of one a second one covers."""

import numpy as np

from ..canvas import Floats, rectangle
from .physics import BAR, CENTER_OF_GRAVITY, FREE, STEM

T = np.stack([rectangle(*BAR), rectangle(*STEM)])  # (2 parts, 4 corners, 2), in the block's own frame
AREA = 120.0 * 30.0 + 30.0 * 90.0  # of the T, square pixels
# Where edges coincide they must count once: the first shape's edges count out to this far beyond the second, the
# second's only this far within the first. Pixels.
_TIE = 1e-9


def placed(poses: Floats, shapes: Floats) -> Floats:
    """Turn and move shapes (…, K, V, 2), given in the block's own frame, to ``poses`` (…, 3): x, y, angle."""
    cos, sin = np.cos(poses[..., 2]), np.sin(poses[..., 2])
    turn = np.empty((*poses.shape[:-1], 1, 2, 2))  # rows times this: rotated
    turn[..., 0, 0, 0] = turn[..., 0, 1, 1] = cos
    turn[..., 0, 0, 1] = sin
    turn[..., 0, 1, 0] = -sin
    return np.asarray(shapes @ turn + poses[..., None, None, :2])


def corners(poses: Floats, scale: Floats | float = 1.0) -> Floats:
    """Return the corners (…, 2, 4, 2) of the bars and stems of blocks at ``poses`` (…, 3), of sizes ``scale`` (…)."""
    return placed(poses, np.asarray(scale)[..., None, None, None] * T)


def center_of_gravity(pose: Floats, scale: float) -> Floats:
    """Return the centre of gravity (2,) of a block at ``pose`` (3,): x, y, angle."""
    center: Floats = placed(pose, np.array([[CENTER_OF_GRAVITY]]) * scale)[0, 0]
    return center


def within_walls(pose: Floats, scale: float) -> bool:
    """Say whether a block at ``pose`` (3,) touches no wall."""
    low, high = FREE
    points = corners(pose, scale)
    return bool(np.all((points > low) & (points < high)))


def gap(state: Floats, scale: float) -> float:
    """Return the distance from the agent's centre to the block, 0 within it, for a state (7,)."""
    cos, sin = np.cos(state[4]), np.sin(state[4])
    x, y = state[:2] - state[2:4]
    local = np.array([cos * x + sin * y, -sin * x + cos * y])
    boxes = scale * np.array([BAR, STEM])  # left, top, right, bottom
    outside = np.maximum(np.maximum(boxes[:, :2] - local, local - boxes[:, 2:]), 0)
    return float(np.linalg.norm(outside, axis=-1).min())


def _cross(a: Floats, b: Floats) -> Floats:
    return np.asarray(a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0])


def _inner_boundary(edges_of: Floats, within: Floats, tie: float) -> Floats:
    """Sum cross(p, q) over the parts p→q of one polygon's edges that lie within another; both (…, 4, 2)."""
    start = edges_of[..., :, None, :]  # (…, edge, side, 2)
    along = np.roll(edges_of, -1, -2)[..., :, None, :] - start
    corner = within[..., None, :, :]
    side = np.roll(within, -1, -2)[..., None, :, :] - corner
    side = side / np.sqrt(np.square(side).sum(-1, keepdims=True))
    depth = _cross(side, start - corner) + tie  # > 0 inside, for corners in this orientation
    slope = _cross(side, along)
    with np.errstate(divide="ignore", invalid="ignore"):
        crossing = -depth / slope
    # An edge parallel to a side is wholly inside or wholly outside of it.
    low = np.where(slope > 0, crossing, np.where((slope == 0) & (depth < 0), np.inf, -np.inf)).max(-1)
    high = np.where(slope < 0, crossing, np.inf).min(-1)
    low, high = np.maximum(low, 0), np.minimum(high, 1)
    start, along = start[..., 0, :], along[..., 0, :]
    length = np.maximum(high - low, 0)
    # cross(p, q) with p = start + low·along and q = start + high·along
    return np.asarray((length * _cross(start, along)).sum(-1))


def coverage(block: Floats, goal: Floats) -> Floats:
    """Return the share of the goal's area that the block covers.

    Args:
        block: poses (…, 3): x, y in pixels, angle in radians.
        goal: poses of the same shape.

    Returns:
        shares (…), from 0 to 1, as Diffusion Policy's ``coverage`` computes with shapely.
    """
    # About the block's own place, so that no digits are lost to large coordinates.
    origin = np.concatenate([block[..., :2], np.zeros_like(block[..., :1])], -1)
    a = corners(block - origin)[..., :, None, :, :]  # (…, part of block, part of goal, 4, 2)
    b = corners(goal - origin)[..., None, :, :, :]
    a, b = np.broadcast_arrays(a, b)
    twice = _inner_boundary(a, b, _TIE) + _inner_boundary(b, a, -_TIE)
    return np.asarray(np.clip(twice.sum((-1, -2)) / 2 / AREA, 0, 1))
