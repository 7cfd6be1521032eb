"""Frames of the maze by MuJoCo's own renderer: shaded, and a hundred times slower than the flat ones."""

import numpy as np

from ..canvas import Floats, Frames
from .mazes import BODY_ORIGIN, model_xml
from .scene import View
from .simulation import mujoco  # never imported before its way of drawing is chosen

_HIDDEN = (100.0, 100.0)  # out of every frame


class MujocoScene:
    """Draws one maze from the reference's camera, with the reference's orientation."""

    def __init__(self, maze: str, view: View):
        self._maze = maze
        self._camera = mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FREE
        self._camera.lookat = np.array([*view.center, 0.0])
        self._camera.distance = view.distance
        self._camera.azimuth, self._camera.elevation = 90, -90
        self._renderers: dict[tuple[float, int], mujoco.Renderer] = {}

    def draw(self, positions: Floats, sizes: Floats, size: int, goals: Floats | None) -> Frames:
        """Draw balls at positions (N, 2), and red targets at goals (N, 2) if given: (N, size, size, 3)."""
        frames = np.empty((len(positions), size, size, 3), np.uint8)
        for i, (position, agent_size) in enumerate(zip(positions, sizes.tolist(), strict=True)):
            renderer = self._renderer(agent_size, size)
            data = mujoco.MjData(renderer.model)
            data.qpos[:] = position
            mujoco.mj_kinematics(renderer.model, data)
            target = renderer.model.site("target_site").id
            data.site_xpos[target, :2] = _HIDDEN if goals is None else goals[i] + BODY_ORIGIN
            renderer.update_scene(data, self._camera)
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
