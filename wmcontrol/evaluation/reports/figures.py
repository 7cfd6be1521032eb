"""A report's figures: success in bars, against training trajectories, and against seconds per decision."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from ...files import atomic_write
from ..result import ResultRow
from .tables import check_rows, in_order

# Okabe and Ito's palette, https://jfly.uni-koeln.de/color/
BLUE, ORANGE, GREEN, PURPLE, RED, SKY = "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9"
_KNOWN = {"full": BLUE, "scratch": ORANGE, "action_only": GREEN}
_MORE = (PURPLE, RED, SKY, BLUE, ORANGE, GREEN, "#882255", "#999933")  # the last two are Paul Tol's
_MARKERS = "osD^vP*X<>"
_BASELINE, _ORACLE = "0.55", "0.15"


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


def calibration_figure(bins: Sequence[tuple[float, float, int]], path: str | PathLike[str]) -> Path:
    """Save the reliability plot of steps to go: what was expected against what was taken, and the diagonal.

    Args:
        bins: (expected, taken, count), as of :class:`~wmcontrol.training.StepsToGoResult`.
        path: of the picture.

    Returns:
        The path.
    """
    figure = new_figure(3.8, 3.6)
    axes = figure.add_subplot()
    expected, taken, counts = zip(*bins, strict=True)
    most = max(*expected, *taken) + 0.5
    axes.plot([0, most], [0, most], color=_BASELINE, linewidth=1)
    axes.plot(expected, taken, "o-", color=BLUE, linewidth=1.2, markersize=5)
    axes.set(xlim=(0, most), ylim=(0, most), xlabel="model steps expected", ylabel="model steps taken", aspect="equal")
    _tidy(axes, f"{sum(counts):,} held-out pairs of frames", "both")
    _save(figure, path)
    return Path(path)


def success_plot(rows: Sequence[ResultRow], path: str | PathLike[str]) -> None:
    """Save bars of success at the end with their intervals, a panel for each environment.

    Baselines are grey and hatched, the oracle is an empty bar; a thin mark stands at success at any time.
    """
    by_env = {env: [row for row in rows if row.env == env] for env in in_order([row.env for row in rows])}
    names = {env: [_bar_name(row, here) for row in here] for env, here in by_env.items()}
    same = len({tuple(each) for each in names.values()}) == 1  # then they stand at the left only
    most, lines, columns = max(map(len, by_env.values())), -(-len(by_env) // 3), min(len(by_env), 3)
    letters = max(len(name) for listed in names.values() for name in listed)
    width = 2.9 * columns + 0.075 * letters * (1 if same else columns) + 0.3
    figure = new_figure(max(width, 4.5), lines * (0.27 * most + 0.75) + 0.35)
    palette = _styles(rows)
    for i, (env, here) in enumerate(by_env.items()):
        axes = figure.add_subplot(lines, columns, i + 1)
        for place, row in enumerate(here):
            _bar(axes, place, row, palette)
        axes.set_yticks(range(len(here)), names[env] if not same or i % 3 == 0 else [""] * len(here))
        axes.tick_params(axis="y", length=0)
        axes.set(xlim=(0, 1.14), ylim=(most - 0.4, -0.6))
        _percents(axes.xaxis, 0.25)
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1])
        _tidy(axes, env, "x")
    figure.supxlabel("tasks solved at the end of the budget, with 95 % intervals\n❘ solved at any time", fontsize=9)
    _save(figure, path)


def trajectories_plot(rows: Sequence[ResultRow], path: str | PathLike[str]) -> None:
    """Save success at the end against training trajectories, a panel for each environment, a line for each agent."""
    envs = [env for env in in_order([row.env for row in rows]) if has_train_counts(rows, env)]
    lines, columns = -(-len(envs) // 3), min(len(envs), 3)
    figure = new_figure(max(3.6 * columns, 5), 3.3 * lines + 0.3)
    palette = _styles(rows)
    for i, env in enumerate(envs):
        axes = figure.add_subplot(lines, columns, i + 1)
        here = [row for row in rows if row.env == env]
        trained = [row for row in here if row.num_train_trajectories is not None]
        ticks = {float(_count(row)): row.trained_on.replace(" ", "\n") for row in trained}
        agents = in_order([row.agent for row in trained])
        for place, agent in enumerate(agents):
            shift = 1.05 ** (place - (len(agents) - 1) / 2)  # so that intervals do not hide each other
            line = sorted((row for row in trained if row.agent == agent), key=_count)
            _points(axes, [_count(row) * shift for row in line], line, palette[agent], agent)
        _reference_lines(axes, here)
        axes.set(xscale="log", ylim=(-0.03, 1.03), xlabel="training trajectories")
        axes.set_xticks(sorted(ticks), [ticks[x] for x in sorted(ticks)])
        axes.minorticks_off()
        axes.margins(x=0.12)
        _percents(axes.yaxis, 0.2)
        _tidy(axes, env, "y")
    _finish(figure, path)


def has_train_counts(rows: Sequence[ResultRow], env: str | None = None) -> bool:
    """Say whether some model was trained on several numbers of trajectories (in one environment)."""
    found: dict[tuple[str, str], set[int]] = {}
    for row in rows:
        if row.num_train_trajectories is not None and env in (None, row.env):
            found.setdefault((row.env, row.agent), set()).add(row.num_train_trajectories)
    return any(len(counts) > 1 for counts in found.values())


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
    lines, columns = -(-len(envs) // 2), min(len(envs), 2)
    figure = new_figure(5.2 * columns, 4 * lines + 0.6)
    palette = _styles(rows)
    for i, env in enumerate(envs):
        axes = figure.add_subplot(lines, columns, i + 1)
        here = [row for row in rows if row.env == env]
        planners = [row for row in here if row.role == "model"]
        for row in planners:
            _points(axes, [row.evaluation.seconds_per_decision], [row], palette[row.agent], row.name)
        lowest = min(row.evaluation.success_end.low for row in planners)
        bottom = max(-0.03, lowest - 0.06)
        _reference_lines(axes, [row for row in here if row.evaluation.success_end.value > bottom])
        axes.set(xscale="log", ylim=(bottom, 1 + 0.06 * (1 - bottom)), xlabel="seconds per decision, on this machine")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.margins(x=0.25)
        _percents(axes.yaxis, 0.2 if bottom < 0.5 else 0.05)
        _tidy(axes, env, "both")
    _finish(figure, path)


def _styles(rows: Sequence[ResultRow]) -> dict[str, tuple[str, str]]:
    """Return a colour and a marker for each agent that is a model, always the same for the three modes."""
    agents = in_order([row.agent for row in rows if row.role == "model"])
    free = [color for color in _MORE if color not in {_KNOWN.get(agent) for agent in agents}]
    others = [agent for agent in agents if agent not in _KNOWN]
    colors = {**_KNOWN, **{agent: free[i % len(free)] for i, agent in enumerate(others)}}
    return {agent: (colors[agent], _MARKERS[i % len(_MARKERS)]) for i, agent in enumerate(agents)}


def _bar_name(row: ResultRow, here: Sequence[ResultRow]) -> str:
    """Return a row's name, with how many tasks it did if others did more."""
    tasks = row.evaluation.num_tasks
    return row.name + (f" (n = {tasks})" if any(tasks < other.evaluation.num_tasks for other in here) else "")


def _bar(axes: Any, place: int, row: ResultRow, palette: dict[str, tuple[str, str]]) -> None:
    end, any_time = row.evaluation.success_end, row.evaluation.success_any.value
    looks = {
        "baseline": {"facecolor": "0.88", "edgecolor": _BASELINE, "hatch": "////", "linewidth": 0.8},
        "oracle": {"facecolor": "white", "edgecolor": _ORACLE, "linestyle": "--", "linewidth": 1.1},
    }
    axes.barh(place, end.value, height=0.7, **(looks.get(row.role) or {"color": palette[row.agent][0]}))
    axes.errorbar(end.value, place, xerr=_reach([row]), color="black", linewidth=1, capsize=2.5)
    axes.plot([any_time] * 2, [place - 0.35, place + 0.35], color="black", linewidth=1.4)
    axes.text(max(end.high, any_time) + 0.02, place, f"{100 * end.value:.1f}", va="center", fontsize=7.5)


def _points(axes: Any, places: list[float], rows: list[ResultRow], look: tuple[str, str], name: str) -> None:
    values = [row.evaluation.success_end.value for row in rows]
    style = {"color": look[0], "marker": look[1], "markersize": 5, "capsize": 2.5}
    axes.errorbar(places, values, yerr=_reach(rows), label=name, **style)


def _reach(rows: list[ResultRow]) -> list[list[float]]:
    """Return how far the intervals reach below and above the values."""
    ends = [row.evaluation.success_end for row in rows]
    return [[end.value - end.low for end in ends], [end.high - end.value for end in ends]]


def _reference_lines(axes: Any, rows: Sequence[ResultRow]) -> None:
    """Draw baselines as dotted lines and the oracle as a dashed one."""
    for row in rows:
        if row.role != "model":
            color, line = (_BASELINE, ":") if row.role == "baseline" else (_ORACLE, "--")
            style = (0, (1, 2.5)) if row.agent == "no-op" else line  # two baselines look different
            success = row.evaluation.success_end.value
            axes.axhline(success, color=color, linestyle=style, linewidth=1.3, label=row.agent, zorder=1)


def _percents(axis: Any, step: float) -> None:
    """Write shares on an axis as per cent, one every ``step``."""
    from matplotlib.ticker import MultipleLocator

    axis.set_major_locator(MultipleLocator(step))
    axis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")


def _tidy(axes: Any, title: str, grid: str) -> None:
    axes.set_title(title)
    axes.grid(axis=grid, color="0.9")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _finish(figure: Any, path: str | PathLike[str]) -> None:
    """Put one legend for all panels below them, lines without points last, and save the figure."""
    figure.axes[0].set_ylabel("success at the end")
    entries: dict[str, Any] = {}
    for axes in figure.axes:
        entries |= dict(zip(*axes.get_legend_handles_labels()[::-1], strict=True))
    names = sorted(entries, key=lambda name: hasattr(entries[name], "get_linestyle"))
    handles = [entries[name] for name in names]
    columns = int(figure.get_figwidth() / 1.5)  # as many names of planners as there is room for
    figure.legend(handles, names, loc="outside lower center", ncols=columns, frameon=False, fontsize=8)
    _save(figure, path)


def _save(figure: Any, path: str | PathLike[str]) -> None:
    with atomic_write(Path(path)) as file:
        figure.savefig(file, format="png")


def _count(row: ResultRow) -> int:
    assert row.num_train_trajectories is not None
    return row.num_train_trajectories
