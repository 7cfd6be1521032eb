"""Wall with four actions, right, down, left and up: an environment whose actions are choices."""

from typing import Any

import gymnasium as gym
import numpy as np

from wmcontrol.envs import register_goal_env

WAYS = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]], np.float32)


class FourWays(gym.Env[Any, Any]):
    """Wall in which an action says the way."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012
    render_mode = "rgb_array"
    action_space = gym.spaces.Discrete(4)
    observation_space = gym.spaces.Box(-np.inf, np.inf, (2,), np.float64)

    def __init__(self) -> None:
        self._wall: Any = gym.make("wmcontrol/Wall-v0", terminate_on_success=False).unwrapped

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode."""
        super().reset(seed=seed)
        self._wall.reset(seed=seed)
        return self.get_state(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Go one step."""
        self._wall.step(WAYS[action])
        return self.get_state(), 0.0, False, False, {}

    def render(self) -> Any:
        """Draw it without its own goal."""
        return self._wall.draw(self.get_state()[None])[0]

    def get_state(self) -> Any:
        """Return the place of the dot, (2,)."""
        return self._wall.get_state()

    def set_state(self, state: Any) -> None:
        """Put the dot there."""
        self._wall.set_state(state)


def success(states: Any, goals: Any) -> Any:
    """Say which dots are as near to their goals as Wall asks for."""
    return np.linalg.norm(states - goals, axis=-1) < 4.5


register_goal_env("examples/FourWays-v0", FourWays, success=success, state_labels=("dot x", "dot y"))
