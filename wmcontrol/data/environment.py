"""What one of our environments says of itself: what readers need to know that know which one made their data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np

from ..envs.making import make_one
from ..envs.registration import is_goal_env
from .trajectory import Floats

# Settings of how an environment is looked at or rewarded: the same actions do the same whatever they are.
_OF_VIEW = frozenset(("image_size", "obs_type", "render_mode", "render_size", "reward_type", "terminate_on_success"))


@dataclass(frozen=True)
class Environment:
    """An environment with goals, as it was made.

    Attributes:
        env_id: its Gymnasium id.
        settings: what it is made with, besides what is so by default.
        control_rate: actions per second, Hz.
        action_bounds: the lowest and the highest action, both (A,).
        state_labels: what the n numbers of a state are.
        observed_variations: the variations whose values follow the state in the vector observation.
    """

    env_id: str
    settings: Mapping[str, Any]
    control_rate: float
    action_bounds: tuple[Floats, Floats]
    state_labels: tuple[str, ...]
    observed_variations: tuple[str, ...]

    @staticmethod
    def of(env_id: str | None, settings: Mapping[str, Any]) -> "Environment | None":
        """Make the environment and ask it; None where it is not one with goals that is registered here.

        Raises:
            ValueError: it cannot be made with these settings.
        """
        if not isinstance(settings, Mapping):
            raise ValueError(f"settings of an environment are names and values, got {settings!r}")
        if env_id is None or not is_goal_env(env_id):
            return None
        kept = world_settings(env_id, settings)
        env = make_one(env_id, {**kept, "obs_type": "state"})
        space = env.action_space
        bounds = (space.low.astype(np.float64), space.high.astype(np.float64))
        env.close()
        return Environment(env_id, kept, env.control_rate, bounds, env.state_labels, env.observed_variations)

    def check_states(self, size: int, where: object) -> None:
        """Raise a ValueError that names ``where`` unless states of ``size`` numbers are this environment's."""
        labels = self.state_labels
        if size != len(labels):
            raise ValueError(
                f"{where}: a state of {self.env_id} has {len(labels)} numbers ({', '.join(labels)}), got {size}"
            )

    def check_actions(self, size: int, where: object) -> None:
        """Raise a ValueError that names ``where`` unless actions of ``size`` numbers are this environment's."""
        expected = len(self.action_bounds[0])
        if size != expected:
            raise ValueError(f"{where}: an action of {self.env_id} has {expected} numbers, got {size}")


def world_settings(env_id: str | None, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return those settings of an environment that decide what actions do, without what its id says anyway."""
    usual = gym.registry[env_id].kwargs if env_id in gym.registry else {}
    return {
        name: value
        for name, value in settings.items()
        if name not in _OF_VIEW and not (name in usual and usual[name] == value)
    }
