"""Judging agents in a folder of results: a file of records for each of them, which is gone on with after a kill."""

from collections.abc import Sequence
from pathlib import Path

from ..evaluation import Evaluation, Protocol, evaluate
from ..evaluation.records import parse
from ..evaluation.tasks import Tasks
from .agents_from_keys import Entrant
from .errors import UsageError
from .progress import progress_bar
from .reports import Judged
from .tasks_from_keys import env_label


def judge(
    entrants: Sequence[Entrant], tasks: Tasks, protocol: Protocol, folder: Path, *, seed: int, batch: int
) -> list[Judged]:
    """Judge agents one after another; what is there already is not done again.

    Args:
        entrants: who.
        tasks: on what.
        protocol: how.
        folder: where their files lie.
        seed: of their random numbers.
        batch: tasks that run side by side.

    Raises:
        UsageError: a file in the folder is of another agent, as of a model that was trained anew since.
    """
    for entrant in entrants:
        _check_begun(folder / entrant.file, entrant)
    judged = []
    for entrant in entrants:
        with progress_bar(entrant.name, "tasks") as progress:
            evaluation = evaluate(
                entrant.agent,
                tasks,
                protocol,
                file=folder / entrant.file,
                seed=seed,
                batch=batch,
                about=entrant.about,
                progress=progress,
            )
        judged.append(Judged(env=env_label(tasks.env_id), agent=entrant.name, evaluation=evaluation))
    return judged


def in_words(evaluation: Evaluation) -> str:
    """Return an evaluation as a line tells it."""
    solved, ever = evaluation.success_end, 100 * evaluation.success_any.value
    took = evaluation.seconds_per_decision
    return f"{solved} of {len(evaluation.records)} tasks ({ever:.1f} % at any time), {took:.3g} s per decision"


def _check_begun(path: Path, entrant: Entrant) -> None:
    if not path.exists():
        return
    text = path.read_bytes()
    header, _ = parse(path, text[: text.rfind(b"\n") + 1])
    if header is None:
        return
    there = header.get("about", {})
    differ = sorted(name for name in {*there, *entrant.about} if there.get(name) != entrant.about.get(name))
    if differ:
        raise UsageError(
            f"{path} is of another agent, its {', '.join(differ)} differ; was the model trained anew? Choose another "
            "folder: out=FOLDER"
        )
