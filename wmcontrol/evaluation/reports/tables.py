"""What stands in a report: numbers for programs, and words for readers."""

import json
import math
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np

from ..intervals import Interval
from ..specs import ResultRow
from .rows import NOT_TRAINED, Difference, in_order, row_name, trained_on


@dataclass(frozen=True)
class Table:
    """A table in words.

    Attributes:
        cells: by what stands over their columns; all rows have the same columns.
        words: how many columns are words; the others are numbers.
    """

    cells: Sequence[Mapping[str, str]]
    words: int = 3

    @property
    def head(self) -> list[str]:
        """What stands over the columns."""
        return list(self.cells[0])

    @property
    def rows(self) -> list[list[str]]:
        """The cells of each row."""
        return [list(row.values()) for row in self.cells]


def success_table(rows: Sequence[ResultRow]) -> Table:
    """Return a line for each row."""
    return Table(
        [
            {
                "environment": row.env,
                "trained on": trained_on(row),
                "agent": row.agent,
                "training seeds": str(row.evaluation.training_seeds) if row.role == "model" else NOT_TRAINED,
                "tasks": f"{row.evaluation.num_tasks:,}",
                "success at the end": str(row.evaluation.success_end),
                "success at any time": str(row.evaluation.success_any),
                "median distance": _distance_text(row),
                "seconds per decision": f"{row.evaluation.seconds_per_decision:.2g}",
                "peak memory": f"{row.evaluation.peak_memory / 2**20:,.0f} MiB",
            }
            for row in rows
        ]
    )


def difference_table(found: Sequence[Difference]) -> Table:
    """Return a line for each comparison."""
    return Table(
        [
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
    )


def row_numbers(row: ResultRow) -> dict[str, Any]:
    """Return a row's numbers, as JSON can write them: those that the same seed gives again."""
    evaluation = row.evaluation
    return {
        **_row_key(row),
        "all_train_trajectories": row.all_train_trajectories,
        "training_seeds": evaluation.training_seeds,
        "tasks": evaluation.num_tasks,
        "success_end": vars(evaluation.success_end),
        "success_any": vars(evaluation.success_any),
        "success_end_by_seed": [sum(seed) / len(seed) for seed in evaluation.by_seed("end")],
        "median_distance": _median(row, "distance"),
        **({"median_angle": _median(row, "angle")} if "angle" in evaluation.records[0] else {}),
        "decisions": sum(record["decisions"] for record in evaluation.records),
    }


def row_times(row: ResultRow) -> dict[str, Any]:
    """Return a row's seconds and bytes, which differ from run to run."""
    return {
        **_row_key(row),
        "seconds_per_decision": row.evaluation.seconds_per_decision,
        "peak_memory_bytes": row.evaluation.peak_memory,
    }


def row_settings(row: ResultRow) -> dict[str, Any]:
    """Return all that a row's evaluation says of itself."""
    return {**_row_key(row), **row.evaluation.header}


def difference_numbers(found: Difference) -> dict[str, Any]:
    """Return a comparison's numbers, as JSON can write them."""
    return {**vars(found), "end": vars(found.end), "any_time": vars(found.any_time)}


def ways_in_words(rows: Sequence[ResultRow]) -> list[str]:
    """Say on what tasks, by which protocol and with which seeds agents were evaluated: each way of it once."""
    ways: dict[str, list[str]] = {}
    for row in rows:
        ways.setdefault(f"{row.env}: {'; '.join(_way(row.evaluation.header))}", []).append(row_name(row))
    return [f"{way}. Evaluated so: {' · '.join(in_order(names))}." for way, names in ways.items()]


def versions() -> dict[str, str]:
    """Return the versions that results may depend on."""
    return {**{name: version(name) for name in ("wmcontrol", "torch")}, "python": platform.python_version()}


def json_text(value: Any) -> str:
    """Write JSON that every reader of JSON can read: numbers that are not finite become words."""
    return json.dumps(_finite(value), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _row_key(row: ResultRow) -> dict[str, Any]:
    return {"env": row.env, "agent": row.agent, "num_train_trajectories": row.num_train_trajectories}


def _median(row: ResultRow, name: str) -> float | None:
    """Return the median of what the tasks' records have under a name; None if some have no finite number there."""
    median = float(np.median([record[name] for record in row.evaluation.records]))
    return median if np.isfinite(median) else None


def _distance_text(row: ResultRow) -> str:
    median = _median(row, "distance")
    text = "–" if median is None else f"{median:.3g}"
    angle = _median(row, "angle") if "angle" in row.evaluation.records[0] else None
    return text if angle is None else f"{text}, {np.rad2deg(angle):.0f}°"


def _points(interval: Interval) -> str:
    """Write a difference of shares in percentage points."""
    value, low, high = (100 * number for number in (interval.value, interval.low, interval.high))
    return f"{value:+.1f} [{low:+.1f}, {high:+.1f}]"


def _way(header: Mapping[str, Any]) -> Iterator[str]:
    tasks, protocol = header.get("tasks", {}), header.get("protocol", {})
    if "num_tasks" in tasks:
        apart = f", goals {tasks['goal_offset']} steps ahead" if "goal_offset" in tasks else ""
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


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
