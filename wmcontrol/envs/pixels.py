"""Frames of any Gymnasium environment in its observations."""

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from .registration import maker_of


def make_env(env_id: str, settings: Mapping[str, Any], **more: Any) -> gym.Env[Any, Any]:
    """Make any Gymnasium environment by its id, ``module:ID`` too, or by a function of yours, ``module:make_env``.

    Raises:
        ValueError: there is none of this id, or it cannot be made with the settings.
    """
    try:
        maker = maker_of(env_id)
        return maker(**settings) if callable(maker) else gym.make(maker, **{**settings, **more})
    except (TypeError, ImportError, gym.error.Error) as error:
        told = str(error).partition(" was raised from the environment creator")[0]
        if "'render_mode'" in told and "render_mode" not in settings:
            raise ValueError(f"{env_id} must take render_mode, with which it draws frames: {told}") from error
        raise ValueError(f"{env_id} cannot be made with the settings {dict(settings)}: {told}") from error


def make_with_pixels(env_id: str, settings: Mapping[str, Any], image_size: int = 64) -> "PixelObservation":
    """Make any Gymnasium environment by its id, with what it draws in its observations.

    Raises:
        ValueError: there is none of this id, it cannot be made with the settings, or draws no frames.
    """
    env = make_env(env_id, settings, render_mode="rgb_array")
    modes = env.metadata.get("render_modes") or ()
    if "rgb_array" not in modes:
        env.close()
        raise ValueError(f'{env_id} draws no frames: metadata["render_modes"] must have "rgb_array", got {list(modes)}')
    return PixelObservation(env, image_size)


class PixelObservation(gym.Wrapper[Any, Any, Any, Any]):
    """Put what an environment draws into its observations: ``pixels`` (side, side, 3) uint8, and ``observation``.

    A dict of observations keeps its keys, and gets ``pixels`` beside them. For agents that plan without a goal, by
    rewards; :func:`~wmcontrol.envs.register_goal_env` makes environments with goals.

    Args:
        env: with ``render_mode="rgb_array"``.
        image_size: side of the frames, pixels.

    Raises:
        ValueError: it draws no frames.
    """

    def __init__(self, env: gym.Env[Any, Any], image_size: int = 64):
        super().__init__(env)
        if env.render_mode != "rgb_array":
            raise ValueError(f'{env} must be made with render_mode="rgb_array", got {env.render_mode!r}')
        self._size = image_size
        inner = env.observation_space
        others = dict(inner.spaces) if isinstance(inner, gym.spaces.Dict) else {"observation": inner}
        pixels = gym.spaces.Box(0, 255, (image_size, image_size, 3), np.uint8)
        self.observation_space = gym.spaces.Dict({**others, "pixels": pixels})

    def reset(self, **settings: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """Begin an episode."""
        observation, info = self.env.reset(**settings)
        return self._with_pixels(observation), info

    def step(self, action: Any) -> tuple[dict[str, Any], Any, bool, bool, dict[str, Any]]:
        """Apply one action."""
        observation, *rest = self.env.step(action)
        return (self._with_pixels(observation), *rest)  # type: ignore[return-value]

    def close(self) -> None:
        """Close it."""
        from .foreign.env import close_with_renderers

        close_with_renderers(self.env)

    def _with_pixels(self, observation: Any) -> dict[str, Any]:
        others = observation if isinstance(observation, dict) else {"observation": observation}
        return {**others, "pixels": self._frame()}

    def _frame(self) -> NDArray[np.uint8]:
        from .foreign.env import rendered, resized  # which import OpenCV

        return resized(rendered(self.env), self._size)
