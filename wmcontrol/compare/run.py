"""Three ways of fine-tuning, evaluated by planning, between baselines and an oracle; and the report of it."""

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from jinja2 import Environment, PackageLoader

from ..evaluation.reports.report import Video, report
from ..evaluation.result import Evaluation, ResultRow, Role, env_label
from ..evaluation.specs import BEST, NO_OP, PRIOR, RANDOM, SIMULATOR
from ..files import atomic_write
from ..runs import open_run
from ..trackers import Tracker
from ..training.state import LOG
from .plan import FILM, RUN, TASKS, Plan, plan
from .settings import Comparison, planner_settings
from .stages import run_stages

_ROLES: Mapping[str, Role] = {**dict.fromkeys((PRIOR, BEST, NO_OP, RANDOM), "baseline"), SIMULATOR: "oracle"}
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
    imports: Sequence[str] = (),
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
        jobs: stages at once, with a thread each; by default the cores of this machine, or of the cluster. For example
            4.
        engine: processes of this machine, or ray, the cores of a Ray cluster, see
            :func:`~wmcontrol.engine.run_parallel`. For example ray.
        engine_address: of the Ray cluster; by default RAY_ADDRESS, or the one that this machine belongs to. For example
            10.0.0.1:6379.
        imports: modules that register environments, encoders or predictors of yours, which workers import too.
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
        where = {"jobs": jobs, "engine": engine, "engine_address": engine_address, "imports": imports}
        run_stages(planned.stages, root, progress=progress, **where)
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
    for stage in dict.fromkeys(stage for stage in trained if stage.name.startswith(("train ", "fit prior "))):
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
        model = facts["mode"]
        if asked.prior is None:
            model = f"the model that reached most goals, {model}, training seed {facts['training_seed']}"
        caption = f"{_label(asked, name)}: the first tasks, planned with {model}"
        videos.append(Video(caption, path))
    seconds = _seconds_spent(planned, root)
    page = report(
        rows,
        out,
        title="Three ways of fine-tuning, judged by planning",
        about=about(asked),
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


def about(asked: Comparison) -> list[str]:
    """Say what was compared, in paragraphs: base, data, training, protocol, tasks."""
    templates = Environment(loader=PackageLoader(__name__.rpartition(".")[0]), trim_blocks=True)
    told = templates.get_template("about.j2").render(
        asked=asked, label=partial(_label, asked), number="{:,}".format, planner_settings=planner_settings
    )
    return [line for line in told.splitlines() if line]


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
