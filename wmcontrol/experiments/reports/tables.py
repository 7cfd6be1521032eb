"""What stands in a report's tables: numbers for programs, and words for readers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...evaluation import Interval
from .differences import Difference
from .judged import Judged
from .rows import NO_LABELS, count, labelled_text, role


@dataclass(frozen=True)
class Table:
    """A table in words.

    Attributes:
        head: what stands over the columns.
        rows: cells, as many in each as there are columns.
        words: how many columns are words; the others are numbers.
    """

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: int


def success_table(judged: Sequence[Judged]) -> Table:
    """Return a row for each of what was judged."""
    head = (
        "environment",
        "labelled",
        "agent",
        "training seeds",
        "tasks",
        "success at the end",
        "success at any time",
        "median distance",
        "seconds per decision",
        "peak memory",
    )
    rows = []
    for row in judged:
        evaluation = row.evaluation
        rows.append(
            (
                row.env,
                labelled_text(row, judged),
                row.agent,
                str(evaluation.training_seeds) if role(row) == "model" else NO_LABELS,
                f"{evaluation.num_tasks:,}",
                str(evaluation.success_end),
                str(evaluation.success_any),
                _distance_text(row),
                f"{evaluation.seconds_per_decision:.2g}",
                f"{evaluation.peak_memory / 2**20:,.0f} MiB",
            )
        )
    return Table(head, tuple(rows), words=3)


def difference_table(found: Sequence[Difference]) -> Table:
    """Return a row for each comparison."""
    head = (
        "environment",
        "labelled",
        "difference",
        "training seeds",
        "tasks",
        "at the end",
        "at any time",
        "95 % interval at the end",
    )
    rows = tuple(
        (
            d.env,
            d.labelled,
            f"{d.first} − {d.second}",
            str(d.training_seeds),
            f"{d.tasks:,}",
            _points(d.end),
            _points(d.any_time),
            "over zero" if d.end.low > 0 else "under zero" if d.end.high < 0 else "holds zero",
        )
        for d in found
    )
    return Table(head, rows, words=3)


def row_numbers(row: Judged) -> dict[str, Any]:
    """Return a row's numbers, as JSON can write them: those that the same seed gives again."""
    evaluation = row.evaluation
    return {
        "env": row.env,
        "agent": row.agent,
        "labelled": row.labelled,
        "labelled_known": count(row),
        "training_seeds": evaluation.training_seeds,
        "tasks": evaluation.num_tasks,
        "success_end": vars(evaluation.success_end),
        "success_any": vars(evaluation.success_any),
        "success_end_by_seed": [sum(seed) / len(seed) for seed in evaluation.by_seed("end")],
        "median_distance": _median(row, "distance"),
        **({"median_angle": _median(row, "angle")} if "angle" in evaluation.records[0] else {}),
        "decisions": sum(record["decisions"] for record in evaluation.records),
    }


def row_times(row: Judged) -> dict[str, Any]:
    """Return a row's seconds and bytes, which differ from run to run."""
    return {
        "env": row.env,
        "agent": row.agent,
        "labelled": row.labelled,
        "seconds_per_decision": row.evaluation.seconds_per_decision,
        "peak_memory_bytes": row.evaluation.peak_memory,
    }


def difference_numbers(found: Difference) -> dict[str, Any]:
    """Return a comparison's numbers, as JSON can write them."""
    return {**vars(found), "end": vars(found.end), "any_time": vars(found.any_time)}


def _median(row: Judged, name: str) -> float | None:
    """Return the median of what the tasks' records have under a name; None if some have no finite number there."""
    median = float(np.median([record[name] for record in row.evaluation.records]))
    return median if np.isfinite(median) else None


def _distance_text(row: Judged) -> str:
    median = _median(row, "distance")
    text = "–" if median is None else f"{median:.3g}"
    angle = _median(row, "angle") if "angle" in row.evaluation.records[0] else None
    return text if angle is None else f"{text}, {np.rad2deg(angle):.0f}°"


def _points(interval: Interval) -> str:
    """Write a difference of shares in percentage points."""
    value, low, high = (100 * number for number in (interval.value, interval.low, interval.high))
    return f"{value:+.1f} [{low:+.1f}, {high:+.1f}]"
