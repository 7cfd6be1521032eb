"""gym_pusht's PushT (``pip install gym-pusht``): a disc pushes a block to where both were later.

Its ``reset_to_state`` puts the block elsewhere than it is asked to, so states are only read, and reached again by doing
what was done before.
"""

from typing import Any

import gym_pusht  # noqa: F401  (registers it)
import gymnasium as gym
import numpy as np

from wmcontrol.envs import register_goal_env


class Pixels(gym.Wrapper[Any, Any, Any, Any]):
    """Draws what it observes, which has no mark at the last action."""

    def render(self) -> Any:
        """Return the frame, (64, 64, 3)."""
        return self.env.unwrapped.get_obs()


def make() -> gym.Env[Any, Any]:
    """Make one."""
    return Pixels(gym.make("gym_pusht/PushT-v0", obs_type="pixels", observation_width=64, observation_height=64))


def get(env: Any) -> Any:
    """Return the places of disc and block, and the block's angle, (5,)."""
    return np.array([*env.agent.position, *env.block.position, env.block.angle % (2 * np.pi)])


def success(states: Any, goals: Any) -> Any:
    """Say where disc and block are within 20 of 512, and the block's angle within 20 degrees, of their goals."""
    away = states - goals
    turn = np.abs((away[..., 4] + np.pi) % (2 * np.pi) - np.pi)
    return (np.linalg.norm(away[..., :4], axis=-1) < 20) & (turn < np.pi / 9)


# Room for episodes of 100 frames, and 60 steps of an agent.
register_goal_env(
    "examples/PushT-v0",
    make,
    success=success,
    state=get,
    state_labels=("agent x", "agent y", "block x", "block y", "block angle"),
    control_rate=10,
    max_episode_steps=160,
)
