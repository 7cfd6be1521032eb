"""What the rows of a report are called, and which of them are no models but what models are compared with."""

from collections.abc import Mapping, Sequence
from typing import Literal

from .judged import Judged

Role = Literal["floor", "model", "ceiling"]
_ROLES: Mapping[str, Role] = {
    "no-op": "floor",
    "random": "floor",
    "random actions": "floor",
    "true simulator": "ceiling",
    "simulator": "ceiling",
}
NO_LABELS = "–"


def role(row: Judged) -> Role:
    """Say whether a row is a floor, a ceiling, or what is judged."""
    return _ROLES.get(row.agent, "model")


def count(row: Judged) -> int | None:
    """Return how many labelled trajectories a model was trained on, as far as is known."""
    if row.labelled is not None or role(row) != "model":
        return row.labelled
    return _total(row)


def labelled_text(row: Judged, judged: Sequence[Judged]) -> str:
    """Say how many labelled trajectories a row was trained on: ``50``, ``all (1,800)``, ``all``; or a dash."""
    known = count(row)
    if known is not None:
        return f"all ({known:,})" if known == _total(row) else f"{known:,}"
    return "all" if is_all(row, judged) else NO_LABELS


def is_all(row: Judged, judged: Sequence[Judged]) -> bool:
    """Say whether a row without a count is of a model that other rows have with counts: it had all there are."""
    others = [other for other in judged if (other.env, other.agent) == (row.env, row.agent)]
    return row.labelled is None and role(row) == "model" and any(other.labelled is not None for other in others)


def row_name(row: Judged, judged: Sequence[Judged]) -> str:
    """Return a row's name within its environment."""
    text = labelled_text(row, judged)
    return row.agent if text == NO_LABELS else f"{row.agent}, {text}"


def in_order(names: Sequence[str]) -> list[str]:
    """Return names once each, as they first come."""
    return list(dict.fromkeys(names))


def check_rows(judged: Sequence[Judged]) -> None:
    """Refuse what no report can be made of.

    Raises:
        TypeError: something that is not ``Judged``.
        ValueError: nothing, a row without tasks or one that is there twice.
    """
    for row in judged:
        if not isinstance(row, Judged):
            raise TypeError(f"a report is made of Judged(env=…, agent=…, evaluation=…), got {row!r}")
        if not row.evaluation.records:
            raise ValueError(f"{row.agent} in {row.env} was judged on no tasks; evaluate it first")
    if not judged:
        raise ValueError("a report needs at least one evaluation, got none")
    keys = [(row.env, row.labelled, row.agent) for row in judged]
    for env, labelled, agent in keys:
        if keys.count((env, labelled, agent)) > 1:
            trained = "" if labelled is None else f" with {labelled} labelled trajectories"
            raise ValueError(f"{agent} in {env}{trained} is there twice; give one of them another name")


def _total(row: Judged) -> int | None:
    total = row.evaluation.header.get("about", {}).get("labelled_total")
    return total if isinstance(total, int) else None
