"""What stands in a report: numbers for programs, and words for readers."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..intervals import Interval
from ..result import ResultRow, difference

Table = list[dict[str, str]]  # rows, by what stands over their columns; the first three are words, the others numbers


class Difference(NamedTuple):
    """The first agent's success minus the second's, at the end of the budget and at any time."""

    env: str
    trained_on: str  # how many trajectories both were trained on, in words
    first: str
    second: str
    training_seeds: int  # with how many both were trained
    tasks: int  # how many both did
    end: Interval
    any_time: Interval

    def numbers(self) -> dict[str, Any]:
        """Return them as JSON can write them."""
        return {**self._asdict(), "end": vars(self.end), "any_time": vars(self.any_time)}


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
            raise ValueError(f"{row.name} in {row.env} is there twice; give one of them another name")
        keys.add(key)
    if not keys:
        raise ValueError("a report needs at least one evaluation, got none")


def in_order(names: Sequence[str]) -> list[str]:
    """Return names once each, as they first come."""
    return list(dict.fromkeys(names))


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
                words = models[count].trained_on if models else "–"
                chosen = {row.agent: row for row in here if row.num_train_trajectories == count or row.role != "model"}
                place = f"{env if words == '–' else f'{env}, trained on {words}'}: {first} − {second}"
                missing = [name for name in (first, second) if name not in chosen]
                if missing:
                    left_out.append(f"{place}: {' and '.join(missing)} not evaluated")
                    continue
                one, other = chosen[first].evaluation, chosen[second].evaluation
                if one.num_tasks != other.num_tasks:
                    left_out.append(
                        f"{place}: they did different numbers of tasks, {one.num_tasks} and {other.num_tasks}"
                    )
                    continue
                try:
                    end, any_time = difference(one, other, "end"), difference(one, other, "any")
                except ValueError as error:
                    left_out.append(f"{place}: {error}")
                    continue
                found.append(Difference(env, words, first, second, one.training_seeds, one.num_tasks, end, any_time))
    return found, left_out


def success_table(rows: Sequence[ResultRow]) -> Table:
    """Return a line for each row."""
    return [
        {
            "environment": row.env,
            "trained on": row.trained_on,
            "agent": row.agent,
            "training seeds": str(row.evaluation.training_seeds) if row.role == "model" else "–",
            "tasks": f"{row.evaluation.num_tasks:,}",
            "success at the end": str(row.evaluation.success_end),
            "success at any time": str(row.evaluation.success_any),
            "median distance": _distance_text(row),
            "seconds per decision": f"{row.evaluation.seconds_per_decision:.2g}",
            "peak memory": f"{row.evaluation.peak_memory / 2**20:,.0f} MiB",
        }
        for row in rows
    ]


def difference_table(found: Sequence[Difference]) -> Table:
    """Return a line for each comparison, in percentage points."""
    return [
        {
            "environment": each.env,
            "trained on": each.trained_on,
            "difference": f"{each.first} − {each.second}",
            "training seeds": str(each.training_seeds),
            "tasks": f"{each.tasks:,}",
            "at the end": _points(each.end),
            "at any time": _points(each.any_time),
            "95 % interval at the end": (
                "above zero" if each.end.low > 0 else "below zero" if each.end.high < 0 else "contains zero"
            ),
        }
        for each in found
    ]


def row_key(row: ResultRow) -> dict[str, Any]:
    """Return what tells a row from others."""
    return {"env": row.env, "agent": row.agent, "num_train_trajectories": row.num_train_trajectories}


def row_numbers(row: ResultRow) -> dict[str, Any]:
    """Return a row's numbers, as JSON can write them: those that the same seed gives again."""
    evaluation = row.evaluation
    return {
        **row_key(row),
        "all_train_trajectories": row.all_train_trajectories,
        "training_seeds": evaluation.training_seeds,
        "tasks": evaluation.num_tasks,
        "success_end": vars(evaluation.success_end),
        "success_any": vars(evaluation.success_any),
        "success_end_by_seed": [sum(seed) / len(seed) for seed in evaluation.by_seed("end")],
        **{f"median_{name}": median for name, median in _medians(row).items()},
        "decisions": sum(record["decisions"] for record in evaluation.records),
    }


def ways_in_words(rows: Sequence[ResultRow]) -> list[str]:
    """Say on what tasks, by which protocol and with which seeds agents were evaluated: each way of it once."""
    ways: dict[str, list[str]] = {}
    for row in rows:
        ways.setdefault(f"{row.env}: {'; '.join(_way(row.evaluation.header))}", []).append(row.name)
    return [f"{way}. Evaluated so: {' · '.join(in_order(names))}." for way, names in ways.items()]


def _medians(row: ResultRow) -> dict[str, float | None]:
    """Return the median distance, and of the tasks of Push-T the angle; None if some have no finite number there."""
    records = row.evaluation.records
    medians = {name: np.median([r[name] for r in records]) for name in ("distance", "angle") if name in records[0]}
    return {name: float(median) if np.isfinite(median) else None for name, median in medians.items()}


def _distance_text(row: ResultRow) -> str:
    medians = _medians(row)
    distance, angle = medians["distance"], medians.get("angle")
    text = "–" if distance is None else f"{distance:.3g}"
    return text if angle is None else f"{text}, {np.rad2deg(angle):.0f}°"


def _points(interval: Interval) -> str:
    value, low, high = (100 * number for number in (interval.value, interval.low, interval.high))
    return f"{value:+.1f} [{low:+.1f}, {high:+.1f}]"


def _way(header: Mapping[str, Any]) -> Iterator[str]:
    tasks, protocol = header.get("tasks", {}), header.get("protocol", {})
    if "num_tasks" in tasks:
        ahead = tasks.get("goal_offset", "")
        apart = ", goals of other trajectories" if ahead is None else f", goals {ahead} steps ahead" if ahead else ""
        context = f", {tasks['context_steps']} context steps" if tasks.get("context_steps") else ""
        origin = {"dataset": "from trajectories", "random": "drawn at random"}.get(tasks.get("tasks", ""), "")
        yield f"{tasks['num_tasks']:,} tasks {origin}".strip() + f" (seed {tasks.get('seed', '?')}{apart}{context})"
    if "digest" in tasks:
        yield f"digest {str(tasks['digest'])[:12]}"
    redrawn = header.get("redrawn", {})
    if redrawn:
        yield "redrawn: " + ", ".join(f"{number:,} {why}" for why, number in redrawn.items())
    if "name" in protocol:
        told = [f"{name} {protocol[name]}" for name in ("budget", "replan_every", "horizon") if name in protocol]
        yield f"protocol {protocol['name']} ({', '.join(told)})"
    if "seed" in header:
        yield f"agents' seed {header['seed']}"
