"""What the rows of a report are called, and by how much one of them is better than another."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ..intervals import Interval
from ..result import difference
from ..specs import ResultRow

NOT_TRAINED = "–"
_WHEN: tuple[Literal["end", "any"], ...] = ("end", "any")


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The first agent's success minus the second's.

    Attributes:
        env, trained_on: where, and how many trajectories both were trained on, in words.
        first, second: the agents.
        training_seeds: with how many both were trained.
        tasks: how many both did.
        end, any_time: at the end of the budget, and at any time.
    """

    env: str
    trained_on: str
    first: str
    second: str
    training_seeds: int
    tasks: int
    end: Interval
    any_time: Interval


def trained_on(row: ResultRow) -> str:
    """Say how many trajectories a row was trained on: ``50``, ``all (1,800)``; or a dash."""
    count = row.num_train_trajectories
    if count is None:
        return NOT_TRAINED
    return f"all ({count:,})" if count == row.all_train_trajectories else f"{count:,}"


def row_name(row: ResultRow) -> str:
    """Return a row's name within its environment."""
    return row.agent if row.num_train_trajectories is None else f"{row.agent}, {trained_on(row)}"


def in_order(names: Sequence[str]) -> list[str]:
    """Return names once each, as they first come."""
    return list(dict.fromkeys(names))


def check_rows(rows: Sequence[ResultRow]) -> None:
    """Refuse what no report can be made of.

    Raises:
        TypeError: something that is not a ``ResultRow``.
        ValueError: nothing, a row without tasks or one that is there twice.
    """
    keys = set()
    for row in rows:
        if not isinstance(row, ResultRow):
            raise TypeError(f"a report is made of ResultRow(env=…, agent=…, evaluation=…), got {row!r}")
        if not row.evaluation.records:
            raise ValueError(f"{row.agent} in {row.env} has results of no tasks; evaluate it first")
        key = row.env, row.num_train_trajectories, row.agent
        if key in keys:
            raise ValueError(f"{row_name(row)} in {row.env} is there twice; give one of them another name")
        keys.add(key)
    if not keys:
        raise ValueError("a report needs at least one evaluation, got none")


def differences(rows: Sequence[ResultRow], pairs: Sequence[tuple[str, str]]) -> tuple[list[Difference], list[str]]:
    """Compare agents by their names, wherever both were trained on equally many trajectories.

    A baseline or an oracle, which was not trained, is compared with the other for each number of them.

    Returns:
        What could be compared; and in words what could not, and why.
    """
    found, left_out = [], []
    for first, second in pairs:
        for env in in_order([row.env for row in rows]):
            here = [row for row in rows if row.env == env and row.agent in (first, second)]
            models = {row.num_train_trajectories: row for row in here if row.role == "model"}
            for count in models or [None]:  # if neither is a model, they are compared once
                words = trained_on(models[count]) if models else NOT_TRAINED
                place = env if words == NOT_TRAINED else f"{env}, trained on {words}"
                one, other = (_pick(here, name, count) for name in (first, second))
                if one is None or other is None:
                    missing = " and ".join(n for n, row in ((first, one), (second, other)) if row is None)
                    left_out.append(f"{place}: {first} − {second}: {missing} not evaluated")
                    continue
                try:
                    ends = [difference(one.evaluation, other.evaluation, when) for when in _WHEN]
                except ValueError as error:
                    left_out.append(f"{place}: {first} − {second}: {_why(one, other, error)}")
                    continue
                found.append(
                    Difference(
                        env=env,
                        trained_on=words,
                        first=first,
                        second=second,
                        training_seeds=one.evaluation.training_seeds,
                        tasks=one.evaluation.num_tasks,
                        end=ends[0],
                        any_time=ends[1],
                    )
                )
    return found, left_out


def _pick(rows: Sequence[ResultRow], agent: str, count: int | None) -> ResultRow | None:
    named = [row for row in rows if row.agent == agent]
    return next((row for row in named if row.num_train_trajectories == count or row.role != "model"), None)


def _why(one: ResultRow, other: ResultRow, error: ValueError) -> str:
    """Say in a few words why two evaluations cannot be compared."""
    counts = [row.evaluation.num_tasks for row in (one, other)]
    if counts[0] != counts[1]:
        return f"they did different numbers of tasks, {counts[0]} and {counts[1]}"
    return str(error)
