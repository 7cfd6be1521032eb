"""How the maze looks from above: the colours and the perspective of the reference's MuJoCo frames.

The reference's camera hangs over the median of the model's parts, as far up as the model is wide. Its frames are not
flipped, so that x runs to the right and y down.
"""

from typing import Any

import numpy as np

from ..backgrounds import Distractors
from ..canvas import Camera, Floats, Frames, draw_discs, draw_polygons, paint_polygons, rectangle, supersample
from ..variation import Values
from .mazes import BALL_RADIUS, BODY_ORIGIN, WALL_ORIGIN, cells, model_xml
from .physics import compiled, mujoco  # never imported before its way of drawing is chosen

# As MuJoCo lights them.
FLOOR = (51, 76, 102)  # of the light squares
WALL = (222, 161, 100)
BALL = (89, 178, 89)
TARGET = (178, 89, 89)
_DARKER = 25.5  # dark squares of the floor against the light ones
_SIDE = 0.32  # the sides of walls against their tops
_SQUARE = 2.0  # side of a square of the floor
_TOP, _BASE = 0.2, -0.1  # heights of the walls' tops and of the floor
_BALL_DRAWN = 2 * BALL_RADIUS
_FIELD_OF_VIEW = np.deg2rad(45)
_HIDDEN = (100.0, 100.0)  # out of every frame


class View:
    """Where the camera hangs over a maze.

    Attributes:
        side: world units that a frame shows, at the height of the ball.
        origin: the left and top of them, in the model's coordinates.
    """

    def __init__(self, maze: str):
        model = compiled(maze, 1.0, 1.0)
        # The ground at (0, 0), the ball where it starts, and the walls.
        parts = np.concatenate([[[0, 0], [BODY_ORIGIN] * 2], cells(maze, free=False) + WALL_ORIGIN])
        self.center = np.median(parts, 0)
        self.distance = float(model.stat.extent)
        self.side = float(2 * self.distance * np.tan(_FIELD_OF_VIEW / 2))
        self.origin = (float(self.center[0] - self.side / 2), float(self.center[1] - self.side / 2))

    def at_height(self, points: Floats, height: float) -> Floats:
        """Return where points (…, 2) at a height appear, as points at the height of the ball."""
        return np.asarray(self.center + (points - self.center) * (self.distance / (self.distance - height)))


def paint_background(size: int, values: Values, distractors: Distractors, maze: str, view: View) -> Frames:
    """Paint floor, distractors and walls: (size, size, 3)."""
    camera = Camera(np.array([view.origin]) + values["camera_offset"] * view.side, view.side)
    dark = np.maximum(values["background_color"] - _DARKER, 0)
    squares = view.at_height(_dark_squares(view), _BASE)
    walls = (cells(maze, free=False) + WALL_ORIGIN)[:, None] + rectangle(-0.5, -0.5, 0.5, 0.5)

    def painting(frames: Frames) -> None:
        frames[:] = values["background_color"]
        paint_polygons(frames, camera, squares[None], np.tile(dark, (1, len(squares), 1)))
        for distractor in distractors:
            distractor.paint(frames, camera)
        for height, color in ((_BASE, _SIDE * values["wall_color"]), (_TOP, values["wall_color"])):
            corners = view.at_height(walls, height)
            paint_polygons(frames, camera, corners[None], np.tile(color, (1, len(corners), 1)))

    return supersample(size, painting)


def _dark_squares(view: View) -> Floats:
    reach = int(np.ceil(view.side / _SQUARE)) + 1
    i, j = (x.ravel() for x in np.meshgrid(*[np.arange(-reach, 2 * reach)] * 2))
    dark = (i + j) % 2 == 0
    return np.asarray(np.stack([i, j], -1)[dark][:, None] * _SQUARE + rectangle(0, 0, _SQUARE, _SQUARE))


def draw_balls(frames: Frames, camera: Camera, positions: Floats, sizes: Floats, colors: Floats) -> None:
    """Draw balls at positions (N, 2) in D4RL's coordinates, of sizes (N,) times the reference's, in colours (N, 3)."""
    draw_discs(frames, camera, positions[:, None] + BODY_ORIGIN, _BALL_DRAWN * sizes[:, None], colors[:, None])


def draw_goals(frames: Frames, camera: Camera, positions: Floats, radius: float, colors: Floats) -> None:
    """Draw rings of ``radius`` around goals (N, 2), and the goals."""
    width = max(0.06, 2 * camera.side / frames.shape[1])  # two pixels at least
    angles = np.linspace(0, 2 * np.pi, 41)
    inner, outer = (r * np.stack([np.cos(angles), np.sin(angles)], -1) for r in (radius - width, radius))
    pieces = np.stack([inner[:-1], outer[:-1], outer[1:], inner[1:]], 1)  # (40, 4, 2)
    centers = positions[:, None, None] + BODY_ORIGIN
    draw_polygons(frames, camera, centers + pieces, np.repeat(colors[:, None], len(pieces), 1))
    draw_discs(frames, camera, centers[:, 0], np.full((len(positions), 1), 0.1), colors[:, None])


class MujocoScene:
    """Draws one maze by MuJoCo's own renderer: shaded, and a hundred times slower than the flat frames."""

    def __init__(self, maze: str, view: View):
        self._maze, self._view = maze, view
        self._renderers: dict[tuple[float, int], mujoco.Renderer] = {}

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_renderers": {}}  # a copy makes its own

    def draw(self, positions: Floats, sizes: Floats, size: int, goals: Floats | None) -> Frames:
        """Draw balls at positions (N, 2), and red targets at goals (N, 2) if given: (N, size, size, 3)."""
        camera = mujoco.MjvCamera()
        camera.type = mujoco.mjtCamera.mjCAMERA_FREE
        camera.lookat = np.array([*self._view.center, 0.0])
        camera.distance = self._view.distance
        camera.azimuth, camera.elevation = 90, -90
        frames = np.empty((len(positions), size, size, 3), np.uint8)
        for i, (position, agent_size) in enumerate(zip(positions, sizes.tolist(), strict=True)):
            renderer = self._renderer(agent_size, size)
            data = mujoco.MjData(renderer.model)
            data.qpos[:] = position
            mujoco.mj_kinematics(renderer.model, data)
            target = renderer.model.site("target_site").id
            data.site_xpos[target, :2] = _HIDDEN if goals is None else goals[i] + BODY_ORIGIN
            renderer.update_scene(data, camera)
            frames[i] = renderer.render()[::-1]
        return frames

    def _renderer(self, agent_size: float, size: int) -> "mujoco.Renderer":
        key = (agent_size, size)
        if key not in self._renderers:
            if len(self._renderers) >= 4:  # each holds graphics memory
                self._renderers.pop(next(iter(self._renderers))).close()
            model = mujoco.MjModel.from_xml_string(model_xml(self._maze, agent_size=agent_size, offscreen=size))
            self._renderers[key] = mujoco.Renderer(model, size, size)
        return self._renderers[key]
