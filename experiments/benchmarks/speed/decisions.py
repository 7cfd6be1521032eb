"""What of an environment step is spent outside the model and the simulator: conversion, queues, rendering."""

from collections.abc import Sequence
from statistics import median
from time import perf_counter
from typing import Any

import gymnasium as gym
import torch

from wmcontrol import CEM, GoalDistance, Planner, PlanningAgent, WorldModel
from wmcontrol.planners import fast

from ..results import Section, Verdict
from ..timing import watching

ENVS = {"wall": "wmcontrol/Wall-v0", "pusht": "wmcontrol/PushT-v0", "pointmaze": "wmcontrol/PointMaze_UMaze-v0"}
STEPS = 25
# None of these calls another.
_INSIDE: dict[str, tuple[type, str]] = {
    "encode": (WorldModel, "encode"),
    "context": (WorldModel, "context"),
    "plan": (Planner, "plan"),
}


def decisions(rounds: int) -> Section:
    """Run agents in the environments and share out the time."""
    planners: dict[str, Planner] = {"CEM(std=2.0)": CEM(std=2.0), "fast()": fast()}
    rows, numbers = [], {}
    for name, env_id in ENVS.items():
        model = WorldModel.load(name, dtype="auto")
        for planner_name, planner in planners.items():
            for replan_every in (25, 5):
                agent = PlanningAgent(model, planner, GoalDistance("cosine"), replan_every=replan_every)
                found = [_shares(agent, env_id, seed) for seed in range(rounds)]
                told = {part: median(shares[part] for shares in found) for part in found[0]}
                label = f"{name}, {planner_name}, a plan every {replan_every} steps"
                numbers[label] = told
                shares = (f"{told[part]:.1%}" for part in ("model and planner", "simulator", "outside"))
                rows.append((label, f"{1e3 * told['seconds']:.1f}", *shares))
    most = max(numbers, key=lambda label: numbers[label]["outside"])
    return Section(
        "What a decision costs beside model and simulator",
        f"Episodes of {STEPS} steps with packaged models, {torch.get_num_threads()} threads, medians of {rounds}. "
        "Simulator: the same actions in an environment that draws nothing. Outside is all else: rendering what the "
        "agent sees, conversion, queues, Gymnasium's wrappers.",
        ("agent", "ms per environment step", "model and planner", "simulator", "outside"),
        rows,
        numbers,
        [
            Verdict(
                "at most 10 % outside",
                f"{numbers[most]['outside']:.1%} at most ({most})",
                numbers[most]["outside"] <= 0.1,
            )
        ],
    )


def _shares(agent: PlanningAgent, env_id: str, seed: int) -> dict[str, float]:
    env = gym.make(env_id, terminate_on_success=False)
    observation, _ = env.reset(seed=seed)
    agent.predict(observation)  # what is made once is made now
    done = []
    with watching(_INSIDE) as noted:
        state, start = None, perf_counter()
        for _ in range(STEPS):
            action, state = agent.predict(observation, state)
            done.append(action)
            observation, *_ = env.step(action)
        total = perf_counter() - start
    env.close()
    physics, model = _simulate(env_id, seed, done), sum(noted.values())
    return {
        "seconds": total / STEPS,
        "model and planner": model / total,
        "simulator": physics / total,
        "outside": (total - model - physics) / total,
    }


def _simulate(env_id: str, seed: int, actions: Sequence[Any]) -> float:
    """Return the seconds that steps take without frames and without Gymnasium's wrappers."""
    env = gym.make(env_id, terminate_on_success=False, obs_type="state").unwrapped
    env.reset(seed=seed)
    start = perf_counter()
    for action in actions:
        env.step(action)
    return perf_counter() - start
