"""What came out of a comparison: the report's rows, and in words what was compared and how long it took."""

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..evaluation import Evaluation, ResultRow, Video, report
from ..evaluation.specs import Role
from .compare_settings import Comparison
from .compare_stages import FILM, NO_OP, RANDOM, SIMULATOR, TASKS, Plan
from .files import whole_file
from .recipes import Data

_ROLES: Mapping[str, Role] = {NO_OP: "baseline", RANDOM: "baseline", SIMULATOR: "oracle"}
_PAIRS = (("full", "scratch"), ("action_only", "scratch"), ("full", "action_only"))


def save(asked: Comparison, planned: Plan, root: Path, out: Path) -> Path:
    """Save the report of stages that are finished, films beside it, and return its page."""
    rows = [
        ResultRow(
            env=shown(asked, row.env),
            agent=row.agent,
            role=_ROLES.get(row.agent, "model"),
            num_train_trajectories=row.labelled,
            all_train_trajectories=None if row.labelled is None else asked.trained_on(row.env),
            evaluation=Evaluation.over_seeds([Evaluation.read(s.folder(root) / TASKS) for s in row.stages]),
        )
        for row in planned.rows
    ]
    videos = []
    for name, stage in planned.films.items():
        path = out / f"{name}.mp4"
        with whole_file(path) as temporary:
            shutil.copyfile(stage.folder(root) / FILM, temporary)
        facts = (stage.record(root) or {})["facts"]
        model = f"{facts['mode']}, training seed {facts['training_seed']}"
        caption = f"{shown(asked, name)}: the first tasks, planned with the model that reached most goals, {model}"
        videos.append(Video(caption, path))
    seconds = spent(planned, root)
    page = report(
        rows,
        out,
        title="Three ways of fine-tuning, judged by planning",
        about=list(about(asked)),
        run_notes=[in_words(seconds)],
        pairs=[pair for pair in _PAIRS if set(pair) <= set(asked.modes)],
        videos=videos,
    )
    times = out / "times.json"
    with whole_file(times) as temporary:
        temporary.write_text(
            json.dumps({**json.loads(times.read_text(encoding="utf-8")), "stages": seconds}, indent=1) + "\n",
            encoding="utf-8",
        )
    return page


def shown(asked: Comparison, name: str) -> str:
    """Return an environment's name as a reader should see it."""
    return asked.env_id(name).split("/")[-1].removesuffix("-v0")


def about(asked: Comparison) -> Iterator[str]:
    """Say what was compared: base, data, training, tasks."""
    base, encoder = asked.base_digests
    name = "the packaged one" if asked.base == Comparison.base else f"`{asked.base}`"
    yield (
        f"Base: {name}, pretrained without actions; predictor {base}, encoder {encoder}. The mode "
        "scratch has its architecture and not its weights; action_only trains the action blocks alone; full trains "
        "everything."
    )
    for name, data in asked.data.items():
        yield f"{shown(asked, name)}: {_data(asked, name, data)}"
    steps = ", ".join(f"{shown(asked, n)} {keys['num_steps']:,}" for n, keys in asked.training.items())
    few = (
        f"; {asked.few_steps:,} with {' and '.join(map(str, asked.labelled))} labelled trajectories"
        if asked.labelled
        else ""
    )
    seeds = ", ".join(map(str, asked.training_seeds))
    yield (
        f"Optimiser steps with all trajectories: {steps}{few}. Training seeds {seeds}; seed {asked.seed} of tasks, "
        "agents and of which trajectories are held out."
    )
    looks = ", ".join(f"{shown(asked, name)} {steps}" for name, steps in asked.warmup.items() if steps)
    protocol = asked.protocol
    yield (
        f"Protocol {protocol.name}: goals {protocol.goal_offset} steps ahead, {protocol.budget} steps to get there, "
        f"{protocol.replan_every} executed of each plan of {protocol.horizon} model steps; planner {asked.planner} "
        f"{dict(asked.planner_settings)}, objective GoalDistance {_objectives(asked)}."
        + (f" Before they act, agents look on for some steps of the trajectory: {looks}." if looks else "")
    )
    yield (
        "All agents of an environment have the same tasks"
        + (
            f", the true simulator the first {asked.oracle_tasks} of them: the same planner, objective and encoder, "
            "with the environment itself in place of a model"
            if asked.oracle_tasks
            else ""
        )
        + "."
    )


def _objectives(asked: Comparison) -> str:
    first, *others = (str(dict(given)) for given in asked.objective.values())
    if all(other == first for other in others):
        return first
    return ", ".join(f"{dict(given)} in {shown(asked, name)}" for name, given in asked.objective.items())


def _data(asked: Comparison, name: str, data: Data | Path) -> str:
    count = f"{asked.trained_on(name):,}"
    if isinstance(data, Path):
        return (
            f"{count} of the {len(asked.own[name]):,} trajectories of `{data}`; the tasks are of the tenth that is "
            "held out, which no model was fine-tuned on."
        )
    frames = " to ".join(str(number) for number in data.frames)
    return (
        f"{count} of {data.episodes:,} episodes of {frames} frames, collected by this package with the policy "
        f"{data.policy} (seed {data.seed}); the tasks are of {data.unseen_episodes:,} more (seed {data.unseen_seed}), "
        "which no model was trained on."
    )


def spent(planned: Plan, root: Path) -> dict[str, float]:
    """Return the seconds of one core that each stage took, of all attempts together, by name."""
    found: dict[str, float] = {}
    for last in planned.stages:
        for stage in last.all_needs():
            attempts = (stage.record(root) or {"attempts": []})["attempts"]
            found[stage.name] = sum(attempt.get("core_seconds", attempt["seconds"]) for attempt in attempts)
    return found


def in_words(seconds: Mapping[str, float]) -> str:
    """Say how long all took, by kind of stage."""
    kinds: dict[str, float] = {}
    for name, value in seconds.items():
        kinds[name.split()[0]] = kinds.get(name.split()[0], 0) + value
    each = ", ".join(f"{kind} {value:,.0f}" for kind, value in kinds.items())
    return f"It took {sum(kinds.values()):,.0f} seconds of one core ({each}), with attempts that were killed."
