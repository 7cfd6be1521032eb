"""What comes out of an evaluation."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..untrusted import AnyJson, Integer, Record
from ..untrusted.schema import Place
from .intervals import Interval, difference_over_seeds, seeds_and_tasks
from .records import parse

When = Literal["end", "any"]
Role = Literal["model", "baseline", "oracle"]
_HEADER = Record(
    {
        "tasks": Record({"num_tasks": Integer(low=1)}, others=AnyJson()),
        "protocol": Record({"budget": Integer(low=1)}, others=AnyJson()),
    },
    others=AnyJson(),
)
_TIMES = ("seconds", "memory")  # what differs from run to run


@dataclass(frozen=True)
class Evaluation:
    """One agent's results on all tasks; or those of one way of training with several seeds, see :meth:`over_seeds`.

    Attributes:
        header: what was evaluated: tasks, protocol, seed, and what the caller said about the agent.
        records: one for each task, in order, of one training seed after the other: ``success_end``, ``success_any``,
            ``first_success`` (environment steps, or None), ``start_distance``, ``distance`` at the end (and for Push-T
            the ``angle``), ``decisions``, ``seconds`` that they took, and the ``memory`` of the process at its peak so
            far, bytes.
        training_seeds: how many.
    """

    header: Mapping[str, Any]
    records: tuple[Mapping[str, Any], ...]
    training_seeds: int = 1

    @staticmethod
    def read(path: str | os.PathLike[str]) -> "Evaluation":
        """Read a finished evaluation from its file.

        Raises:
            OSError: there is none.
            ValueError: it is not one, or not finished.
        """
        path = Path(path)
        header, lines, _ = parse(path, path.read_bytes())
        if header is None:
            raise ValueError(f"{path} has no whole line: the evaluation is not finished")
        expected = _HEADER.check(header, Place(f"{path}, line 1"))["tasks"]["num_tasks"]
        if len(lines) != expected or max(lines) != expected - 1:
            raise ValueError(f"{path} has {len(lines)} tasks of {expected}: the evaluation is not finished")
        return Evaluation(header, tuple(lines[i] for i in sorted(lines)))

    @staticmethod
    def over_seeds(evaluations: "Sequence[Evaluation]") -> "Evaluation":
        """Join evaluations of models that differ in the training seed alone; intervals are then of seeds and tasks.

        The header is the first one's.

        Raises:
            ValueError: tasks or protocols differ, or there is nothing to join.
        """
        if not evaluations:
            raise ValueError("expected an evaluation for each training seed, got none")
        first = evaluations[0]
        for other in evaluations[1:]:
            for key in ("tasks", "protocol"):
                if other.header[key] != first.header[key]:
                    raise ValueError(f"the {key} differ between seeds: {first.header[key]} and {other.header[key]}")
        records = tuple(record for evaluation in evaluations for record in evaluation.records)
        return Evaluation(first.header, records, sum(evaluation.training_seeds for evaluation in evaluations))

    @property
    def num_tasks(self) -> int:
        """How many tasks, which all training seeds share."""
        return len(self.records) // self.training_seeds

    @property
    def success_end(self) -> Interval:
        """Share of tasks solved when the budget is spent; see :func:`~.intervals.seeds_and_tasks` for the interval."""
        return seeds_and_tasks(self.by_seed("end"))

    @property
    def success_any(self) -> Interval:
        """Share of tasks solved after some step; see :func:`~.intervals.seeds_and_tasks` for the interval."""
        return seeds_and_tasks(self.by_seed("any"))

    @property
    def distances(self) -> NDArray[np.float64]:
        """Distances to the goal at the end, in the environment's units, one for each task."""
        return np.array([record["distance"] for record in self.records])

    @property
    def seconds_per_decision(self) -> float:
        """Wall time per plan (or per action, for agents that do not plan), each environment of a batch counted."""
        return float(sum(r["seconds"] for r in self.records) / max(1, sum(r["decisions"] for r in self.records)))

    @property
    def peak_memory(self) -> int:
        """Most memory that the process (and, where it was used, the GPU) held at once, bytes."""
        return int(max(record["memory"] for record in self.records))

    def successes(self, when: When = "end") -> list[bool]:
        """Return for each task whether it was solved at the end, or at any time."""
        if when not in ("end", "any"):
            raise ValueError(f'when must be "end" or "any", got {when!r}')
        return [bool(record[f"success_{when}"]) for record in self.records]

    def by_seed(self, when: When = "end") -> list[list[bool]]:
        """Return for each training seed and each task whether it was solved, (S, N)."""
        flat, count = self.successes(when), self.num_tasks
        return [flat[start : start + count] for start in range(0, len(flat), count or 1)]

    def report(self) -> dict[str, Any]:
        """Return all that the same seed gives again, number for number, on the same machine."""
        quartiles = np.quantile(self.distances, (0.25, 0.5, 0.75)).tolist()
        return {
            **self.header,
            "success_end": vars(self.success_end),
            "success_any": vars(self.success_any),
            "distance_quartiles": quartiles,
            "decisions": sum(record["decisions"] for record in self.records),
            "records": [{k: v for k, v in record.items() if k not in _TIMES} for record in self.records],
        }


def difference(first: Evaluation, second: Evaluation, when: When = "end") -> Interval:
    """Return by how much the first agent's success is over the second's, on the same tasks.

    The interval is for pairs, see :func:`~wmcontrol.evaluation.intervals.difference_over_seeds`.

    Raises:
        ValueError: the tasks, the budgets or the numbers of training seeds differ.
    """
    if first.header["tasks"] != second.header["tasks"]:
        raise ValueError(f"the tasks differ: {first.header['tasks']} and {second.header['tasks']}")
    budgets = [evaluation.header["protocol"]["budget"] for evaluation in (first, second)]
    if budgets[0] != budgets[1]:
        raise ValueError(f"the budgets differ: {budgets[0]} and {budgets[1]} steps")
    seeds = [evaluation.training_seeds for evaluation in (first, second)]
    if seeds[0] != seeds[1]:
        raise ValueError(f"the numbers of training seeds differ: {seeds[0]} and {seeds[1]}")
    return difference_over_seeds(first.by_seed(when), second.by_seed(when))


@dataclass(frozen=True, kw_only=True)
class ResultRow:
    """One row of a report: an agent in an environment, and how it did.

    Args:
        env: the environment as a reader should see it, "Wall".
        agent: the agent's name.
        evaluation: its results.
        role: "baseline" and "oracle" are what models are compared with: agents that do not plan, and the planner with
            the true simulator as its model.
        num_train_trajectories: trajectories with actions that it was trained on; None for agents that were not trained.
        all_train_trajectories: how many there are; a row with as many says that it had all.
    """

    env: str
    agent: str
    evaluation: Evaluation
    role: Role = "model"
    num_train_trajectories: int | None = None
    all_train_trajectories: int | None = None

    @property
    def trained_on(self) -> str:
        """How many trajectories it was trained on: ``50``, ``all (1,800)``; or a dash."""
        count = self.num_train_trajectories
        if count is None:
            return "–"
        return f"all ({count:,})" if count == self.all_train_trajectories else f"{count:,}"

    @property
    def name(self) -> str:
        """Its name within its environment."""
        return self.agent if self.num_train_trajectories is None else f"{self.agent}, {self.trained_on}"

    def __str__(self) -> str:
        """Return the row as a line tells it."""
        found = self.evaluation
        return (
            f"{self.agent}: {found.success_end} of {len(found.records)} tasks ({100 * found.success_any.value:.1f} % "
            f"at any time), {found.seconds_per_decision:.3g} s per decision"
        )


def env_label(env_id: str) -> str:
    """Return an environment as a reader should see it: ``Wall`` for ``wmcontrol/Wall-v0``."""
    return re.split("[/:]", env_id)[-1].split("-v")[0]
