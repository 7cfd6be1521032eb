"""Where the seconds of an evaluation go, with rollouts by the predictor's step and as planners have them."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from statistics import median
from time import perf_counter

import gymnasium as gym
import torch

from wmcontrol import GoalDistance, Planner, PlanningAgent, WorldModel
from wmcontrol.evaluation import RandomTasks, evaluate
from wmcontrol.planners import fast

from ..results import Section
from ..timing import ratio, watching
from .decisions import ENVS

TASKS, BATCH = 16, 16
_PARTS = ("rollouts", "planner", "encoding", "environments", "the rest")


def evaluation(rounds: int) -> Section:
    """Judge packaged agents on a batch of tasks, and share out the time."""
    rows, numbers = [], {}
    for name, env_id in ENVS.items():
        model = WorldModel.load(name, dtype="auto")
        agent = PlanningAgent(model, fast(), GoalDistance("cosine"))
        taken: dict[str, list[dict[str, float]]] = {"before": [], "after": []}
        for number in range(1 + rounds):
            for way, found in taken.items():
                with _plain_rollouts(model) if way == "before" else nullcontext():
                    parts = _parts(agent, env_id)
                if number:  # the first does not count
                    found.append(parts)
        for way, each in taken.items():
            told = {part: median(found[part] for found in each) for part in (*_PARTS, "all")}
            numbers[f"{name}, {way}"] = told
            gain = ratio([found["all"] for found in taken["before"]], [found["all"] for found in each])
            cells = [f"{told['all']:.2f}", *(f"{told[part]:.3f}" for part in _PARTS), f"{gain:.1f}x"]
            rows.append((f"{name}, {way}", *cells))
    return Section(
        "Where an evaluation's seconds go",
        f"{TASKS} tasks side by side under protocol `paper` with `fast()`, seconds, {torch.get_num_threads()} threads, "
        f"medians of {rounds}. Before: rollouts by `predictor.step`, as gradients take them; after: as planners have "
        "them.",
        ("agent", "all", *_PARTS, "gain"),
        rows,
        numbers,
    )


def _parts(agent: PlanningAgent, env_id: str) -> dict[str, float]:
    tasks = RandomTasks(env_id, TASKS)
    envs = type(gym.make_vec(env_id, num_envs=1).unwrapped)
    watched: dict[str, tuple[type, str]] = {
        "rollouts": (WorldModel, "rollout"),
        "plans": (Planner, "plan"),  # rollouts included
        "encoding": (WorldModel, "encode"),
        "environments": (envs, "step"),
    }
    with watching(watched) as noted:
        start = perf_counter()
        evaluate(agent, tasks, "paper", batch=BATCH)
        total = perf_counter() - start
    found = {**noted, "planner": noted["plans"] - noted["rollouts"]}
    del found["plans"]
    return {**found, "the rest": total - sum(found.values()), "all": total}


@contextmanager
def _plain_rollouts(model: WorldModel) -> Iterator[None]:
    """Let a model imagine by the predictor's step: what has a hook is computed as it stands."""
    handle = model.predictor.register_forward_hook(lambda *_: None)
    try:
        yield
    finally:
        handle.remove()
