"""Policies that Stable-Baselines3, and what builds on it, has saved."""

import os
from importlib import import_module
from pathlib import Path
from typing import Any

import gymnasium as gym

ALGORITHMS = ("A2C", "DDPG", "PPO", "SAC", "TD3")


def load_policy(
    algorithm: str, path: str | os.PathLike[str], vecnormalize: str | os.PathLike[str] | None = None
) -> Any:
    """Load a policy that was saved by a class in the manner of Stable-Baselines3.

    Loading such files runs code that is in them: take only files that you trust. A policy's file does not say that the
    policy was trained behind ``VecNormalize``, nor at which control rate: without ``vecnormalize`` it is shown raw
    numbers.

    Args:
        algorithm: the class that has saved it: "PPO" and the like, or where to import another one from, as
            "sb3_contrib.TQC".
        path: of the zip file.
        vecnormalize: the file that ``VecNormalize.save`` wrote, if it was trained behind one.

    Returns:
        An agent for ``evaluate`` and ``collect``, on the CPU.

    Raises:
        OSError: there is no such file.
        ValueError: no such class, a file that it does not read, or statistics of other observations.
        ImportError: Stable-Baselines3 is not installed.
    """
    try:
        from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
    except ImportError as error:
        raise ImportError(
            'this policy needs stable_baselines3, which is not installed; run: pip install "wmcontrol[sb3]"'
        ) from error
    cls = _class_of(algorithm)
    for file in (path, vecnormalize):
        if file is not None and not Path(file).is_file():
            raise FileNotFoundError(f"there is no policy file {file}")
    # A replay buffer is not needed to act; a hindsight one could not even be made without an environment.
    buffer: dict[str, Any] = {"replay_buffer_class": None, "replay_buffer_kwargs": {}, "buffer_size": 1, "n_steps": 1}
    custom = buffer if issubclass(cls, OffPolicyAlgorithm) else None
    try:
        model: Any = cls.load(path, device="cpu", custom_objects=custom)
    except Exception as error:  # a class of somebody else's, and unpickling, may raise anything
        raise ValueError(f"{path}: {algorithm} cannot read it: {type(error).__name__}: {error}") from error
    if vecnormalize is not None:
        _put_behind(model, vecnormalize)
    return model


def _class_of(algorithm: str) -> type[Any]:
    module, _, name = algorithm.rpartition(".")
    if not module and name not in ALGORITHMS:
        raise ValueError(
            f"the algorithm must be one of {', '.join(ALGORITHMS)}, or a class by its full name, such as "
            f"sb3_contrib.TQC; got {algorithm!r}"
        )
    try:
        cls = getattr(import_module(module or "stable_baselines3"), name)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"there is no class {algorithm!r} to import: {error}") from error
    if not isinstance(cls, type) or not callable(getattr(cls, "load", None)):
        raise ValueError(f"{algorithm!r} is not a class that loads policies")
    return cls


def _put_behind(model: Any, path: str | os.PathLike[str]) -> None:
    """Make the ``VecNormalize`` of a file the environment of a model, where ``evaluate`` and ``collect`` find it."""
    from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

    try:
        model.set_env(VecNormalize.load(os.fspath(path), DummyVecEnv([lambda: _Spaces(model)] * model.n_envs)))
    except Exception as error:  # unpickling may raise anything
        raise ValueError(f"{path}: it holds no VecNormalize of this policy's observations: {error}") from error


class _Spaces(gym.Env[Any, Any]):
    """An environment that has a policy's spaces, and is never stepped."""

    def __init__(self, model: Any):
        self.observation_space, self.action_space = model.observation_space, model.action_space
