"""Success against what it costs: a figure to choose a planner by."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..files import whole_file
from .figures import legend, reference_lines
from .judged import Judged
from .rows import check_rows, in_order, role, row_name
from .style import new_figure, panels, percent_axis, styles

_PLACES = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1), (0, 2), (0, -2), (1, 2), (1, -2))


def planner_plot(judged: Sequence[Judged], path: Path) -> None:
    """Save success at the end against seconds per decision: a point with its interval for each planner.

    The ceiling is a line, and so are floors if they are near enough: what they take says nothing about planners. The
    axis of success begins where it shows the planners well, so it may not begin at zero.

    Args:
        judged: an agent for each planner, in one environment or several; a panel for each.
        path: the PNG file.

    Raises:
        TypeError, ValueError: rows of which no report can be made, or only floors and ceilings.
    """
    check_rows(judged)
    envs = in_order([row.env for row in judged if role(row) == "model"])
    if not envs:
        raise ValueError("none of the rows is a planner's: a plot of planners needs at least one")
    columns = min(len(envs), 2)
    figure = new_figure(5.2 * columns, 4 * -(-len(envs) // columns) + 0.3)
    palette = styles(judged)
    for env, axes in zip(envs, panels(figure, len(envs), columns), strict=True):
        here = [row for row in judged if row.env == env]
        planners = [row for row in here if role(row) == "model"]
        for row in planners:
            end, (color, marker) = row.evaluation.success_end, palette[row.agent]
            reach = [[end.value - end.low], [end.high - end.value]]
            seconds = row.evaluation.seconds_per_decision
            axes.errorbar(seconds, end.value, yerr=reach, color=color, marker=marker, markersize=6, capsize=2.5)
        lowest = min(row.evaluation.success_end.low for row in planners)
        bottom = max(-0.03, lowest - 0.06)
        reference_lines(axes, [row for row in here if row.evaluation.success_end.value > bottom])
        axes.set(
            xscale="log",
            ylim=(bottom, 1 + 0.06 * (1 - bottom)),
            title=env,
            xlabel="seconds per decision, on this machine",
        )
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.margins(x=0.25)
        percent_axis(axes.yaxis, 0.2 if bottom < 0.5 else 0.05)
        axes.grid(color="0.92")
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylabel("success at the end")
    legend(figure)
    figure.draw_without_rendering()  # now it is known where the points are
    for env, axes in zip(envs, figure.axes, strict=True):
        _name_points(axes, [row for row in judged if row.env == env and role(row) == "model"])
    with whole_file(path) as temporary:
        figure.savefig(temporary)


def _name_points(axes: Any, rows: Sequence[Judged]) -> None:
    """Write names beside points, each at the first place where it hides nothing."""
    from matplotlib.transforms import Bbox

    scale = axes.figure.dpi / 72
    points = [(row.evaluation.seconds_per_decision, row.evaluation.success_end.value) for row in rows]
    seen = axes.transData.transform(points)
    ends = [row.evaluation.success_end for row in rows]
    spans = axes.transData.transform(
        [(x, y) for (x, _), end in zip(points, ends, strict=True) for y in (end.low, end.high)]
    )
    half = 5 * scale
    taken = [
        Bbox.from_extents(x - half, min(low, y - half), x + half, max(high, y + half))
        for (x, y), low, high in zip(seen, spans[::2, 1], spans[1::2, 1], strict=True)
    ]
    names = [row.agent for row in rows]
    for row, (x, y) in zip(rows, points, strict=True):
        tried: list[tuple[int, int, Any, Any]] = []
        for right, up in _PLACES:
            text = axes.annotate(
                row.agent if names.count(row.agent) == 1 else row_name(row, rows),
                (x, y),
                (8 * right, 11 * up),
                textcoords="offset points",
                ha=("right", "center", "left")[right + 1],
                va="center",
                fontsize=7.5,
                bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.5},
            )
            box = text.get_window_extent()
            hidden = sum(box.overlaps(other) for other in taken)
            outside = not (axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1)
            tried.append((hidden + int(outside), len(tried), text, box))
            if not hidden and not outside:
                break
        *_, best, box = min(tried, key=lambda entry: entry[:2])
        for _, _, text, _ in tried:
            if text is not best:
                text.remove()
        taken.append(box)
