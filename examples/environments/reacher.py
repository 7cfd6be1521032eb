"""Reacher-v5 (``pip install "gymnasium[mujoco]"``): an arm of two links reaches for where its fingertip was later."""

from typing import Any

import gymnasium as gym
import numpy as np

from wmcontrol.envs import register_goal_env

# From above and near: in the view that Gymnasium chooses, the arm is one pixel wide.
CAMERA = {"distance": 0.6, "lookat": np.zeros(3), "elevation": -90.0, "azimuth": 90.0}


def make() -> gym.Env[Any, Any]:
    """Make one."""
    env = gym.make("Reacher-v5", render_mode="rgb_array", width=64, height=64, default_camera_config=CAMERA)
    env.unwrapped.model.vis.quality.shadowsize = 0  # without a GPU, shadows take time
    env.unwrapped.model.geom("target").rgba[3] = 0  # its own goal, which is not ours, is not drawn
    # A fifth of the torque: at random, the whole of it spins the arm by up to 30 radians a second.
    return gym.wrappers.TransformAction(env, lambda action: 0.2 * action, env.action_space)


def fingertip(states: Any) -> Any:
    """Return where fingertips are in states (…, 8), in metres (…, 2): links of 0.1 and 0.11."""
    first, second = states[..., 0], states[..., 0] + states[..., 1]
    return np.stack([0.1 * np.cos(first) + 0.11 * np.cos(second), 0.1 * np.sin(first) + 0.11 * np.sin(second)], -1)


def success(states: Any, goals: Any) -> Any:
    """Say which fingertips are within 5 cm of their goals."""
    return np.linalg.norm(fingertip(states) - fingertip(goals), axis=-1) < 0.05


register_goal_env("examples/Reacher-v0", make, success=success)
