"""A sheet on which to look at a set of trajectories: frames, actions, and how far things get in 25 steps."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ..actions import ActionLayout
from ..files import atomic_write
from .dataset import TrajectoryDataset
from .environment import Environment
from .trajectory import Floats, Trajectory

STEPS = 25  # that displacements are taken over: how far ahead plans look
_ROWS, _COLUMNS = 6, 8  # of frames
_SAMPLE = 2000  # trajectories, at most, that numbers are taken from
_POINTS = 20_000  # actions in a scatter plot
_BINS = 60
_COLOR, _ACCENT = "#33658a", "#d1495b"


@dataclass(frozen=True)
class _Group:
    """Some numbers of a state that say together how far something got."""

    label: str
    numbers: slice
    unit: str
    angle: bool = False


def save_sheet(dataset: TrajectoryDataset, path: Path, name: str | None = None) -> None:
    """Save a contact sheet of a data set as a PNG file.

    It shows frames of six trajectories from first to last, where there are frames; the actions, where there are any
    (how often each choice was made, or a scatter plot of two numbers, else a histogram of each); how far each part of
    the state gets in 25 steps; and how long trajectories are. Numbers are those of 2,000 trajectories at most, evenly
    spread.

    Args:
        dataset: the trajectories.
        path: the file.
        name: what the title calls them; by default the environment's id, or the name of the folder.
    """
    sample = [dataset.trajectory(i) for i in _spread(len(dataset), _SAMPLE)]
    shown = [dataset.trajectory(i) for i in _spread(len(dataset), _ROWS)]
    rows = [] if any(t.frames is None for t in shown) else shown
    groups = _groups(dataset, sample)
    lengths = np.asarray(dataset.lengths, float) if len(set(dataset.lengths.tolist())) > 1 else None
    plots = max(1, len(groups) + any(t.actions is not None for t in sample) + (lengths is not None))
    height = 1.55 * len(rows)
    figure = Figure((13, height + 3.9), dpi=100, facecolor="white")
    FigureCanvasAgg(figure)
    top = 1 - 0.55 / (height + 3.9)
    figure.suptitle(_title(dataset, name), fontsize=12, y=1 - 0.15 / (height + 3.9), va="top", parse_math=False)
    split = 3.3 / (height + 3.9)
    if rows:
        grid = figure.add_gridspec(len(rows), _COLUMNS, left=0.03, right=0.99, bottom=split, top=top, wspace=0.04)
        for i, trajectory in enumerate(rows):
            _draw_row([figure.add_subplot(grid[i, j]) for j in range(_COLUMNS)], trajectory)
    bottom = 0.55 / (height + 3.9)
    grid = figure.add_gridspec(1, plots, left=0.05, right=0.98, bottom=bottom, top=split - 0.6 / (height + 3.9))
    grid.update(wspace=0.25)
    axes = iter([figure.add_subplot(grid[0, j]) for j in range(plots)])
    actions = [t.actions for t in sample if t.actions is not None]
    if actions:
        layout = dataset.action_layout
        draw = _draw_actions if layout is None or not layout.choices else partial(_draw_choices, layout=layout)
        draw(next(axes), np.concatenate(actions))
    for group in groups:
        values = np.concatenate([displacements(t, group.numbers, group.angle) for t in sample])
        _draw_histogram(next(axes), values, f"{group.label}: displacement in {STEPS} steps", group.unit)
    if lengths is not None:
        _draw_histogram(next(axes), lengths, "length of trajectories", "frames")
    with atomic_write(path) as file:
        figure.savefig(file, format="png")


def _spread(count: int, most: int) -> list[int]:
    indices: list[int] = np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int)).tolist()
    return indices


def _title(dataset: TrajectoryDataset, name: str | None) -> str:
    rate = "" if dataset.control_rate is None else f", {dataset.control_rate:g} Hz"
    name = name or dataset.env_id or dataset.trajectory(0).provenance.path.name
    shortest, longest = int(dataset.lengths.min()), int(dataset.lengths.max())
    each = f"{longest}" if shortest == longest else f"{shortest} to {longest}"
    return f"{name}: {len(dataset):,} trajectories of {each} frames, {int(dataset.lengths.sum()):,} in all{rate}"


def _groups(dataset: TrajectoryDataset, sample: list[Trajectory]) -> list[_Group]:
    """Return what places and angles there are in a state by its labels; without any, all numbers together."""
    states, groups = sample[0].states, []
    if states is None:
        return []
    environment = Environment.of(dataset.env_id, dataset.env_settings)
    labels = environment.state_labels[: states.shape[1]] if environment else ()
    for place, label in enumerate(labels):
        name, _, kind = label.rpartition(" ")
        if environment and kind == "x" and not name.endswith("velocity"):
            groups.append(_Group(name or "position", slice(place, place + 2), environment.length_unit))
        elif kind == "angle":
            groups.append(_Group(label, slice(place, place + 1), "degrees", angle=True))
    replayed = sum(label.startswith("replay_") for label in labels)  # seed and actions, which are nowhere
    return groups or [_Group("state", slice(0, states.shape[1] - replayed), "units of the state")]


def _draw_row(axes: list[Any], trajectory: Trajectory) -> None:
    assert trajectory.frames is not None
    steps = np.linspace(0, len(trajectory) - 1, len(axes)).round().astype(int)
    for cell, step, frame in zip(axes, steps.tolist(), trajectory.frames.read(steps), strict=True):
        cell.set(xticks=[], yticks=[])
        cell.spines[:].set(color="0.7", linewidth=0.5)
        cell.imshow(frame, interpolation="antialiased")
        cell.set_title(f"{trajectory.times[step]:.1f} s", fontsize=7, pad=2)
    axes[0].set_ylabel(trajectory.provenance.record, fontsize=7)


def _draw_actions(axes: Any, actions: Floats) -> None:
    axes.set_title("actions", fontsize=9)
    if actions.shape[1] == 2:
        x, y = actions[_spread(len(actions), _POINTS)].T
        size, alpha = (1.5, 0.25) if len(x) > 5000 else (4, 0.5)
        axes.plot(x, y, ".", color=_COLOR, markersize=size, alpha=alpha, markeredgewidth=0, rasterized=True)
        axes.set_aspect("equal", adjustable="datalim")
        axes.set_xlabel("first number", fontsize=8)
        axes.set_ylabel("second number", fontsize=8)
    else:
        for number, values in enumerate(actions.T):
            axes.hist(values, _bins(values), histtype="step", density=True, label=str(number))
        axes.legend(fontsize=7, title="number", title_fontsize=7)
    _plain(axes)


def _draw_choices(axes: Any, actions: Floats, layout: ActionLayout) -> None:
    axes.set_title("actions: how often each was chosen", fontsize=9)
    axes.set_ylabel("%", fontsize=8)
    axes.xaxis.get_major_locator().set_params(integer=True)
    found = shares(actions, layout)
    for number, (values, share) in enumerate(found):
        width = 0.8 / len(found)
        axes.bar(values + (number - (len(found) - 1) / 2) * width, 100 * share, width, label=str(number))
    if len(found) > 1:
        axes.legend(fontsize=7, title="number", title_fontsize=7)
    _plain(axes)


def shares(actions: Floats, layout: ActionLayout) -> list[tuple[NDArray[np.int64], Floats]]:
    """Return, for each number of an action that is a choice, its values (k,) and how often each was taken (k,)."""
    ends = np.cumsum(layout.choices)[:-1]
    each = zip(layout.start, np.split(actions.mean(0), ends), strict=True)
    return [(start + np.arange(len(share)), share) for start, share in each]


def displacements(trajectory: Trajectory, numbers: slice, angle: bool = False) -> Floats:
    """Return how far some numbers of the state get in 25 steps, from each step on: (T - 25,).

    Angles, in radians, are taken the short way round and given in degrees.
    """
    states = trajectory.states
    if states is None or len(states) <= STEPS:
        return np.empty(0)
    change = states[STEPS:, numbers] - states[:-STEPS, numbers]
    if angle:
        change = np.rad2deg((change + np.pi) % (2 * np.pi) - np.pi)
    return np.asarray(np.linalg.norm(change, axis=1))


def _draw_histogram(axes: Any, values: Floats, title: str, unit: str) -> None:
    axes.set_xlabel(unit, fontsize=8)
    axes.set_yticks([])
    _plain(axes)
    if not len(values):
        axes.set_title(title, fontsize=9)
        axes.text(0.5, 0.5, f"no trajectory is longer\nthan {STEPS} steps", ha="center", transform=axes.transAxes)
        return
    low, middle, high = np.quantile(values, (0.1, 0.5, 0.9))
    axes.set_title(f"{title}\nmedian {middle:.3g}, 10 to 90 %: {low:.3g} to {high:.3g}", fontsize=8)
    axes.hist(values, _bins(values), color=_COLOR)
    for quantile, style in ((low, ":"), (middle, "-"), (high, ":")):
        axes.axvline(quantile, color=_ACCENT, linestyle=style, linewidth=1.2)


def _bins(values: Floats) -> Floats:
    """Return the edges of a histogram's bins, which are wide where numbers differ in their last digits alone."""
    low, high = float(values.min()), float(values.max())
    if high - low <= 1e-6 * max(1.0, abs(low), abs(high)):
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, _BINS + 1)


def _plain(axes: Any) -> None:
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)
