"""MuJoCo, stepping ``N`` mazes at once.

An action period starts from positions and velocities alone (the solver's warm start is cleared), so that a state
says all there is to know about the future.
"""

from functools import lru_cache
from typing import Any

import mujoco as mujoco
import mujoco.rollout
import numpy as np

from ..canvas import Floats, Rows
from .mazes import MAX_SPEED, model_xml

TIMESTEP = 0.01  # s
MAX_ACCELERATION = 100 / 4.18879  # of the motors on the ball, m/s²


@lru_cache(maxsize=64)
def compiled(maze: str, agent_size: float, friction: float) -> "mujoco.MjModel":
    """Compile a maze's model for its physics; models are never changed, so that one serves everywhere."""
    return mujoco.MjModel.from_xml_string(model_xml(maze, agent_size=agent_size, friction=friction, textures=False))


class Simulation:
    """Steps N balls in mazes of one shape; a state (4,) is position and velocity."""

    def __init__(self, maze: str, num_worlds: int, frame_skip: int):
        self._maze = maze
        self._frame_skip = frame_skip
        self._builds = [(1.0, 1.0)] * num_worlds
        self._start()

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

    def step(self, rows: Rows, states: Floats, actions: Floats) -> Floats:
        """Hold actions (R, 2) for one action period from states (R, 4), and return the states that this leads to.

        Velocities are clipped first, as in D4RL and DINO-WM.
        """
        positions, velocities = states[:, :2], np.clip(states[:, 2:], -MAX_SPEED, MAX_SPEED)
        if len(rows) == 1:  # bit for bit what the batched call does, in less than half its time
            data = self._data
            data.qpos[:], data.qvel[:], data.ctrl[:] = positions[0], velocities[0], actions[0]
            data.qacc_warmstart[:] = 0
            mujoco.mj_step(self._models[rows[0]], data, self._frame_skip)
            return np.concatenate([data.qpos, data.qvel])[None]
        if not len(rows):
            return states
        full = np.concatenate([np.zeros((len(rows), 1)), positions, velocities], 1)  # MuJoCo's begin with the time
        control = np.repeat(actions[:, None], self._frame_skip, 1)
        reached, _ = self._rollout.rollout([self._models[row] for row in rows.tolist()], self._data, full, control)
        return np.asarray(reached[:, -1, 1:])
