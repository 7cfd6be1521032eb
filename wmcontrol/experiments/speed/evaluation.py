"""Where the seconds of an evaluation go, with rollouts as they were and as they are."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import torch

from ...agents import PlanningAgent
from ...envs.goal_core import GoalCore
from ...evaluation import RandomTasks, evaluate
from ...models import WorldModel
from ...models.imagination import Imaginations
from ...objectives import GoalDistance
from ...planners import Planner, fast
from .clock import watching
from .decisions import ENVS
from .section import Section
from .timing import ratio

TASKS, BATCH = 16, 16
_WATCHED: dict[str, tuple[type, str]] = {
    "rollouts": (WorldModel, "rollout"),
    "plans": (Planner, "plan"),  # rollouts included
    "encoding": (WorldModel, "encode"),
    "physics": (GoalCore, "step"),
    "observations": (GoalCore, "outcome"),
}
_PARTS = ("rollouts", "planner", "encoding", "physics", "observations", "the rest")


def evaluation(rounds: int) -> Section:
    """Judge packaged agents on a batch of tasks, and share out the time."""
    rows, numbers = [], {}
    for name, env_id in ENVS.items():
        agent = PlanningAgent(WorldModel.load(name, dtype="auto"), fast(), GoalDistance("cosine"))
        taken: dict[str, list[dict[str, float]]] = {"before": [], "after": []}
        for number in range(1 + rounds):
            for way, rollouts in (("before", _plain_rollouts), ("after", _rollouts)):
                with rollouts():
                    found = _parts(agent, env_id)
                if number:  # the first does not count
                    taken[way].append(found)
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
    with tempfile.TemporaryDirectory() as folder, watching(_WATCHED) as noted:
        start = perf_counter()
        evaluate(agent, tasks, "paper", file=Path(folder) / "tasks.jsonl", batch=BATCH)
        total = perf_counter() - start
    plans = noted.pop("plans")
    found = {**noted, "planner": plans - noted["rollouts"]}
    return {**found, "the rest": total - sum(found.values()), "all": total}


@contextmanager
def _rollouts() -> Iterator[None]:
    yield


@contextmanager
def _plain_rollouts() -> Iterator[None]:
    original: Callable[..., Any] = Imaginations.of
    Imaginations.of = lambda *_: None  # type: ignore[method-assign]
    try:
        yield
    finally:
        Imaginations.of = original  # type: ignore[method-assign]
