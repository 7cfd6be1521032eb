"""Environments that are not ours, made ones with goals: a toy whose every number is known, and Gymnasium's."""

from typing import Any

import gymnasium as gym
import numpy as np

from wmcontrol.envs import register_goal_env


class Ball(gym.Env[Any, Any]):
    """A ball in a square from -10 to 10, which moves by its actions; its frame is a bright square on black."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 5}  # noqa: RUF012
    action_space = gym.spaces.Box(-1.0, 1.0, (2,), np.float32)
    observation_space = gym.spaces.Box(-10.0, 10.0, (2,), np.float64)

    def __init__(self, render_mode: str | None = None):
        self.render_mode = render_mode
        self.steps = 0  # of its own, which end it

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.steps = 0
        self.place = self.np_random.uniform(-5, 5, 2)
        return self.place, {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        assert self.steps < 200, "nobody has reset it"
        self.steps += 1
        self.place = np.clip(self.place + action, -10, 10)
        return self.place, 7.0, self.steps == 3, False, {}

    def render(self) -> Any:
        frame = np.zeros((64, 64, 3), np.uint8)
        x, y = np.rint(28 + 2.8 * self.place).astype(int)
        frame[y : y + 8, x : x + 8] = 255
        return frame

    def get_state(self) -> Any:
        return self.place

    def set_state(self, state: Any) -> None:
        self.place = state


def near(states: Any, goals: Any) -> Any:
    """Whether all numbers are nearly the same."""
    return np.abs(states - goals).max(-1) < 0.1


def get_place(env: Any) -> Any:
    """Return where a ball is."""
    return env.place


def make_ball() -> Ball:
    """Make one."""
    return Ball("rgb_array")


class HiddenBall(Ball):
    """One whose state can only be read, and whose start follows from the seed; a wind blows."""

    get_state = set_state = None  # type: ignore[assignment]

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return super().step(action + self.np_random.uniform(-0.1, 0.1, 2))


def make_hidden_ball() -> HiddenBall:
    """Make one of these."""
    return HiddenBall("rgb_array")


class ChoosingBall(Ball):
    """One that goes one step right, up, left or down."""

    action_space = gym.spaces.Discrete(4)  # type: ignore[assignment]

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return super().step(np.array([[1, 0], [0, 1], [-1, 0], [0, -1]])[action])


def make_choosing_ball() -> ChoosingBall:
    """Make one of these."""
    return ChoosingBall("rgb_array")


BALL, CAR, HIDDEN, CHOOSING = "test/Ball-v0", "test/MountainCar-v0", "test/HiddenBall-v0", "test/ChoosingBall-v0"


def register() -> None:
    """Register them, once."""
    if BALL not in gym.registry:
        register_goal_env(BALL, make_ball, success=near, state_labels=("x", "y"))
        register_goal_env(CAR, "MountainCarContinuous-v0", success=near)
        register_goal_env(CHOOSING, make_choosing_ball, success=near)
        register_goal_env(HIDDEN, make_hidden_ball, success=near, state=get_place, max_episode_steps=150)


register()
