"""Evaluating agents in a folder of results, with a progress bar for each."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from ..evaluation import AgentSpec, Protocol, ResultRow, evaluate_agents
from ..evaluation.tasks import Tasks
from .errors import UsageError
from .progress import progress_bar


def evaluate_with_bars(
    specs: Sequence[AgentSpec], tasks: Tasks, protocol: Protocol, folder: Path, *, seed: int, batch: int
) -> list[ResultRow]:
    """Evaluate agents one after another; see :func:`~wmcontrol.evaluation.evaluate_agents`.

    Raises:
        UsageError: a file in the folder is of another agent, as of a model that was trained anew since.
    """
    with ExitStack() as bars:
        shown = {}

        def progress(name: str, done: int, total: int) -> None:
            if name not in shown:
                bars.close()
                shown[name] = bars.enter_context(progress_bar(name, "tasks"))
            shown[name](done, total)

        try:
            return evaluate_agents(specs, tasks, protocol, folder, seed=seed, batch=batch, progress=progress)
        except ValueError as error:
            raise UsageError(f"{error}: out=FOLDER") from error
