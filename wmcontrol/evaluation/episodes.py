"""Running a batch of tasks side by side.

Letters: ``B`` tasks, ``a`` numbers in an action.
"""

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..actions import ActionLayout
from ..checks import check_whole
from ..envs.contract import check_fits, image_size, shown_to
from ..envs.making import make_vector
from ..memory import peak_memory
from .protocols import Protocol
from .tasks import Task, Tasks


def make_env(env_id: str, num_envs: int, settings: Mapping[str, Any], image_size: int | None) -> Any:
    """Make the vector environment that tasks are done in, as :func:`~wmcontrol.envs.making.make_vector` does."""
    size = {} if image_size is None else {"image_size": image_size}
    return make_vector(env_id, num_envs, {**settings, "obs_type": "pixels_state", **size})


@dataclass(frozen=True)
class StepRecord:
    """What a batch of tasks shows before the agent's first step, and after each."""

    observation: Mapping[str, Any]  # as the environment made it
    success: NDArray[np.bool_]  # (B,) whether each world is at its goal
    state: Any  # the agent's, as it was when it chose the last actions
    seconds: float  # that it took to choose them


def rollout_episodes(
    env: Any, agent: Any, tasks: Sequence[Task], seeds: Sequence[int], budget: int
) -> Iterator[StepRecord]:
    """Let an agent do as many tasks as there are environments, and yield ``1 + budget`` records.

    Nothing of success reaches the agent: observations as the environment makes them, and no rewards or infos.
    """
    options: dict[str, Any] = {}
    if tasks[0].state is not None:
        options = {name: np.stack([getattr(task, name) for task in tasks]) for name in ("state", "goal_state")}
        options["variation"] = [dict(task.variation) for task in tasks]
    observation, infos = env.reset(seed=[task.seed for task in tasks], options=options)
    state = agent.start(seeds) if hasattr(agent, "start") else None
    looks_on = hasattr(agent, "observe")
    first = np.ones(len(tasks), bool)
    replay, layout = np.stack([task.replay for task in tasks]), ActionLayout.of(env.single_action_space)
    for step in range(replay.shape[1]):
        actions = layout.to_actions(replay[:, step]).astype(env.single_action_space.dtype)
        if looks_on:
            state = agent.observe(_shown(agent, env, observation), state, actions, episode_start=first)
            first = np.zeros(len(tasks), bool)
        observation, *_, infos = env.step(actions)
    yield StepRecord(observation, infos["is_success"], state, 0.0)
    for _ in range(budget):
        shown = _shown(agent, env, observation)
        begun = time.perf_counter()
        actions, state = agent.predict(shown, state=state, episode_start=first, deterministic=True)
        seconds = time.perf_counter() - begun
        first = np.zeros(len(tasks), bool)
        observation, *_, infos = env.step(actions)
        yield StepRecord(observation, infos["is_success"], state, seconds)


def run(env: Any, agent: Any, tasks: Sequence[Task], seeds: Sequence[int], budget: int) -> list[dict[str, Any]]:
    """Run an agent on as many tasks as there are environments.

    Returns:
        A record for each task.
    """
    steps = rollout_episodes(env, agent, tasks, seeds, budget)
    now = next(steps)
    started = distances(env, now.observation)["distance"]
    solved, when = np.zeros(len(tasks), bool), np.full(len(tasks), -1)
    seconds = 0.0
    for step, now in enumerate(steps, 1):
        seconds += now.seconds
        when[now.success & ~solved] = step
        solved |= now.success
    ended = distances(env, now.observation)
    decisions = getattr(now.state, "decisions", (budget,) * len(tasks))
    memory, torch = peak_memory(), sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        memory += torch.cuda.max_memory_allocated()
    return [
        {
            "source": task.source,
            "success_end": bool(now.success[i]),
            "success_any": bool(solved[i]),
            "first_success": int(when[i]) if solved[i] else None,
            "start_distance": started[i],
            **{name: values[i] for name, values in ended.items()},
            "decisions": int(decisions[i]),
            "seconds": seconds / len(tasks),
            "memory": memory,
        }
        for i, task in enumerate(tasks)
    ]


def task_seed(seed: int, number: int) -> int:
    """Return the seed of the agent's random numbers in one task, whatever batch it runs in."""
    return int(np.random.SeedSequence((seed, number)).generate_state(1, np.uint32)[0])


def check(
    agent: Any, tasks: Tasks, protocol: Protocol, *, seed: int = 0, batch: int = 16, jobs: int = 1, videos: int = 0
) -> None:
    """Refuse what is no agent, and an agent that fits neither the tasks' environment nor what the protocol says.

    Raises:
        TypeError: it cannot choose actions.
        ValueError: it says what differs.
    """
    for name, value, least in (("seed", seed, 0), ("batch", batch, 1), ("jobs", jobs, 1), ("videos", videos, 0)):
        check_whole(name, value, least)
    if not callable(getattr(agent, "predict", None)):
        raise TypeError(
            f"an agent has a method predict(observation, state, episode_start, deterministic); got {agent!r}"
        )
    for name, expected in (("replan_every", protocol.replan_every), ("horizon", protocol.horizon)):
        if getattr(agent, name, expected) != expected:
            raise ValueError(
                f"the protocol {protocol.name} has {name}={expected}, the agent {getattr(agent, name)}; make the agent "
                "so, or give a Protocol of your own"
            )
    with closing(make_env(tasks.env_id, 1, tasks.env_settings, image_size(agent))) as env:
        check_fits(agent, env)


def distances(env: Any, observation: Mapping[str, Any]) -> dict[str, list[float]]:
    """Return how far each world is from its goal, over all numbers but angles, and the largest angle if it has any."""
    away = observation["achieved_goal"] - observation["desired_goal"]
    labels = getattr(env, "state_labels", ())[: away.shape[1]]
    turns = [number for number, label in enumerate(labels) if label.endswith("angle")]
    found = {"distance": np.linalg.norm(np.delete(away, turns, 1), axis=1).tolist()}
    if turns:
        found["angle"] = np.abs((away[:, turns] + np.pi) % (2 * np.pi) - np.pi).max(1).tolist()
    return found


def _shown(agent: Any, env: Any, observation: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what an agent is to see: a trained policy what it was trained on, the simulator's agent the state too."""
    if getattr(agent, "reads_state", False):
        return {**observation, "state": env.get_state(), "variation": env.variation}
    return shown_to(agent, observation)
