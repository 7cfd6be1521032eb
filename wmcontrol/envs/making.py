"""Making the environments that agents act in, whose ids and settings a file of data may have named."""

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
from gymnasium.vector import AutoresetMode

from ..actions import ActionLayout
from .registration import bare_id

_NO_GOALS = (
    "it has no goals that agents could be given; wmcontrol.envs.register_goal_env registers it with goals, and "
    "wmcontrol returns judges agents by rewards"
)
NEEDS = ("get_state", "variation", "control_rate")  # of a vector environment that agents act in


def make_one(env_id: str, settings: Mapping[str, Any]) -> Any:
    """Make an environment by itself, without wrappers.

    Only those that agents can be judged in are made: their authors wrote them for this. A file of data could otherwise
    make others, among which are some that read files or import modules by their settings.

    Raises:
        ValueError: there is no such environment, it has no vector form, or it cannot be made with the settings.
    """
    try:
        env_id = bare_id(env_id)
        spec = gym.spec(env_id)
    except (ImportError, gym.error.Error) as error:
        raise _refused(env_id, error) from error
    if spec.vector_entry_point is None:
        raise ValueError(f"agents cannot act in {env_id}: {_NO_GOALS}")
    try:
        return gym.make(env_id, disable_env_checker=True, **settings).unwrapped
    except Exception as error:  # what others' environments raise is up to them
        raise ValueError(f"{env_id} cannot be made with the settings {dict(settings)}: {error}") from error


def _refused(env_id: str, error: Exception) -> ValueError:
    """Return the error to raise where an environment cannot be made."""
    unknown = isinstance(error, gym.error.UnregisteredEnv) and ":" not in env_id
    hint = f" If a module of yours registers it, give its id as module:{env_id}." if unknown else ""
    return ValueError(f"agents cannot act in {env_id}: {error}{hint}")


def make_vector(env_id: str, num_envs: int, settings: Mapping[str, Any], needs: Sequence[str] = NEEDS) -> Any:
    """Make the vector form of an environment: episodes end neither at goals nor by themselves.

    Args:
        env_id: which.
        num_envs: how many.
        settings: what it is made with.
        needs: the attributes that it must have.

    Raises:
        ValueError: there is no such environment, it cannot be made with the settings, its actions cannot be planned,
            or it lacks an attribute.
    """
    try:
        name = bare_id(env_id)
        goalless = name in gym.registry and gym.spec(name).vector_entry_point is None
    except (ImportError, ValueError) as error:
        raise _refused(env_id, error) from error
    if goalless:
        raise ValueError(f"agents cannot act in {env_id}: {_NO_GOALS}")
    try:
        env: Any = gym.make_vec(
            name,
            num_envs=num_envs,
            vectorization_mode="vector_entry_point",
            max_episode_steps=None,
            autoreset_mode=AutoresetMode.DISABLED,
            **{**settings, "terminate_on_success": False},
        )
    except Exception as error:  # what others' environments raise is up to them
        raise _refused(env_id, error) from error
    try:
        ActionLayout.of(env.single_action_space)
    except TypeError as error:
        env.close()
        raise _refused(env_id, error) from error
    missing = [name for name in needs if not hasattr(env, name)]
    if missing:
        env.close()
        raise ValueError(f"agents cannot act in {env_id}: its vector form has no {', '.join(missing)}; {_NO_GOALS}")
    return env
