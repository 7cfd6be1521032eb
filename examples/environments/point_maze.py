"""PointMaze_UMaze-v3 (``pip install gymnasium-robotics``): a ball that forces push through a maze."""

from typing import Any

import gymnasium as gym
import gymnasium_robotics
import numpy as np

from wmcontrol.envs import register_goal_env

gym.register_envs(gymnasium_robotics)


def make() -> gym.Env[Any, Any]:
    """Make one whose own goal, which is not ours, is not drawn."""
    env = gym.make("PointMaze_UMaze-v3", render_mode="rgb_array", width=64, height=64)
    inside: Any = env.unwrapped
    inside.model.vis.quality.shadowsize = 0
    inside.model.site_rgba[inside.target_site_id] = 0
    inside.point_env.mujoco_renderer.default_cam_config = {"distance": 6.0, "elevation": -90.0, "lookat": np.zeros(3)}
    return env


def get(env: Any) -> Any:
    """Return place and velocity of the ball, (4,)."""
    return np.concatenate([env.data.qpos, env.data.qvel])


def set(env: Any, state: Any) -> None:
    """Put the ball there."""
    env.point_env.set_state(state[:2], state[2:])


def success(states: Any, goals: Any) -> Any:
    """Say which balls are within 0.45 m of their goals, as gymnasium-robotics does."""
    return np.linalg.norm((states - goals)[..., :2], axis=-1) <= 0.45


register_goal_env("examples/PointMaze-v0", make, success=success, state=(get, set))
