"""A report's figures: success in bars, and against the number of labelled trajectories."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..files import whole_file
from .judged import Judged
from .rows import count, in_order, is_all, labelled_text, role, row_name
from .style import CEILING_COLOR, FLOOR_COLOR, new_figure, panels, percent_axis, styles


def success_plot(judged: Sequence[Judged], path: Path) -> None:
    """Save bars of success at the end with their intervals, a panel for each environment.

    Floors are grey and hatched, the ceiling is an empty bar; a thin mark stands at success at any time.
    """
    envs = in_order([row.env for row in judged])
    rows = {env: [row for row in judged if row.env == env] for env in envs}
    names = {env: [_bar_name(row, rows[env]) for row in rows[env]] for env in envs}
    same = all(names[env] == names[envs[0]] for env in envs)  # then they stand at the left only
    most, lines = max(map(len, rows.values())), -(-len(envs) // 3)
    letters = max(len(name) for listed in names.values() for name in listed)
    columns = min(len(envs), 3)
    width = 2.9 * columns + 0.075 * letters * (1 if same else columns) + 0.3
    figure = new_figure(max(width, 4.5), lines * (0.27 * most + 0.75) + 0.35)
    palette = styles(judged)
    for i, (env, axes) in enumerate(zip(envs, panels(figure, len(envs)), strict=True)):
        for place, row in enumerate(rows[env]):
            _bar(axes, place, row, palette)
        axes.set_yticks(range(len(rows[env])), names[env] if not same or i % 3 == 0 else [""] * len(names[env]))
        axes.tick_params(axis="y", length=0)
        axes.set(xlim=(0, 1.14), ylim=(most - 0.4, -0.6), title=env)
        percent_axis(axes.xaxis)
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1])
        axes.grid(axis="x", color="0.9")
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    figure.supxlabel("tasks solved at the end of the budget, with 95 % intervals\n❘ solved at any time", fontsize=9)
    _save(figure, path)


def labels_plot(judged: Sequence[Judged], path: Path) -> None:
    """Save success at the end against labelled trajectories, a panel for each environment, a line for each agent."""
    envs = [env for env in in_order([row.env for row in judged]) if has_label_counts(judged, env)]
    figure = new_figure(max(3.6 * min(len(envs), 3), 5), 3.3 * -(-len(envs) // 3) + 0.3)
    palette = styles(judged)
    for env, axes in zip(envs, panels(figure, len(envs)), strict=True):
        here = [row for row in judged if row.env == env]
        trained = [row for row in here if row.labelled is not None or count(row) is not None or is_all(row, here)]
        known = sorted({number for row in trained if (number := count(row)) is not None})
        beyond = 3 * known[-1]  # where all stand, if nobody knows how many they are
        ticks = {float(count(row) or beyond): labelled_text(row, here).replace(" ", "\n") for row in trained}
        agents = in_order([row.agent for row in trained])
        for i, agent in enumerate(agents):
            shift = 1.05 ** (i - (len(agents) - 1) / 2)  # so that intervals do not hide each other
            line = sorted((row for row in trained if row.agent == agent), key=lambda row: count(row) or beyond)
            _line(axes, [(count(row) or beyond) * shift for row in line], line, palette[agent], agent)
        reference_lines(axes, here)
        axes.set(xscale="log", ylim=(-0.03, 1.03), title=env, xlabel="labelled trajectories")
        axes.set_xticks(sorted(ticks), [ticks[x] for x in sorted(ticks)])
        axes.minorticks_off()
        axes.margins(x=0.12)
        percent_axis(axes.yaxis)
        axes.grid(axis="y", color="0.9")
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylabel("success at the end")
    legend(figure)
    _save(figure, path)


def has_label_counts(judged: Sequence[Judged], env: str | None = None) -> bool:
    """Say whether some model was judged with several numbers of labelled trajectories (in one environment)."""
    rows = [row for row in judged if role(row) == "model" and env in (None, row.env)]
    found: dict[tuple[str, str], set[int | None]] = {}
    for row in rows:
        found.setdefault((row.env, row.agent), set()).add(row.labelled)
    return any(len(counts) > 1 for counts in found.values())


def reference_lines(axes: Any, rows: Sequence[Judged]) -> None:
    """Draw floors as dotted lines and the ceiling as a dashed one."""
    for row in rows:
        kind = role(row)
        if kind == "model":
            continue
        color, line = (FLOOR_COLOR, ":") if kind == "floor" else (CEILING_COLOR, "--")
        style = (0, (1, 2.5)) if row.agent == "no-op" else line  # two floors look different
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


def _save(figure: Any, path: Path) -> None:
    with whole_file(path) as temporary:
        figure.savefig(temporary)


def _bar_name(row: Judged, here: Sequence[Judged]) -> str:
    """Return a row's name, with how many tasks it did if others did more."""
    tasks = row.evaluation.num_tasks
    fewer = tasks < max(other.evaluation.num_tasks for other in here)
    return row_name(row, here) + (f" (n = {tasks})" if fewer else "")


def _bar(axes: Any, place: int, row: Judged, palette: dict[str, tuple[str, str]]) -> None:
    end, kind = row.evaluation.success_end, role(row)
    looks = {
        "floor": {"facecolor": "0.88", "edgecolor": FLOOR_COLOR, "hatch": "////", "linewidth": 0.8},
        "ceiling": {"facecolor": "white", "edgecolor": CEILING_COLOR, "linestyle": "--", "linewidth": 1.1},
    }
    look = looks.get(kind) or {"color": palette[row.agent][0]}
    axes.barh(place, end.value, height=0.7, **look)
    reach = [[end.value - end.low], [end.high - end.value]]
    axes.errorbar(end.value, place, xerr=reach, color="black", linewidth=1, capsize=2.5)
    axes.plot([row.evaluation.success_any.value] * 2, [place - 0.35, place + 0.35], color="black", linewidth=1.4)
    beyond = max(end.high, row.evaluation.success_any.value)
    axes.text(beyond + 0.02, place, f"{100 * end.value:.1f}", va="center", fontsize=7.5)


def _line(axes: Any, places: list[float], rows: list[Judged], look: tuple[str, str], name: str) -> None:
    ends = [row.evaluation.success_end for row in rows]
    values = [end.value for end in ends]
    reach = [[end.value - end.low for end in ends], [end.high - end.value for end in ends]]
    color, marker = look
    axes.errorbar(places, values, yerr=reach, color=color, marker=marker, markersize=5, capsize=2.5, label=name)
