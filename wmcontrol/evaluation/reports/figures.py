"""A report's figures: success in bars, against training trajectories, and against seconds per decision."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from ...files import atomic_write
from ..specs import ResultRow
from .rows import check_rows, in_order, row_name, trained_on

# Okabe and Ito's palette, https://jfly.uni-koeln.de/color/
BLUE, ORANGE, GREEN, PURPLE, RED, SKY = "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9"
_KNOWN = {"full": BLUE, "scratch": ORANGE, "action_only": GREEN}
_MORE = (PURPLE, RED, SKY, BLUE, ORANGE, GREEN, "#882255", "#999933")  # the last two are Paul Tol's
MARKERS = "osD^vP*X<>"
BASELINE_COLOR, ORACLE_COLOR = "0.55", "0.15"
# Where the name of a point may stand, beside it or above and below, in turn.
_PLACES = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1), (0, 2), (0, -2), (1, 2), (1, -2))


def new_figure(width: float, height: float, *, dpi: int = 144, layout: Any = "constrained") -> Any:
    """Return an empty figure, sizes in inches, that is drawn without a display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure((width, height), dpi=dpi, layout=layout, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def literal(text: str) -> str:
    """Return a text that Matplotlib draws as it is: between two dollars it would read a formula."""
    return text.replace("$", r"\$")


def styles(rows: Sequence[ResultRow]) -> dict[str, tuple[str, str]]:
    """Return a colour and a marker for each agent that is a model, always the same for the three modes."""
    agents = in_order([row.agent for row in rows if row.role == "model"])
    free = [color for color in _MORE if color not in {_KNOWN.get(agent) for agent in agents}]
    others = [agent for agent in agents if agent not in _KNOWN]
    colors = {**_KNOWN, **{agent: free[i % len(free)] for i, agent in enumerate(others)}}
    return {agent: (colors[agent], MARKERS[i % len(MARKERS)]) for i, agent in enumerate(agents)}


def panels(figure: Any, count: int, columns: int = 3) -> list[Any]:
    """Return a figure's panels, row by row."""
    columns = min(count, columns)
    rows = -(-count // columns)
    return [figure.add_subplot(rows, columns, i + 1) for i in range(count)]


def percent_axis(axis: Any, step: float = 0.2) -> None:
    """Write shares on an axis as per cent, one every ``step``."""
    from matplotlib.ticker import MultipleLocator

    axis.set_major_locator(MultipleLocator(step))
    axis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")


def success_plot(rows: Sequence[ResultRow], path: str | PathLike[str]) -> None:
    """Save bars of success at the end with their intervals, a panel for each environment.

    Baselines are grey and hatched, the oracle is an empty bar; a thin mark stands at success at any time.
    """
    envs = in_order([row.env for row in rows])
    by_env = {env: [row for row in rows if row.env == env] for env in envs}
    names = {env: [_bar_name(row, by_env[env]) for row in by_env[env]] for env in envs}
    same = all(names[env] == names[envs[0]] for env in envs)  # then they stand at the left only
    most, lines = max(map(len, by_env.values())), -(-len(envs) // 3)
    letters = max(len(name) for listed in names.values() for name in listed)
    columns = min(len(envs), 3)
    width = 2.9 * columns + 0.075 * letters * (1 if same else columns) + 0.3
    figure = new_figure(max(width, 4.5), lines * (0.27 * most + 0.75) + 0.35)
    palette = styles(rows)
    for i, (env, axes) in enumerate(zip(envs, panels(figure, len(envs)), strict=True)):
        for place, row in enumerate(by_env[env]):
            _bar(axes, place, row, palette)
        axes.set_yticks(range(len(by_env[env])), names[env] if not same or i % 3 == 0 else [""] * len(names[env]))
        axes.tick_params(axis="y", length=0)
        axes.set(xlim=(0, 1.14), ylim=(most - 0.4, -0.6), title=env)
        percent_axis(axes.xaxis)
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1])
        axes.grid(axis="x", color="0.9")
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    figure.supxlabel("tasks solved at the end of the budget, with 95 % intervals\n❘ solved at any time", fontsize=9)
    _save(figure, path)


def trajectories_plot(rows: Sequence[ResultRow], path: str | PathLike[str]) -> None:
    """Save success at the end against training trajectories, a panel for each environment, a line for each agent."""
    envs = [env for env in in_order([row.env for row in rows]) if has_train_counts(rows, env)]
    figure = new_figure(max(3.6 * min(len(envs), 3), 5), 3.3 * -(-len(envs) // 3) + 0.3)
    palette = styles(rows)
    for env, axes in zip(envs, panels(figure, len(envs)), strict=True):
        here = [row for row in rows if row.env == env]
        trained = [row for row in here if row.num_train_trajectories is not None]
        ticks = {float(_count(row)): trained_on(row).replace(" ", "\n") for row in trained}
        agents = in_order([row.agent for row in trained])
        for i, agent in enumerate(agents):
            shift = 1.05 ** (i - (len(agents) - 1) / 2)  # so that intervals do not hide each other
            line = sorted((row for row in trained if row.agent == agent), key=_count)
            _line(axes, [_count(row) * shift for row in line], line, palette[agent], agent)
        reference_lines(axes, here)
        axes.set(xscale="log", ylim=(-0.03, 1.03), title=env, xlabel="training trajectories")
        axes.set_xticks(sorted(ticks), [ticks[x] for x in sorted(ticks)])
        axes.minorticks_off()
        axes.margins(x=0.12)
        percent_axis(axes.yaxis)
        axes.grid(axis="y", color="0.9")
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylabel("success at the end")
    legend(figure)
    _save(figure, path)


def has_train_counts(rows: Sequence[ResultRow], env: str | None = None) -> bool:
    """Say whether some model was trained on several numbers of trajectories (in one environment)."""
    found: dict[tuple[str, str], set[int]] = {}
    for row in rows:
        if row.num_train_trajectories is not None and env in (None, row.env):
            found.setdefault((row.env, row.agent), set()).add(row.num_train_trajectories)
    return any(len(counts) > 1 for counts in found.values())


def reference_lines(axes: Any, rows: Sequence[ResultRow]) -> None:
    """Draw baselines as dotted lines and the oracle as a dashed one."""
    for row in rows:
        if row.role == "model":
            continue
        color, line = (BASELINE_COLOR, ":") if row.role == "baseline" else (ORACLE_COLOR, "--")
        style = (0, (1, 2.5)) if row.agent == "no-op" else line  # two baselines look different
        success = row.evaluation.success_end
        axes.axhline(success.value, color=color, linestyle=style, linewidth=1.3, label=row.agent, zorder=1)


def legend(figure: Any) -> None:
    """Put one legend for all panels below them, if there is anything to tell; lines without points come last."""
    entries: dict[str, Any] = {}
    for axes in figure.axes:
        entries |= dict(zip(*axes.get_legend_handles_labels()[::-1], strict=True))
    names = sorted(entries, key=lambda name: hasattr(entries[name], "get_linestyle"))
    if names:
        handles = [entries[name] for name in names]
        figure.legend(handles, names, loc="outside lower center", ncols=6, frameon=False, fontsize=8)


def _save(figure: Any, path: str | PathLike[str]) -> None:
    with atomic_write(Path(path)) as file:
        figure.savefig(file, format="png")


def _count(row: ResultRow) -> int:
    assert row.num_train_trajectories is not None
    return row.num_train_trajectories


def _bar_name(row: ResultRow, here: Sequence[ResultRow]) -> str:
    """Return a row's name, with how many tasks it did if others did more."""
    tasks = row.evaluation.num_tasks
    fewer = tasks < max(other.evaluation.num_tasks for other in here)
    return row_name(row) + (f" (n = {tasks})" if fewer else "")


def _bar(axes: Any, place: int, row: ResultRow, palette: dict[str, tuple[str, str]]) -> None:
    end = row.evaluation.success_end
    looks = {
        "baseline": {"facecolor": "0.88", "edgecolor": BASELINE_COLOR, "hatch": "////", "linewidth": 0.8},
        "oracle": {"facecolor": "white", "edgecolor": ORACLE_COLOR, "linestyle": "--", "linewidth": 1.1},
    }
    look = looks.get(row.role) or {"color": palette[row.agent][0]}
    axes.barh(place, end.value, height=0.7, **look)
    reach = [[end.value - end.low], [end.high - end.value]]
    axes.errorbar(end.value, place, xerr=reach, color="black", linewidth=1, capsize=2.5)
    axes.plot([row.evaluation.success_any.value] * 2, [place - 0.35, place + 0.35], color="black", linewidth=1.4)
    beyond = max(end.high, row.evaluation.success_any.value)
    axes.text(beyond + 0.02, place, f"{100 * end.value:.1f}", va="center", fontsize=7.5)


def _line(axes: Any, places: list[float], rows: list[ResultRow], look: tuple[str, str], name: str) -> None:
    ends = [row.evaluation.success_end for row in rows]
    values = [end.value for end in ends]
    reach = [[end.value - end.low for end in ends], [end.high - end.value for end in ends]]
    color, marker = look
    axes.errorbar(places, values, yerr=reach, color=color, marker=marker, markersize=5, capsize=2.5, label=name)


def planner_plot(rows: Sequence[ResultRow], path: str | PathLike[str]) -> None:
    """Save success at the end against seconds per decision: a point with its interval for each planner.

    The oracle is a line, and so are baselines if they are near enough: what they take says nothing about planners. The
    axis of success begins where it shows the planners well, so it may not begin at zero.

    Args:
        rows: an agent for each planner, in one environment or several; a panel for each.
        path: the PNG file.

    Raises:
        TypeError, ValueError: rows of which no report can be made, or only baselines and oracles.
    """
    check_rows(rows)
    envs = in_order([row.env for row in rows if row.role == "model"])
    if not envs:
        raise ValueError("none of the rows is a planner's: a plot of planners needs at least one")
    columns = min(len(envs), 2)
    figure = new_figure(5.2 * columns, 4 * -(-len(envs) // columns) + 0.3)
    palette = styles(rows)
    for env, axes in zip(envs, panels(figure, len(envs), columns), strict=True):
        here = [row for row in rows if row.env == env]
        planners = [row for row in here if row.role == "model"]
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
        _name_points(axes, [row for row in rows if row.env == env and row.role == "model"])
    _save(figure, path)


def _name_points(axes: Any, rows: Sequence[ResultRow]) -> None:
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
                row.agent if names.count(row.agent) == 1 else row_name(row),
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
