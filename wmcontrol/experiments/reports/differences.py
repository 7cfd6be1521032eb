"""By how much one agent is better than another, on the same tasks."""

from collections.abc import Sequence
from dataclasses import dataclass

from ...evaluation import Interval, difference
from .judged import Judged
from .rows import NO_LABELS, in_order, labelled_text, role


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The first agent's success less the second's.

    Attributes:
        env, labelled: where, and what both were trained on, in words.
        first, second: the agents.
        training_seeds: with how many both were trained.
        tasks: how many both did.
        end, any_time: at the end of the budget, and at any time.
    """

    env: str
    labelled: str
    first: str
    second: str
    training_seeds: int
    tasks: int
    end: Interval
    any_time: Interval


def differences(judged: Sequence[Judged], pairs: Sequence[tuple[str, str]]) -> tuple[list[Difference], list[str]]:
    """Compare agents by their names, wherever both were judged with the same number of labelled trajectories.

    An agent that was not trained, a floor or the ceiling, is compared with the other for every number of them.

    Returns:
        What could be compared; and in words what could not, and why.
    """
    found, left_out = [], []
    for first, second in pairs:
        for env in in_order([row.env for row in judged]):
            here = [row for row in judged if row.env == env and row.agent in (first, second)]
            # What was trained says with how many labels; if nothing was, the two are compared once.
            for labelled in dict.fromkeys([row.labelled for row in here if role(row) == "model"] or [None]):
                one, other = (_pick(here, name, labelled) for name in (first, second))
                trained = next((row for row in here if row.labelled == labelled and role(row) == "model"), None)
                words = NO_LABELS if trained is None else labelled_text(trained, judged)
                place = env if words == NO_LABELS else f"{env}, {words} labelled"
                if one is None or other is None:
                    missing = " and ".join(n for n, row in ((first, one), (second, other)) if row is None)
                    left_out.append(f"{place}: {first} − {second}: {missing} not judged")
                    continue
                try:
                    end, any_time = (_difference(one, other, when) for when in ("end", "any"))
                except ValueError as error:
                    left_out.append(f"{place}: {first} − {second}: {_why(one, other, error)}")
                    continue
                found.append(
                    Difference(
                        env=env,
                        labelled=words,
                        first=first,
                        second=second,
                        training_seeds=one.evaluation.training_seeds,
                        tasks=one.evaluation.num_tasks,
                        end=end,
                        any_time=any_time,
                    )
                )
    return found, left_out


def _pick(rows: Sequence[Judged], agent: str, labelled: int | None) -> Judged | None:
    named = [row for row in rows if row.agent == agent]
    return next((row for row in named if row.labelled == labelled or role(row) != "model"), None)


def _difference(one: Judged, other: Judged, when: str) -> Interval:
    return difference(one.evaluation, other.evaluation, "end" if when == "end" else "any")


def _why(one: Judged, other: Judged, error: ValueError) -> str:
    """Say in a few words why two evaluations cannot be compared."""
    counts = [row.evaluation.num_tasks for row in (one, other)]
    if counts[0] != counts[1]:
        return f"they did different numbers of tasks, {counts[0]} and {counts[1]}"
    return str(error)
