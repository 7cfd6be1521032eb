"""The picture of a film: for each episode a row of what the agent sees, the goal and the costs.

All that never changes is drawn once; only the rest is drawn for each frame of the film.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .figures import BLUE, ORANGE, literal, new_figure

Floats = NDArray[np.float64]
Pixels = NDArray[np.uint8]
_SIDE = 256  # of what the agent sees, pixels
_GAP, _TOP, _WORDS, _UNDER = 12, 56, 26, 40  # around it; above all, above a row, below a row
_CURVE, _SEARCH = (596, 290), (948, 146)  # where they begin without what is imagined, and how wide they are
_WIDTH = 1104
_MORE = _SIDE + _GAP  # for what is imagined
_DPI = 100


@dataclass(frozen=True, eq=False)
class PlanSeen:
    """A plan, as a film shows it."""

    step: int  # of the episode, at which it was made
    lands: int  # the step that it looks ahead to
    costs: Floats  # (H,) of the frames that it imagines until then, equally far apart
    history: Floats  # (iterations,) the best cost so far in the planner's search
    actions: NDArray[Any]  # (K, L, …) that proposals of the action prior say and, last, the plan
    # (K, q, 1 + L, 2), where what moves really goes by these: column and row in the frames.
    paths: Floats = field(default_factory=lambda: np.zeros((1, 0, 1, 2)))
    # (1 + H, height, width, 3) the frame that it began with and those that it imagined, drawn by the model's decoder.
    imagined: Pixels | None = None
    headed: str = ""  # where it goes, in words, of an agent that does not always go to the goal

    def imagined_at(self, step: int) -> Pixels | None:
        """Return the newest frame (height, width, 3) that it imagined for a step of the episode or before."""
        if self.imagined is None:
            return None
        last = len(self.imagined) - 1
        frame: Pixels = self.imagined[min(last, (step - self.step) * last // (self.lands - self.step))]
        return frame


@dataclass(frozen=True, eq=False)
class Curve:
    """What one episode cost."""

    costs: Floats  # (1 + T,) of each frame
    plans: list[PlanSeen]  # made in it, in order
    surprises: dict[int, tuple[float, float]]  # by step, how far a frame is from what was imagined, and from the first


@dataclass(frozen=True, eq=False)
class Episode:
    """What was seen of one episode."""

    frames: Pixels  # (1 + T, height, width, 3)
    goal: Pixels  # (height, width, 3)
    solved: NDArray[np.bool_]  # (1 + T,) whether the world was at its goal
    curve: Curve


class Screen:
    """Draws all episodes at a step.

    Args:
        episodes: that are shown, all equally long.
        title: above all.
        unit: what the costs are, in words.
    """

    def __init__(self, episodes: Sequence[Episode], title: str, unit: str):
        self._height = _TOP + len(episodes) * (_WORDS + _SIDE + _UNDER)
        self._height += self._height % 2  # as the video's colours need it
        plans = [plan for episode in episodes for plan in episode.curve.plans]
        self.shows_imagined = any(plan.imagined is not None for plan in plans)
        self.shift = _MORE if self.shows_imagined else 0
        self._width = _WIDTH + self.shift
        self._figure = new_figure(self._width / _DPI, self._height / _DPI, dpi=_DPI, layout=None)
        self._canvas = self._figure.canvas
        self._searches = bool(plans)
        self._words(_GAP, 24, literal(title), fontsize=11, fontweight="bold")
        drawn = any(plan.paths.size for plan in plans)
        self._words(_GAP, _TOP - 8, "what the agent sees" + (", plan, thin: proposals" if drawn else ""))
        if self.shows_imagined:
            self._words(_GAP + _MORE, _TOP - 8, "imagined by the plan")
        self._words(_GAP + _MORE + self.shift, _TOP - 8, "goal")
        self._words(_CURVE[0] + self.shift, _TOP - 8, f"{unit} over time")
        if self._searches:
            self._words(_SEARCH[0] + self.shift, _TOP - 8, "search for the plan")
        self._rows = [_Row(self, i, episode, legend=i == 0) for i, episode in enumerate(episodes)]
        self._canvas.draw()
        self._still = self._canvas.copy_from_bbox(self._figure.bbox)

    def draw(self, step: int) -> Pixels:
        """Return the picture (height, width, 3) after a step of the episodes."""
        self._canvas.restore_region(self._still)
        for row in self._rows:
            for artist in row.at(step):
                self._figure.draw_artist(artist)
        return np.asarray(self._canvas.buffer_rgba())[..., :3].copy()

    def _place(self, left: float, top: float, width: float, height: float) -> Any:
        """Return axes at a place in pixels from the upper left."""
        bottom = self._height - top - height
        return self._figure.add_axes(
            (left / self._width, bottom / self._height, width / self._width, height / self._height), facecolor="white"
        )

    def _words(self, left: float, base: float, text: str, **style: Any) -> Any:
        style = {"fontsize": 8.5, "color": "0.15", **style}
        return self._figure.text(left / self._width, 1 - base / self._height, text, **style)


class _Row:
    """One episode on the screen."""

    def __init__(self, screen: Screen, number: int, episode: Episode, *, legend: bool):
        top = _TOP + number * (_WORDS + _SIDE + _UNDER) + _WORDS
        self._number, self._episode, self._curve = number, episode, episode.curve
        self._budget = len(episode.frames) - 1
        self._seen = _picture(screen._place(_GAP, top, _SIDE, _SIDE), episode.frames[0])
        self._paths = _lines(self._seen.axes, [plan.paths for plan in episode.curve.plans])
        self._imagined: Any = None
        if screen.shows_imagined:
            self._imagined = _picture(screen._place(_GAP + _MORE, top, _SIDE, _SIDE), np.full_like(episode.goal, 255))
            self._imagined.set_animated(True)
        _picture(screen._place(_GAP + _MORE + screen.shift, top, _SIDE, _SIDE), episode.goal)
        self._state = screen._words(_GAP, top - 7, "", fontweight="bold", animated=True)
        self._headed = screen._words(_GAP + _MORE + screen.shift, top - 7, "", animated=True)
        self._surprise = screen._words(_CURVE[0] + screen.shift, top - 7, "", animated=True)
        width = _CURVE[1] if screen._searches else _SEARCH[0] + _SEARCH[1] - _CURVE[0]
        self._draw_costs(screen._place(_CURVE[0] + screen.shift, top, width, _SIDE), legend)
        self._search: Any = None
        if episode.curve.plans:
            self._draw_search(screen._place(_SEARCH[0] + screen.shift, top, _SEARCH[1], _SIDE))

    def at(self, step: int) -> list[Any]:
        """Return what is to be drawn at a step, in this order."""
        solved, costs, plans = bool(self._episode.solved[step]), self._curve.costs, self._curve.plans
        self._seen.set_data(self._episode.frames[step])
        # Blue and a tick; nobody needs to tell red from green.
        self._seen.axes.spines[:].set(color=BLUE if solved else "0.7", linewidth=4 if solved else 1)
        told = "✓ at the goal" if solved else "not at the goal"
        self._state.set(text=f"{self._number + 1}:  step {step} of {self._budget}   {told}")
        self._state.set_color(BLUE if solved else "0.15")
        self._costs.set_data(np.arange(step + 1), costs[: step + 1])
        self._now.set_data([step], [costs[step]])
        made = [plan for plan in plans if plan.step <= step]
        lines = [
            (np.linspace(plan.step, plan.lands, len(plan.costs) + 1), np.append(costs[plan.step], plan.costs))
            for plan in made
        ]
        self._old.set_segments([np.stack(line, 1) for line in lines[:-1]])
        self._plan.set_data(*(lines[-1] if lines else ([], [])))
        self._headed.set_text(made[-1].headed if made else "")
        known = [at for at in self._curve.surprises if at <= step and made and at > made[-1].step]
        if known:
            surprise, change = self._curve.surprises[max(known)]
            self._surprise.set_text(f"surprise {surprise:.2g} (of a still picture: {change:.2g})")
        else:
            self._surprise.set_text("")
        artists = [self._seen, *self._seen.axes.spines.values(), self._state, self._headed, self._surprise]
        if made:
            paths = made[-1].paths
            for drawn, shown in zip(self._paths, (paths[:-1], paths[-1:]), strict=True):
                for number, line in enumerate(drawn):
                    line.set_segments(shown[:, number])
                artists += drawn
        imagined = made[-1].imagined_at(step) if made else None
        if self._imagined is not None and imagined is not None:
            self._imagined.set_data(imagined)
            artists += [self._imagined, *self._imagined.axes.spines.values()]
        artists += [self._old, self._plan, self._costs, self._now]
        if self._search is not None and made:
            self._search.set_data(np.arange(1, len(made[-1].history) + 1), made[-1].history)
            artists.append(self._search)
        return artists

    def _draw_costs(self, axes: Any, legend: bool) -> None:
        from matplotlib.collections import LineCollection

        plans = self._curve.plans
        (self._costs,) = axes.plot([], [], color=BLUE, linewidth=2, label="of frames that came")
        (self._now,) = axes.plot([], [], "o", color=BLUE, markersize=6)
        self._old = LineCollection([], colors=ORANGE, alpha=0.3, linewidths=1.2, linestyles=(0, (4, 2)))
        axes.add_collection(self._old, autolim=False)
        look = {"color": ORANGE, "linestyle": (0, (4, 2)), "marker": "D", "markersize": 5}
        (self._plan,) = axes.plot([], [], linewidth=1.8, label="imagined by the plan", **look)
        last = max([self._budget, *(plan.lands for plan in plans)])
        if last > self._budget:
            axes.axvline(self._budget, color="0.7", linewidth=0.8)
        costs = np.concatenate([self._curve.costs, *(plan.costs for plan in plans)])
        axes.set(xlim=(-0.5, last + 1), ylim=_limits(costs.tolist()))
        _plain(axes, "environment step")
        if legend and plans:
            axes.legend(loc="upper right", fontsize=7, frameon=False)
        for artist in (self._costs, self._now, self._old, self._plan):
            artist.set_animated(True)

    def _draw_search(self, axes: Any) -> None:
        histories = [plan.history for plan in self._curve.plans]
        few = max(map(len, histories)) < 15
        (self._search,) = axes.plot([], [], color=ORANGE, linewidth=1.8, marker="." if few else "", animated=True)
        axes.set(xlim=(0, max(map(len, histories)) + 1), ylim=_limits(np.concatenate(histories).tolist()))
        _plain(axes, "iteration of the planner")


def _picture(axes: Any, pixels: Pixels) -> Any:
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(color="0.7", linewidth=1)
    # Small frames with their pixels visible, as the agent has them.
    return axes.imshow(pixels, interpolation="nearest" if len(pixels) <= _SIDE // 2 else "antialiased", aspect="auto")


def _lines(axes: Any, paths: Sequence[Floats]) -> list[list[Any]]:
    """Return thin lines for proposals and thick ones for the plan, one for each thing that moves."""
    from matplotlib.collections import LineCollection

    number = max((each.shape[1] for each in paths), default=0)
    found: list[list[Any]] = []
    for look in ({"linewidths": 0.8, "alpha": 0.45}, {"linewidths": 2.4}):
        lines = [LineCollection([], colors=(BLUE, ORANGE)[i % 2], animated=True, **look) for i in range(number)]
        for line in lines:
            axes.add_collection(line, autolim=False)
        found.append(lines)
    return found


def _plain(axes: Any, xlabel: str) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_xlabel(xlabel, fontsize=8, labelpad=2)
    axes.tick_params(labelsize=7.5, length=3, pad=2)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.grid(color="0.92")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _limits(values: Sequence[float]) -> tuple[float, float]:
    """Return an axis from a little under zero to a little over the largest value."""
    finite = [value for value in values if np.isfinite(value)]
    low, high = min([0.0, *finite]), max([1e-9, *finite])
    return low - 0.04 * (high - low), high + 0.08 * (high - low)
