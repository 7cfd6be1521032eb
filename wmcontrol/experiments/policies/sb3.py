"""Policies that Stable-Baselines3 has trained."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from ...data.collect import View
from .common import Lengths, ScriptBase

ALGORITHMS = ("A2C", "DDPG", "PPO", "SAC", "TD3")


class StableBaselines:
    """A policy file of Stable-Baselines3, asked for the action that it thinks best.

    The environment is made with the frames and the kind of action that the policy was trained with. Each episode is
    asked for by itself: a network's answer depends, in its last digits, on what else is in the batch, and an episode
    must not. Loading such a file runs code that is in it: take only files that you trust.

    Args:
        lengths: of episodes.
        algorithm: the class that has saved it, as "PPO".
        path: of the zip file.
        space: the environment's actions, by its default settings.

    Raises:
        ValueError: an unknown algorithm, or a policy for other observations or actions than our environments'.
        OSError: there is no such file.
        ImportError: Stable-Baselines3 is not installed.
    """

    def __init__(self, lengths: Lengths, algorithm: str, path: str | Path, space: gym.spaces.Box):
        self.lengths = lengths
        self._model, self._keys, self.env_settings = load_policy(algorithm, path, space)

    def script(self, rng: np.random.Generator) -> "_PolicyScript":
        """Return the script of an episode."""
        return _PolicyScript(self.lengths.draw(rng), self._model, self._keys)


def load_policy(
    algorithm: str, path: str | Path, space: gym.spaces.Box
) -> tuple[Any, tuple[str, ...], Mapping[str, Any]]:
    """Load a policy file; arguments and errors are those of :class:`StableBaselines`.

    Returns:
        The policy, what of an observation it looks at, and the settings of an environment that shows it and takes its
        actions.
    """
    if algorithm not in ALGORITHMS:
        raise ValueError(f"expected sb3:ALGORITHM:FILE with one of {', '.join(ALGORITHMS)}, got {algorithm!r}")
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no policy file {path}")
    try:
        import stable_baselines3
    except ImportError as error:
        raise ImportError(
            'this policy needs stable_baselines3, which is not installed; run: pip install "wmcontrol[sb3]"'
        ) from error
    model = getattr(stable_baselines3, algorithm).load(path, device="cpu")
    return model, *_settings(model, path, space)


def _settings(model: Any, path: str | Path, space: gym.spaces.Box) -> tuple[tuple[str, ...], Mapping[str, Any]]:
    """Return what a policy looks at, and the settings of an environment that shows it and takes its actions."""
    known = {"pixels", "goal_pixels", "observation", "achieved_goal", "desired_goal"}
    spaces = getattr(model.observation_space, "spaces", None)
    if not isinstance(spaces, dict) or not set(spaces) <= known:
        raise ValueError(
            f"{path}: it was trained on {model.observation_space}, not on observations of our environments, a Dict "
            f"with some of {sorted(known)}"
        )
    settings: dict[str, Any] = {}
    images = [key for key in spaces if key.endswith("pixels")]
    if images:
        settings["obs_type"] = "pixels_state"
        settings["image_size"] = max(spaces[images[0]].shape)  # channels stand first or last
    actions = model.action_space
    if actions.shape != space.shape:
        raise ValueError(f"{path}: its actions have shape {actions.shape}, the environment's {space.shape}")
    if not np.allclose(actions.high, space.high):
        settings["action_mode"] = "absolute"  # Push-T's other one, the only other that there is
    return tuple(spaces), settings


class _PolicyScript(ScriptBase):
    def __init__(self, num_frames: int, model: Any, keys: tuple[str, ...]):
        super().__init__(num_frames)
        self._model, self._keys = model, keys

    def act(self, view: View) -> NDArray[Any]:
        action, _ = self._model.predict({key: view.observation[key] for key in self._keys}, deterministic=True)
        return np.asarray(action)
