"""Frames of the maze by MuJoCo's own renderer: shaded, and a hundred times slower than the flat ones."""

from typing import Any

import numpy as np

from ..canvas import Floats, Frames
from .mazes import BODY_ORIGIN, model_xml
from .scene import View
from .simulation import mujoco  # never imported before its way of drawing is chosen

_HIDDEN = (100.0, 100.0)  # out of every frame


class MujocoScene:
    """Draws one maze from the reference's camera, with the reference's orientation."""

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
