"""Pusher-v5 (``pip install "gymnasium[mujoco]"``): an arm of seven joints moves its hand to where it was later."""

from typing import Any

import gymnasium as gym
import mujoco
import numpy as np

from wmcontrol.envs import register_goal_env

CAMERA = {"distance": 2.2, "lookat": np.array([0.2, -0.4, -0.2]), "elevation": -60.0, "azimuth": 90.0}


def make() -> gym.Env[Any, Any]:
    """Make one."""
    env = gym.make("Pusher-v5", render_mode="rgb_array", width=64, height=64, default_camera_config=CAMERA)
    env.unwrapped.model.vis.quality.shadowsize = 0  # without a GPU, shadows take nine tenths of the time of a frame
    return env


def get(env: Any) -> Any:
    """Return positions and velocities of the joints, and, for ``success``, where hand and object are: (27,)."""
    mujoco.mj_kinematics(env.model, env.data)  # a step of MuJoCo's leaves the places of the moment before
    places = env.get_body_com("tips_arm"), env.get_body_com("object")[:2]
    return np.concatenate([env.data.qpos, env.data.qvel, *places])


def set(env: Any, state: Any) -> None:
    """Put joints and object there, from which the places follow."""
    env.set_state(state[:11], state[11:22])


def success(states: Any, goals: Any) -> Any:
    """Say where hand and object are both within 10 cm of their goals."""
    hand = np.linalg.norm((states - goals)[..., 22:25], axis=-1)
    block = np.linalg.norm((states - goals)[..., 25:], axis=-1)
    return (hand < 0.1) & (block < 0.1)


register_goal_env("examples/Pusher-v0", make, success=success, state=(get, set))
