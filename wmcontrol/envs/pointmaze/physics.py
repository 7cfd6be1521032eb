"""MuJoCo, stepping ``N`` mazes at once.

An action period starts from positions and velocities alone (the solver's warm start is cleared), so that a state
says all there is to know about the future.
"""

import os
import sys
from functools import lru_cache
from typing import Any

import numpy as np

from ..canvas import Floats, Rows
from .mazes import MAX_SPEED, model_xml

# MuJoCo chooses its way of drawing when it is imported; without a display only EGL and OSMesa work.
if sys.platform.startswith("linux") and not os.environ.get("DISPLAY"):
    os.environ.setdefault("MUJOCO_GL", "egl")

import mujoco as mujoco
import mujoco.rollout

TIMESTEP = 0.01  # s
MAX_ACCELERATION = 100 / 4.18879  # of the motors on the ball, m/s²


@lru_cache(maxsize=64)
def compiled(maze: str, agent_size: float, friction: float) -> "mujoco.MjModel":
    """Compile a maze's model for its physics; models are never changed, so that one serves everywhere."""
    return mujoco.MjModel.from_xml_string(model_xml(maze, agent_size=agent_size, friction=friction, textures=False))


class Simulation:
    """N balls in mazes of the same shape."""

    def __init__(self, maze: str, num_worlds: int, frame_skip: int):
        self._maze = maze
        self._frame_skip = frame_skip
        self._builds = [(1.0, 1.0)] * num_worlds
        self._start()
        # A full state is time, position (2), velocity (2).
        self._states = np.zeros((num_worlds, 5))

    def _start(self) -> None:
        """Make what MuJoCo needs and nobody can copy."""
        self._models = [compiled(self._maze, *build) for build in self._builds]
        self._data = mujoco.MjData(compiled(self._maze, 1.0, 1.0))
        self._rollout = mujoco.rollout.Rollout(nthread=0)

    def __getstate__(self) -> dict[str, Any]:
        engine = ("_models", "_data", "_rollout")
        return {name: value for name, value in self.__dict__.items() if name not in engine}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._start()

    def build(self, row: int, agent_size: float, friction: float) -> None:
        """Say what one world is made of."""
        self._builds[row] = (agent_size, friction)
        self._models[row] = compiled(self._maze, agent_size, friction)

    def set_states(self, rows: Rows, states: Floats) -> None:
        """Put worlds into states (R, 4): position, velocity."""
        self._states[rows] = np.concatenate([np.zeros((len(rows), 1)), states], 1)

    def get_states(self, rows: Rows) -> Floats:
        """Return states (R, 4)."""
        return np.asarray(self._states[rows, 1:])

    def step(self, rows: Rows, actions: Floats) -> None:
        """Hold actions (R, 2) for one action period. Velocities are clipped first, as in D4RL and DINO-WM."""
        states = self._states[rows]
        states[:, 3:] = np.clip(states[:, 3:], -MAX_SPEED, MAX_SPEED)
        models = [self._models[row] for row in rows.tolist()]
        if len(rows) == 1:
            self._states[rows] = self._step_one(models[0], states[0], actions[0])
        elif len(rows) > 1:
            control = np.repeat(actions[:, None], self._frame_skip, 1)
            result, _ = self._rollout.rollout(models, self._data, states, control)
            self._states[rows] = result[:, -1]

    def _step_one(self, model: "mujoco.MjModel", state: Floats, action: Floats) -> Floats:
        """Do what the batched call does, bit for bit, in less than half its time for one world."""
        data = self._data
        data.time, data.qpos[:], data.qvel[:] = state[0], state[1:3], state[3:]
        data.qacc_warmstart[:] = 0
        data.ctrl[:] = action
        mujoco.mj_step(model, data, self._frame_skip)
        return np.concatenate([[data.time], data.qpos, data.qvel])
