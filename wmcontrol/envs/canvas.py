"""The one renderer: anti-aliased shapes, drawn by OpenCV straight at the size asked for, without a display.

A camera maps a square window of the world onto a square frame. Pixel centres of a frame of size ``S`` lie at
``(i + 0.5) / S`` of the window, as in an image that was resized from any other size.

Letters: ``N`` frames, ``K`` shapes per frame, ``V`` corners of a shape.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Frames = NDArray[np.uint8]
Rows = NDArray[np.intp]  # which of N worlds an operation concerns

_SHIFT = 6  # OpenCV takes sub-pixel coordinates as integers, here in 64ths of a pixel
_ONE = 1 << _SHIFT
# OpenCV's anti-aliased edge reaches this far, in pixels, beyond the polygon that it is given. Measured: with this
# inset the area of a filled polygon is right to 0.5 %, without it a 4-pixel bar comes out 47 % too large.
_AA_REACH = 0.64
_CIRCLE = np.linspace(0, 2 * np.pi, 24, endpoint=False)
# A regular 24-gon of this circumradius has the area of the unit disc.
_UNIT_DISC = np.stack([np.cos(_CIRCLE), np.sin(_CIRCLE)], -1) * np.sqrt(2 * np.pi / 24 / np.sin(2 * np.pi / 24))
# Backgrounds are painted once and kept: at this many pixels at least, and at 4 times the size asked for.
_PAINTED_SIZE = 512


@dataclass(frozen=True)
class Camera:
    """The squares of the world that ``N`` frames show: from ``origin`` (N, 2), ``side`` units wide and high."""

    origin: Floats
    side: float

    def to_pixels(self, points: Floats, size: int) -> Floats:
        """Map world points (N, …, 2) to pixel coordinates (column, row), in which pixel centres are integers."""
        scale = size / self.side
        shift = self.origin * scale + 0.5
        return points * scale - shift.reshape(-1, *(1,) * (points.ndim - 2), 2)


def edge_reach(frames: Frames, camera: Camera) -> float:
    """Return by how much, in world units, polygons must be inset so that they come out at their true size."""
    return float(_AA_REACH * camera.side / frames.shape[1])


def fill_polygons(
    frames: Frames, camera: Camera, corners: Floats, colors: Floats, line_type: int = cv2.LINE_AA
) -> None:
    """Fill convex polygons, in order, on every frame; they come out larger by ``edge_reach`` on all sides.

    Args:
        frames: (N, S, S, 3), RGB, written in place.
        camera: what the frames show.
        corners: (N, K, V, 2) in world units, either orientation.
        colors: (N, K, 3), 0 to 255.
        line_type: how OpenCV draws edges.
    """
    fixed = np.rint(camera.to_pixels(corners, frames.shape[1]) * _ONE).astype(np.int32)
    for frame, polygons, polygon_colors in zip(frames, fixed, colors.tolist(), strict=True):
        for polygon, color in zip(polygons, polygon_colors, strict=True):
            cv2.fillConvexPoly(frame, polygon, color, line_type, _SHIFT)


def draw_polygons(frames: Frames, camera: Camera, corners: Floats, colors: Floats) -> None:
    """Fill convex polygons at their true size; arguments as for :func:`fill_polygons`."""
    fill_polygons(frames, camera, _inset(corners, edge_reach(frames, camera)), colors)


def paint_polygons(frames: Frames, camera: Camera, corners: Floats, colors: Floats) -> None:
    """Fill convex polygons with hard edges, so that neighbours leave no seam; for :func:`supersample`."""
    half_pixel = 0.5 * camera.side / frames.shape[1]
    fill_polygons(frames, camera, _inset(corners, half_pixel), colors, cv2.LINE_8)


def _inset(corners: Floats, by: float) -> Floats:
    """Move all edges of convex polygons (…, V, 2) inwards."""
    edges = np.roll(corners, -1, axis=-2) - corners
    leaving = edges / np.maximum(np.sqrt(np.square(edges).sum(-1, keepdims=True)), 1e-9)
    arriving = np.roll(leaving, 1, axis=-2)
    turn = np.abs(arriving[..., 0] * leaving[..., 1] - arriving[..., 1] * leaving[..., 0])
    return np.asarray(corners + by * (leaving - arriving) / np.maximum(turn, 1e-3)[..., None])


def draw_discs(frames: Frames, camera: Camera, centers: Floats, radii: Floats, colors: Floats) -> None:
    """Fill discs, in order, on every frame: ``centers`` (N, K, 2), ``radii`` (N, K), ``colors`` (N, K, 3)."""
    reach = edge_reach(frames, camera)
    # However small, a disc leaves a trace.
    inner = np.maximum(radii - reach, 0.1 * reach)
    fill_polygons(frames, camera, centers[:, :, None] + inner[:, :, None, None] * _UNIT_DISC, colors)


def supersample(size: int, paint: Callable[[Frames], None]) -> Frames:
    """Paint a still picture at several times its size and average, for what is drawn once and has many parts.

    Args:
        size: side of the picture, in pixels.
        paint: draws on a (1, k * size, k * size, 3) array of zeros.
    """
    side = size * max(4, _PAINTED_SIZE // size)
    large = np.zeros((1, side, side, 3), np.uint8)
    paint(large)
    return np.asarray(cv2.resize(large[0], (size, size), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def rectangle(left: float, top: float, right: float, bottom: float) -> Floats:
    """Return the corners (4, 2) of an axis-aligned rectangle."""
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
