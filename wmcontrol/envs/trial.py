"""Trying an environment that was made one with goals."""

from copy import copy
from typing import Any

import gymnasium as gym
import numpy as np

from .registration import bare_id

_MOST_UNLIKE = 64  # of 255, by which frames of one state may differ: two renderers smooth edges differently


def _unlike_its_own(env: Any) -> int:
    """Return the largest difference between an environment's own frame and that of its state alone."""
    from .foreign.env import rendered, resized

    world, state, drawn = env._world, env.get_state(), []
    for one in (world._envs[0], world._aside):
        world._set(one.unwrapped, state.copy())
        drawn.append(resized(rendered(one), env._image_size).astype(int))
    return int(np.abs(drawn[0] - drawn[1]).max())


def _look_alike(env: Any, states: Any) -> bool:
    """Say whether success tells the first of some states from another, and their pictures do not."""
    world = env._world
    pictures = world.draw(np.zeros(len(states), np.int64), states, env._image_size)
    alike = np.array([np.array_equal(pictures[0], picture) for picture in pictures])
    reached = world.achieved(states)
    return bool((alike & ~world.is_success(np.broadcast_to(reached[0], reached.shape), reached)).any())


def check_goal_env(env_id: str, *, num_steps: int = 20, seed: int = 0) -> list[str]:
    """Try what planning and judging rely on, and say what does not hold and what to do about it.

    Args:
        env_id: an environment that :func:`~wmcontrol.envs.register_goal_env` registered.
        num_steps: random steps that are tried.
        seed: of the trial.

    Returns:
        A sentence for each thing that is wrong; none if all is well.

    Raises:
        ValueError, TypeError: the environment cannot be made.
    """
    made: Any = gym.make(bare_id(env_id), disable_env_checker=True, terminate_on_success=False)
    env, found = made.unwrapped, []
    try:
        try:
            first, info = env.reset(seed=seed)
        except ValueError as refused:
            return [f"no episode can be begun: {refused}"]
        start, goal = env.get_state(), env._world.goal_states[0].copy()
        again = env.reset(seed=seed)[0]
        if not np.array_equal(again["observation"], first["observation"]):
            found.append("reset(seed=…) draws another start the second time: seed everything from self.np_random")
        env.reset(seed=seed, options={"state": start, "goal_state": start})
        space = copy(env.action_space)
        space.seed(seed)
        actions = [space.sample() for _ in range(num_steps)]

        def states_after(some: Any) -> Any:
            return np.stack([(env.step(action), env.get_state())[1] for action in some])

        states = states_after(actions)
        if np.array_equal(*env._world.achieved(np.stack([states[-1], start]))):
            found.append(f"{num_steps} random steps change nothing of the state: does it hold what actions move?")
        info = env.reset(seed=seed, options={"state": states[-1], "goal_state": states[-1]})[1]
        missed = np.abs(env.get_state() - states[-1]).max()
        if missed > 1e-6 * max(1.0, np.abs(states[-1]).max()):
            found.append(
                f"a state that was set is read back with an error of {missed:.3g}: set is not the inverse of get; give "
                "state=(get, set), keep more in the state, or give state=get to replay actions"
            )
        elif not info["is_success"]:
            found.append("success is false in the very goal state")
        if _look_alike(env, np.stack([start, states[-1], goal])):
            found.append(
                "two states that success tells apart have the same picture, and pictures are all that agents see: "
                f"show in them, at {env._image_size} pixels, what success asks for"
            )
        most = _unlike_its_own(env)
        if most > _MOST_UNLIKE:
            found.append(
                "frames of the environment itself show something that is not in the state (a pixel differs by "
                f"{most} of 255 from the frame of the same state elsewhere); agents are shown the state alone"
            )
        half = num_steps // 2
        env.reset(seed=seed, options={"state": states[half - 1], "goal_state": goal})
        error = np.abs(states_after(actions[half:]) - states[half:]).max()
        if error > 1e-4 * max(1.0, np.abs(states).max()):
            found.append(
                f"the same actions from the same state lead elsewhere, by {error:.3g} after {num_steps - half} steps: "
                "the state lacks something, or steps draw random numbers; state=get replays actions instead"
            )
    except ValueError as refused:
        found.append(str(refused))
    finally:
        env.close()
    return found
