"""The Gymnasium ids of environments with goals: ours, and those that users register.

``import wmcontrol`` registers ours; Gymnasium 1.0 gave up registration by entry points.
"""

import ctypes
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import register, registry
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Make = Callable[[], gym.Env[Any, Any]]
GetState = Callable[[Any], Any]
SetState = Callable[[Any, Floats], object]
Success = Callable[[Floats, Floats], Any]
Goal = Callable[[np.random.Generator, Floats], Any]

# id: (module, class prefix, settings, steps until truncation as in the references)
_ENVIRONMENTS: dict[str, tuple[str, str, dict[str, str], int]] = {
    "wmcontrol/PushT-v0": ("pusht", "PushT", {}, 300),
    "wmcontrol/Wall-v0": ("wall", "Wall", {}, 300),
    "wmcontrol/PointMaze_UMaze-v0": ("pointmaze", "PointMaze", {"maze": "umaze"}, 300),
    "wmcontrol/PointMaze_Medium-v0": ("pointmaze", "PointMaze", {"maze": "medium"}, 600),
    "wmcontrol/PointMaze_Large-v0": ("pointmaze", "PointMaze", {"maze": "large"}, 800),
}
ENV_IDS = tuple(_ENVIRONMENTS)


def register_envs() -> None:
    """Register all ids, once. Nothing is imported until an environment is made."""
    # MuJoCo chooses its way of drawing when it is imported; without a display only EGL and OSMesa work. Told to take a
    # library that is not there, it cannot be imported at all.
    if sys.platform.startswith("linux") and not os.environ.get("DISPLAY") and _is_there("libEGL.so.1"):
        os.environ.setdefault("MUJOCO_GL", "egl")
    for env_id, (module, name, settings, steps) in _ENVIRONMENTS.items():
        if env_id not in registry:
            register(
                id=env_id,
                entry_point=f"wmcontrol.envs.{module}:{name}Env",
                vector_entry_point=f"wmcontrol.envs.{module}:{name}VectorEnv",
                kwargs=settings,
                max_episode_steps=steps,
            )


def _is_there(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def register_goal_env(
    env_id: str,
    make: Make | str,
    *,
    success: Success | None = None,
    goal: Goal | Sequence[float] | None = None,
    state: tuple[GetState, SetState] | GetState | None = None,
    state_labels: Sequence[str] | None = None,
    control_rate: float | None = None,
    max_episode_steps: int | None = None,
) -> None:
    """Register a Gymnasium environment as one with goals, which agents plan in and every command takes.

    Do this in a module of yours, ``my_module.py``; then ``gymnasium.make("my_module:ID")``, ``gymnasium.make_vec`` and
    ``wmcontrol … env.id=my_module:ID`` import it and make the environment. Observations, options and infos are those of
    :class:`~wmcontrol.envs.goal_env.GoalEnv`. The environment's own rewards and ends are not read: an episode ends at
    its goal or after its budget.

    Args:
        env_id: the id to register, such as ``"mine/Reacher-v0"``.
        make: returns the environment, with ``render_mode="rgb_array"``; or the id of one that has no settings. Square
            frames of about the size that agents look at are drawn fastest.
        success: says of states (…, n) and goal states (…, n) which are at their goals: (…) bool. By default the
            environment's own method of this name.
        goal: the goal state (n,) of every episode that is given none; or a function of a random generator and the start
            state that draws one. By default the state after 50 random steps.
        state: how the state is read, ``get(env)``, and set, ``set(env, state)``, where ``env`` is unwrapped. By default
            MuJoCo's positions and velocities; the environment's ``get_state()`` and ``set_state(state)``; or its
            attribute ``state``. Where it can be read and not set, ``get`` alone: starts and goals are then reached by
            doing again what was done since the episode's seed, which takes as long as these steps, and states hold
            these actions beside what ``get`` reads, which ``success`` is given.
        state_labels: a name for each number that is read; what ends in ``angle`` is one, in radians, for reports.
        control_rate: actions per second, Hz. By default 1 / ``dt`` of MuJoCo's environments, or ``render_fps``.
        max_episode_steps: after so many steps an episode is truncated. With ``get`` alone it must be given: so many
            actions states have room for, those of a recorded episode and of the agent after them.

    Raises:
        ValueError: ``env_id`` is taken, or ``get`` alone comes without ``max_episode_steps`` or with a goal. What is
            wrong with the environment itself is raised when it is made; :func:`~wmcontrol.envs.check_goal_env` tells
            more.
    """
    if env_id in registry:
        raise ValueError(f"there is an environment {env_id} already; choose another id, or register it once")
    if callable(state) and max_episode_steps is None:
        raise ValueError("state=get replays actions: give max_episode_steps, how many a state must have room for")
    if callable(state) and goal is not None:
        raise ValueError("goal: what can only be replayed is led to no given state; leave goal or state=get out")
    world = {
        "make": make,
        "success": success,
        "goal": goal,
        "state": state,
        "state_labels": state_labels,
        "control_rate": control_rate,
        "num_actions": max_episode_steps,
    }
    register(
        id=env_id,
        entry_point=partial(_one, world),
        vector_entry_point=partial(_several, world),
        max_episode_steps=max_episode_steps,
    )


def _one(world: Mapping[str, Any], /, **settings: Any) -> Any:
    """Make one; settings, which a file of data may say, replace nothing of what was registered (a TypeError)."""
    from .foreign import ForeignGoalEnv

    return ForeignGoalEnv(**world, **settings)


def _several(world: Mapping[str, Any], /, **settings: Any) -> Any:
    from .foreign import ForeignGoalVectorEnv

    return ForeignGoalVectorEnv(**world, **settings)


def is_goal_env(env_id: str | None) -> bool:
    """Say whether an id is of an environment with goals whose frames can be drawn from its states."""
    spec = registry.get(env_id or "")
    return env_id in ENV_IDS or (spec is not None and getattr(spec.entry_point, "func", None) is _one)


def maker_of(env_id: str) -> Make | str:
    """Return what makes an environment without goals: its id, or what :func:`register_goal_env` was given."""
    name = bare_id(env_id)
    spec = registry.get(name)
    world = getattr(spec.entry_point, "args", ()) if spec is not None else ()
    made: Make | str = world[0]["make"] if world and is_goal_env(name) else name
    return made


def bare_id(env_id: str) -> str:
    """Return an id without the module that is named before it, as in ``my_module:mine/Reacher-v0``, and import that.

    What stands behind the module may be a function of it, ``my_module:make_env``, instead of an id. What it makes is
    registered as ``my_module/make_env-v0``, with the environment's own method ``success``.

    Raises:
        ValueError: there is no such module.
        ImportError: it needs another that is not there.
    """
    module, _, name = env_id.rpartition(":")
    if not module:
        return name
    try:
        make = getattr(import_module(module), name, None)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        raise ValueError(
            f"there is no module {module}, in which {env_id} is registered: run where it lies, or install it"
        ) from error
    if make is None:
        return name
    made_id = f"{module.replace('.', '_')}/{name}-v0"
    if made_id not in registry:
        register_goal_env(made_id, make)
    return made_id
