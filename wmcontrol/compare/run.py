"""Three ways of fine-tuning, evaluated by planning, between baselines and an oracle; and the report of it."""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..evaluation import Evaluation, ResultRow, Video, report
from ..evaluation.specs import Role, env_label
from ..files import atomic_write
from ..runs import open_run
from ..trackers import Tracker
from ..training.state import LOG
from .plan import FILM, NO_OP, RANDOM, RUN, SIMULATOR, TASKS, Plan, plan
from .settings import CollectSettings, Comparison, planner_settings
from .stages import run_stages

_ROLES: Mapping[str, Role] = {NO_OP: "baseline", RANDOM: "baseline", SIMULATOR: "oracle"}
_PAIRS = (("full", "scratch"), ("action_only", "scratch"), ("full", "action_only"))


@dataclass(frozen=True)
class ComparisonResult:
    """What a comparison found.

    Attributes:
        rows: an agent in an environment each, over all training seeds.
        folder: of the report, with ``report.html``, ``report.json`` and films.
        report: the page.
        seconds: of one core that each stage took, by name.
    """

    rows: list[ResultRow]
    folder: Path
    report: Path
    seconds: Mapping[str, float]


def compare(
    comparison: Comparison,
    folder: str | os.PathLike[str],
    *,
    stages: str | os.PathLike[str] | None = None,
    jobs: int | None = None,
    engine: str = "processes",
    engine_address: str | None = None,
    tracker: Tracker | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ComparisonResult:
    """Make the table of DINO-world's three ways of fine-tuning (arXiv 2507.19468, table 4), and a report of it.

    Trajectories are collected or read, and encoded; the base is fine-tuned on them in each way, with all of them and
    with few, and with each training seed; then all plan on the same tasks, beside doing nothing, random actions, and
    the same planner with the true simulator as its model. Each of these is a stage, in a folder named by all that
    decides what is in it: what is finished is not done again, a call that was killed goes on when it is made again,
    and numbers do not depend on ``jobs`` or ``engine``.

    Args:
        comparison: what is compared.
        folder: for the report.
        stages: the folder of stages, which comparisons may share; by default ``stages`` in ``folder``. With
            ``engine="ray"`` all machines must see it at the same path.
        jobs: stages at once, with a thread each; by default the cores of this machine, or of the cluster.
        engine: ``"processes"`` of this machine, or ``"ray"``, see :func:`~wmcontrol.engine.run_parallel`.
        engine_address: of the Ray cluster.
        tracker: is told in the end what is in the report, and how each model learned.
        progress: is told how many stages are done, and of how many.

    Raises:
        ValueError: what cannot be done, before anything is; ``folder`` holds another comparison; or stages failed,
            which are named. Those that did not fail are kept.
        OSError: trajectories or the base are not there, nothing can be saved in ``folder``, or another process is
            writing there.
    """
    comparison.check()
    out = Path(folder)
    root = (out / "stages" if stages is None else Path(stages)).resolve()
    planned = plan(comparison.resolved())
    with open_run(out, "compare", comparison.as_dict()):
        run_stages(planned.stages, root, jobs=jobs, engine=engine, engine_address=engine_address, progress=progress)
        rows = _rows(comparison, planned, root)
        if tracker is not None:
            _tell_training(tracker, planned, root)
        page = _save(comparison, planned, rows, root, out, tracker)
    return ComparisonResult(rows, out, page, _seconds_spent(planned, root))


def _rows(asked: Comparison, planned: Plan, root: Path) -> list[ResultRow]:
    """Return the rows of stages that are finished."""
    return [
        ResultRow(
            env=_label(asked, row.env),
            agent=row.agent,
            role=_ROLES.get(row.agent, "model"),
            num_train_trajectories=row.num_train_trajectories,
            all_train_trajectories=None if row.num_train_trajectories is None else asked.num_trained_on(row.env),
            evaluation=Evaluation.over_seeds([Evaluation.read(s.folder(root) / TASKS) for s in row.stages]),
        )
        for row in planned.rows
    ]


def _tell_training(tracker: Tracker, planned: Plan, root: Path) -> None:
    trained = [need for row in planned.rows for stage in row.stages for need in stage.all_needs()]
    for stage in dict.fromkeys(stage for stage in trained if stage.name.startswith("train ")):
        for line in (stage.folder(root) / RUN / LOG).read_text(encoding="utf-8").splitlines():
            values = json.loads(line)
            tracker(values.pop("step"), {f"{stage.name}/{name}": value for name, value in values.items()})


def _save(
    asked: Comparison, planned: Plan, rows: list[ResultRow], root: Path, out: Path, tracker: Tracker | None
) -> Path:
    """Save the report of stages that are finished, films beside it, and return its page."""
    videos = []
    for name, stage in planned.films.items():
        path = out / f"{name}.mp4"
        with atomic_write(path) as file, (stage.folder(root) / FILM).open("rb") as film:
            shutil.copyfileobj(film, file)
        facts = (stage.record(root) or {})["facts"]
        model = f"{facts['mode']}, training seed {facts['training_seed']}"
        caption = f"{_label(asked, name)}: the first tasks, planned with the model that reached most goals, {model}"
        videos.append(Video(caption, path))
    seconds = _seconds_spent(planned, root)
    page = report(
        rows,
        out,
        title="Three ways of fine-tuning, judged by planning",
        about=list(about(asked)),
        run_notes=[in_words(seconds)],
        pairs=[pair for pair in _PAIRS if set(pair) <= set(asked.modes)],
        videos=videos,
        tracker=tracker,
    )
    times = out / "times.json"
    told = {**json.loads(times.read_text(encoding="utf-8")), "stages": seconds}
    with atomic_write(times) as file:
        file.write((json.dumps(told, indent=1) + "\n").encode())
    return page


def _label(asked: Comparison, name: str) -> str:
    """Return an environment's name as a reader should see it."""
    return env_label(asked.environments[name].env_id)


def about(asked: Comparison) -> Iterator[str]:
    """Say what was compared: base, data, training, tasks."""
    base, encoder = asked.base_digests
    given = asked.environments
    name = "the packaged one" if asked.base == Comparison.base else str(asked.base)
    yield (
        f"Base: {name}, pretrained without actions; predictor {base}, encoder {encoder}. The mode "
        "scratch has its architecture and not its weights; action_only trains the action blocks alone; full trains "
        "everything."
    )
    for name in given:
        yield f"{_label(asked, name)}: {_data(asked, name)}"
    steps = ", ".join(f"{_label(asked, name)} {settings.training.num_steps:,}" for name, settings in given.items())
    few = (
        f"; {asked.few_steps:,} with {' and '.join(map(str, asked.num_train_trajectories))} trajectories"
        if asked.num_train_trajectories
        else ""
    )
    seeds = ", ".join(map(str, asked.training_seeds))
    yield (
        f"Optimiser steps with all trajectories: {steps}{few}. Training seeds {seeds}; seed {asked.seed} of tasks, "
        "agents and of which trajectories are held out."
    )
    planning = {name: settings.planning for name, settings in given.items()}
    looks = ", ".join(f"{_label(asked, n)} {each.context_steps}" for n, each in planning.items() if each.context_steps)
    powers = ", ".join(f"{_label(asked, n)} {each.standardize:g}" for n, each in planning.items() if each.standardize)
    protocol = asked.protocol
    planner = planner_settings(asked.planner)
    yield (
        f"Protocol {protocol.name}: goals {protocol.goal_offset} steps ahead, {protocol.budget} steps to get there, "
        f"{protocol.replan_every} executed of each plan of {protocol.horizon} model steps; planner "
        f"{planner.pop('name')} {planner}, objective GoalDistance, "
        + ", ".join(dict.fromkeys(each.metric for each in planning.values()))
        + (f"; tokens are standardized, with the power: {powers}" if powers else "")
        + "."
        + (f" Before they act, agents observe some steps of the trajectory: {looks}." if looks else "")
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


def _data(asked: Comparison, name: str) -> str:
    data, count = asked.environments[name].data, f"{asked.num_trained_on(name):,}"
    if not isinstance(data, CollectSettings):
        return (
            f"{count} of the {len(asked.own[name]):,} trajectories of {data}; the tasks are of the tenth that is "
            "held out, which no model was fine-tuned on."
        )
    frames = " to ".join(str(number) for number in data.num_frames)
    return (
        f"{count} of {data.num_episodes:,} episodes of {frames} frames, collected with the policy {data.policy} "
        f"(seed {data.seed}); the tasks are of {data.num_unseen:,} more (seed {data.unseen_seed}), which no model was "
        "trained on."
    )


def _seconds_spent(planned: Plan, root: Path) -> dict[str, float]:
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
