"""Frames of a scene, drawn by the environments' renderer; masks and depths, computed at the middle of each pixel."""

import numpy as np
from numpy.typing import NDArray

from ..envs.canvas import Camera, draw_discs, draw_polygons
from .records import CLASSES, Clip
from .scene import WALL, Color, Floats, Scene, Thing

_FLOOR = CLASSES.index("floor")


def draw(scene: Scene, size: tuple[int, int]) -> Clip:
    """Draw all frames of a scene, and label them.

    Args:
        scene: what to draw.
        size: height and width of the frames, pixels.
    """
    height, width = size
    count = len(scene.times)
    frames = np.empty((count, height, width, 3), np.uint8)
    classes = np.zeros((count, height, width), np.uint8)
    instances = np.zeros((count, height, width), np.uint8)
    depth = np.full((count, height, width), WALL, np.float32)
    view = _View(scene.camera, size)
    _draw_backdrop(scene, view, frames)
    floor = view.floor_depth()
    np.putmask(classes, np.broadcast_to(floor < WALL, classes.shape), _FLOOR)
    depth[:] = np.minimum(floor, WALL)
    for k in sorted(range(len(scene.things)), key=lambda k: -scene.things[k].depth):
        thing, there = scene.things[k], np.flatnonzero(scene.visible[:, k])
        if not len(there):
            continue
        poses = scene.poses[there, k]
        _draw_thing(thing, poses, view, there, frames)
        outline = view.project(_placed(_outline(thing), poses), thing.depth, there)
        for t, points in zip(there.tolist(), outline, strict=True):
            box, inside = _covered(points, thing.radius * view.scale(thing.depth, t), thing.corners is None, size)
            classes[t][box][inside] = CLASSES.index(thing.kind)
            instances[t][box][inside] = thing.instance
            depth[t][box][inside] = thing.depth
    return Clip(frames, classes, instances, depth, scene.times)


class _View:
    """A pinhole camera at each time, and frames whose pixel (row, column) has its middle at (row + 0.5, column + 0.5).

    Points of a frame are (column, row), from its upper left corner.
    """

    def __init__(self, camera: Floats, size: tuple[int, int]):
        self.camera, (self.height, self.width) = camera, size

    def scale(self, depth: float, t: int | NDArray[np.intp]) -> Floats:
        """Return pixels per metre at a depth."""
        return np.asarray(self.camera[t, 2] * self.height / depth)

    def project(self, points: Floats, depth: float | Floats, times: NDArray[np.intp]) -> Floats:
        """Return where points (T, V, 2) at a depth, or depths (T, V), are in frames of these numbers."""
        camera = self.camera[times]
        scale = (camera[:, None, 2] * self.height / depth)[..., None]
        return scale * (points - camera[:, None, :2]) * [1, -1] + [self.width / 2, self.height / 2]

    def floor_depth(self) -> Floats:
        """Return how far away the floor is, (T, height, 1), infinite above the horizon."""
        below = (np.arange(self.height) + 0.5) / self.height - 0.5
        reach = (self.camera[:, 1] * self.camera[:, 2])[:, None]
        depth = np.where(below > 0, reach / np.maximum(below, 1e-9), np.inf)
        return depth[..., None]

    def floor_start(self) -> Floats:
        """Return a depth (T,) that is nearer than all of the floor that is seen."""
        return np.asarray(1.5 * self.camera[:, 1] * self.camera[:, 2])


def _polygon(frames: NDArray[np.uint8], points: Floats, color: Color) -> None:
    """Fill a polygon on each frame, (T, V, 2) pixels from the upper left corner."""
    # The window of the world is the frame itself.
    camera = Camera(np.zeros((len(frames), 2)), float(frames.shape[1]))
    draw_polygons(frames, camera, points[:, None], np.broadcast_to(color, (len(frames), 1, 3)))


def _draw_backdrop(scene: Scene, view: _View, frames: NDArray[np.uint8]) -> None:
    backdrop, every = scene.backdrop, np.arange(len(frames))
    frames[:] = np.rint(backdrop.wall).astype(np.uint8)
    for spot, color in backdrop.spots:
        _polygon(frames, view.project(np.broadcast_to(spot, (len(frames), *spot.shape)), WALL, every), color)
    near, far = view.floor_start(), np.full(len(frames), WALL)
    depths = np.stack([near, near, far, far], -1)

    def strip(left: float, right: float, color: Color) -> None:
        corners = np.zeros((len(frames), 4, 2))
        corners[..., 0] = [left, right, right, left]
        _polygon(frames, view.project(corners, depths, every), color)

    strip(-100, 100, backdrop.floor)
    for number in range(-8, 8):
        strip(2 * number * backdrop.strip, (2 * number + 1) * backdrop.strip, backdrop.stripe)


def _draw_thing(thing: Thing, poses: Floats, view: _View, times: NDArray[np.intp], frames: NDArray[np.uint8]) -> None:
    """Draw a thing on the frames of these numbers."""
    canvas = frames[times]
    if thing.corners is None:
        centers = view.project(poses[:, None, :2], thing.depth, times)
        camera = Camera(np.zeros((len(canvas), 2)), float(view.height))
        radii = (thing.radius * view.scale(thing.depth, times))[:, None]
        draw_discs(canvas, camera, centers, radii, np.broadcast_to(thing.color, (len(canvas), 1, 3)))
    else:
        _polygon(canvas, view.project(_placed(thing.corners, poses), thing.depth, times), thing.color)
    _polygon(canvas, view.project(_placed(thing.mark, poses), thing.depth, times), thing.mark_color)
    frames[times] = canvas


def _outline(thing: Thing) -> Floats:
    """Return the corners of a thing, or the middle of a disc."""
    return np.zeros((1, 2)) if thing.corners is None else thing.corners


def _placed(points: Floats, poses: Floats) -> Floats:
    """Return points (V, 2) of a thing where it is, (T, V, 2)."""
    cos, sin = np.cos(poses[:, 2]), np.sin(poses[:, 2])
    turn = np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], -2)
    return np.asarray(points @ turn.swapaxes(-1, -2) + poses[:, None, :2])


def _covered(
    points: Floats, radius: Floats, is_disc: bool, size: tuple[int, int]
) -> tuple[tuple[slice, slice], NDArray[np.bool_]]:
    """Return a part of a frame, and which pixels in it have their middle in an outline of pixels."""
    reach = radius if is_disc else 0.0
    low = np.clip(np.floor(points.min(0) - reach), 0, size[::-1]).astype(int)
    high = np.clip(np.ceil(points.max(0) + reach), 0, size[::-1]).astype(int)
    box = (slice(low[1], high[1]), slice(low[0], high[0]))
    x = np.arange(low[0], high[0]) + 0.5
    y = np.arange(low[1], high[1])[:, None] + 0.5
    if is_disc:
        return box, (x - points[0, 0]) ** 2 + (y - points[0, 1]) ** 2 <= radius**2
    inside = np.ones((y.size, x.size), bool)
    for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, 0), strict=True):
        # Corners are counter-clockwise where y is up, so clockwise in rows.
        inside &= (x1 - x0) * (y - y0) - (y1 - y0) * (x - x0) <= 0
    return box, inside
