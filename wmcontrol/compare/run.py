"""Three ways of fine-tuning, evaluated by planning, between baselines and an oracle."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..evaluation import ResultRow
from ..runs import open_run
from .plan import plan
from .report import rows_of, save, seconds_spent
from .settings import Comparison
from .stages import run_stages


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
        rows = rows_of(comparison, planned, root)
        page = save(comparison, planned, rows, root, out)
    return ComparisonResult(rows, out, page, seconds_spent(planned, root))
