"""What comes out of forecasts: scores with intervals, tables, and a picture.

Letters: ``N`` videos, ``C`` classes.
"""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..evaluation import Interval
from ..evaluation.reports.figures import BLUE, GREEN, ORANGE, PURPLE, RED, SKY, new_figure
from ..files import atomic_write
from .metrics import class_iou, divided, mean_iou, over_clips
from .protocols import Case

if TYPE_CHECKING:
    from .surprises import Surprise

Method = Literal["present", "copy_last", "model"]


@dataclass(frozen=True, eq=False)
class Forecast:
    """How good forecasts are, beside the tokens of the true future and those of the last frame that was seen.

    Methods are "present", the true future's tokens, which is the ceiling; "copy_last", the floor; and "model".

    Attributes:
        kind: "segmentation" or "depth"; None where only tokens were compared.
        class_names: of the C classes; none of depths.
        cases: ways to forecast.
        seconds: from the last frame that is seen to the one that is forecast, for each case.
        windows: (N,) how many of each video.
        pixels: by method and name of the case ("" for "present"): for each video the confusion matrix (N, C, C), or
            the sum of squared errors and the number of pixels (N, 2). Empty without a head.
        tokens: as ``pixels``: the sum of absolute errors of tokens and how many numbers they have (N, 2).
    """

    kind: str | None
    class_names: tuple[str, ...]
    cases: tuple[Case, ...]
    seconds: tuple[float, ...]
    windows: NDArray[np.int64]
    pixels: dict[tuple[str, str], NDArray[np.float64]] = field(repr=False)
    tokens: dict[tuple[str, str], NDArray[np.float64]] = field(repr=False)

    def score(self, method: Method, case: str = "") -> Interval:
        """Return mIoU, from 0 to 1, or RMSE in metres, with its interval over videos."""
        return over_clips(self._measure, self.pixels[method, case])

    def token_error(self, method: Method, case: str) -> Interval:
        """Return the mean absolute error of the tokens' numbers, with its interval over videos."""
        return over_clips(ratio, self.tokens[method, case])

    def error_of_copying(self, case: str) -> Interval:
        """Return the model's error of tokens over that of copying the last frame: below 1 it foresees something."""
        pair = np.stack([self.tokens["model", case], self.tokens["copy_last", case]], 1)
        return over_clips(lambda sums: divided(ratio(sums[..., 0, :]), ratio(sums[..., 1, :])), pair)

    def gap_closed(self, case: str) -> Interval:
        """Return how much of the way from copying to the true future the model's score goes: 0 none, 1 all.

        NaN where the interval of the way's length has 0 in it: there is no way that these clips show.
        """
        ends = over_clips(
            lambda copy, present: self._measure(present) - self._measure(copy),
            self.pixels["copy_last", case],
            self.pixels["present", ""],
        )
        if ends.low <= 0 <= ends.high:
            return Interval(float("nan"), float("nan"), float("nan"))

        def share(*sums: NDArray[np.float64]) -> NDArray[np.float64]:
            model, copy, present = map(self._measure, sums)
            return divided(model - copy, present - copy)

        keys = (("model", case), ("copy_last", case), ("present", ""))
        return over_clips(share, *(self.pixels[key] for key in keys))

    def class_scores(self, method: Method, case: str = "") -> dict[str, float]:
        """Return intersection over union of each class; NaN of one that is nowhere."""
        each = class_iou(self.pixels[method, case].sum(0))
        return dict(zip(self.class_names, each.tolist(), strict=True))

    def table(self) -> str:
        """Return a table in Markdown: a row for each case."""
        columns: dict[str, Callable[[str], str]] = {}
        if self.kind is not None:
            measure, scale = ("mIoU, %", 100) if self.kind == "segmentation" else ("RMSE, m", 1)
            present = shown(self.score("present"), scale)
            columns |= {
                f"copy last: {measure}": lambda case: shown(self.score("copy_last", case), scale),
                f"model: {measure}": lambda case: shown(self.score("model", case), scale),
                f"true future: {measure}": lambda _: present,
                "of the way, %": lambda case: shown(self.gap_closed(case), 100),
            }
        columns["error of tokens"] = lambda case: shown(self.token_error("model", case), 1)
        columns["over copying's, %"] = lambda case: shown(self.error_of_copying(case), 100)
        rows = [
            [case.name, f"{seconds:.2f}", *(column(case.name) for column in columns.values())]
            for case, seconds in zip(self.cases, self.seconds, strict=True)
        ]
        head = ["case", "seconds", *columns]
        return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))

    def to_json(self) -> dict[str, Any]:
        """Return all numbers with their intervals, as JSON can write them."""
        cases = []
        for case, seconds in zip(self.cases, self.seconds, strict=True):
            found = {
                **case._asdict(),
                "seconds": seconds,
                "token_error": vars(self.token_error("model", case.name)),
                "error_of_copying": vars(self.error_of_copying(case.name)),
            }
            if self.kind is not None:
                found["present"] = vars(self.score("present"))
                found |= {method: vars(self.score(method, case.name)) for method in ("copy_last", "model")}
                found["gap_closed"] = vars(self.gap_closed(case.name))
            if self.class_names:
                found["classes"] = self.class_scores("model", case.name)
            cases.append(found)
        return {"kind": self.kind, "videos": len(self.windows), "windows": int(self.windows.sum()), "cases": cases}

    def _measure(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        return mean_iou(sums) if self.kind == "segmentation" else np.sqrt(ratio(sums))


def distance_plot(result: Forecast, path: Any) -> None:
    """Save a picture of the score and of the error of tokens over the time ahead, a line for each way to forecast."""
    figure = new_figure(8.0 if result.kind else 4.6, 3.4)
    measured: list[tuple[Any, Callable[[Method, str], Interval], float, str]] = []
    panels = figure.subplots(1, 2 if result.kind else 1, squeeze=False)[0]
    if result.kind is not None:
        score = ("mIoU, %", 100) if result.kind == "segmentation" else ("RMSE, m", 1)
        measured.append((panels[0], result.score, score[1], score[0]))
        panels[0].axhline(score[1] * result.score("present").value, color="0.2", linestyle=":", label="true future")
    measured.append((panels[-1], result.token_error, 1, "mean absolute error of tokens"))
    order = sorted(zip(result.cases, result.seconds, strict=True), key=lambda pair: (pair[0].calls, pair[1]))
    ways = {calls: list(pairs) for calls, pairs in groupby(order, key=lambda pair: pair[0].calls)}
    colours = (BLUE, ORANGE, GREEN, PURPLE, RED, SKY)
    for axes, of, scale, label in measured:
        for colour, (calls, pairs) in zip(colours, ways.items(), strict=False):
            found = [of("model", case.name) for case, _ in pairs]
            _band(axes, [seconds for _, seconds in pairs], found, colour, way_of(calls), scale)
        first = next(iter(ways.values()))  # copying does not depend on the way
        copied = [of("copy_last", case.name) for case, _ in first]
        _band(axes, [seconds for _, seconds in first], copied, "0.5", "copy last", scale)
        axes.set(xlabel="seconds ahead", ylabel=label)
        axes.spines[["top", "right"]].set_visible(False)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False, fontsize=8)
    with atomic_write(Path(path)) as file:
        figure.savefig(file, format="png")


def _band(axes: Any, seconds: list[float], found: list[Interval], colour: str, label: str, scale: float) -> None:
    value, low, high = (scale * np.array([getattr(each, name) for each in found]) for name in ("value", "low", "high"))
    axes.plot(seconds, value, "o-", color=colour, label=label, markersize=3, linewidth=1.3)
    axes.fill_between(seconds, low, high, color=colour, alpha=0.1, linewidth=0)


def way_of(calls: int) -> str:
    """Return what a way to forecast is called."""
    return "direct" if calls == 1 else f"rollout in {calls} steps"


def ratio(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return sums over counts, (…) of (…, 2)."""
    return divided(sums[..., 0], sums[..., 1])


def shown(found: Interval, scale: float) -> str:
    """Return a number with its interval in text: one digit after the point of percents, three of others."""
    value, low, high = (scale * each for each in (found.value, found.low, found.high))
    if math.isnan(value):
        return "–"
    digits = 1 if scale == 100 else 3
    return f"{value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def save_result(result: "Forecast | Surprise", folder: str | Path, name: str) -> None:
    """Save a result's table as ``NAME.md`` and its numbers as ``NAME.json`` in a folder, which is made if need be.

    Raises:
        OSError: nothing can be written there.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    numbers = json.dumps(finite(result.to_json()), indent=2, allow_nan=False)
    for suffix, text in ((".md", result.table()), (".json", numbers)):
        with atomic_write(folder / f"{name}{suffix}") as file:
            file.write(f"{text}\n".encode())


def finite(value: Any) -> Any:
    """Return JSON in which null stands for numbers that are not known."""
    if isinstance(value, dict):
        return {name: finite(inside) for name, inside in value.items()}
    if isinstance(value, list):
        return [finite(inside) for inside in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
