"""dm_control's cartpole (``pip install "shimmy[dm-control]" "mujoco<4"``): a cart and a pole, to where both were later.

It takes 25 actions a second, where dm_control's swingup takes 100.
"""

from typing import Any

import gymnasium as gym
import numpy as np
import shimmy

from wmcontrol.envs import register_goal_env

gym.register_envs(shimmy)


def make() -> gym.Env[Any, Any]:
    """Make one."""
    env = gym.make(
        "dm_control/cartpole-swingup-v0",
        environment_kwargs={"control_timestep": 0.04},
        render_mode="rgb_array",
        render_kwargs={"height": 64, "width": 64},
    )
    model: Any = env.unwrapped.physics.model
    model.vis.quality.shadowsize = 0
    model.mat_reflectance[:] = 0
    return env


def get(env: Any) -> Any:
    """Return the cart's place, the pole's angle, and their velocities, (4,)."""
    return env.physics.get_state()


def set(env: Any, state: Any) -> None:
    """Put cart and pole there."""
    with env.physics.reset_context():
        env.physics.set_state(state)


def success(states: Any, goals: Any) -> Any:
    """Say which carts are within 10 cm, and their poles within 20 degrees, of their goals."""
    away = states - goals
    turn = np.abs((away[..., 1] + np.pi) % (2 * np.pi) - np.pi)
    return (np.abs(away[..., 0]) < 0.1) & (turn < np.pi / 9)


register_goal_env("examples/Cartpole-v0", make, success=success, state=(get, set))
