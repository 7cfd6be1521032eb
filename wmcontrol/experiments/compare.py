"""``wmcontrol compare``: three ways of fine-tuning, judged by planning, between a floor and a ceiling.

It is Table 4 of DINO-world (arXiv 2507.19468), with trajectories of our own or of the user's.
"""

import os
import time
from datetime import timedelta
from pathlib import Path

from ..files import exclusive_lock
from .compare_report import save
from .compare_settings import Comparison
from .compare_stages import plan
from .run_stages import run_stages


def compare(asked: Comparison, root: Path, out: Path, jobs: int | None = None) -> Path:
    """Do all that is not yet done, save the report, and print it.

    Args:
        asked: who is compared, where, and how; ``asked.check()`` has found nothing wrong.
        root: the folder of stages, which comparisons share, and ``wmcontrol assets``.
        out: the folder of the report.
        jobs: stages at once, with a thread each; by default as many as there are cores.

    Returns:
        The page ``report.html``.

    Raises:
        ValueError: stages failed; it names them, and where their output lies. Those that did not fail are kept.
    """
    started = time.monotonic()
    planned = plan(asked)
    with exclusive_lock(out):
        run_stages(planned.stages, root, jobs or os.cpu_count() or 1)
        page = save(asked, planned, root, out)
        print((out / "report.md").read_text(encoding="utf-8"))
        print(f"this took {timedelta(seconds=round(time.monotonic() - started))}")
        for path in (*sorted(out.glob("*.mp4")), page):
            print(path)
    return page
