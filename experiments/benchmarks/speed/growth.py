"""How time and memory grow with everything that can grow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from wmcontrol.memory import peak_memory

from ..results import Section, Verdict
from ..timing import fast_dtype, in_process
from .subjects import Size, actions

BLUE, ORANGE = "#0072B2", "#E69F00"  # Okabe and Ito's
SLACK = 1.3  # how much faster than the operations time may grow between two points: noise
ENOUGH = 1e10  # operations; with fewer, time is that of starting operators
WEIGHTS = 2**25  # bytes: the predictor's, some of them turned for each step, and what PyTorch takes for itself
BUDGETS = (2**26, 2**28, 2**30)


@dataclass(frozen=True)
class Point:
    """What is imagined: the tiny predictor, bfloat16 where the machine is fast at it."""

    candidates: int = 100
    horizon: int = 5
    side: int = 1  # of the grid of tokens
    environments: int = 1
    frames: int = 1
    budget: int = 2**28

    @property
    def size(self) -> Size:
        """The predictor's size."""
        return Size(192, 4, 3, 128, (self.side, self.side))

    @property
    def operations(self) -> float:
        """That this takes."""
        return self.environments * self.size.operations(self.candidates, self.horizon, self.frames)


AXES: dict[str, tuple[Sequence[int], Point, str]] = {
    "candidates": ((10, 30, 100, 300, 1000, 3000), Point(), "candidates"),
    "horizon, steps": ((1, 2, 5, 10, 20), Point(300), "horizon"),
    "tokens per frame": ((1, 2, 4, 8, 16, 32), Point(4), "side"),
    "environments": ((1, 4, 16, 64, 256), Point(), "environments"),
    "context frames": ((1, 2, 4, 8), Point(20, side=8), "frames"),
}


@dataclass(frozen=True)
class Found:
    """Of one point: seconds, and peak bytes beside what was there before."""

    seconds: float
    memory: float


def growth(rounds: int, folder: Path) -> Section:
    """Measure every point in a process of its own, and draw ``growth.png`` in the folder."""
    dtype = fast_dtype(torch.device("cpu"))
    rows: list[tuple[str, ...]] = []
    numbers: dict[str, list[dict[str, float]]] = {}
    excess: dict[str, float] = {}
    for axis, (values, point, name) in AXES.items():
        points = [replace(point, **{name: value}) for value in values]
        found = [in_process(measure, point, rounds, dtype) for point in points]
        shown = [value * value if name == "side" else value for value in values]
        numbers[axis] = [
            {"value": value, "operations": point.operations, "seconds": one.seconds, "bytes": one.memory}
            for value, point, one in zip(shown, points, found, strict=True)
        ]
        rows += [_row(f"{axis}: {one['value']:,}", one) for one in numbers[axis]]
        excess[axis] = max(_excess(a, b) for a, b in pairwise(numbers[axis]))
    point = Point(3000, side=4)
    numbers["memory budget"] = []
    for budget in BUDGETS:
        one = in_process(measure, replace(point, budget=budget), rounds, dtype)
        given = {"value": budget, "operations": point.operations, "seconds": one.seconds, "bytes": one.memory}
        numbers["memory budget"].append(given)
        rows.append(_row(f"memory budget: {budget / 2**20:.0f} MiB", given))
    # Beside the budget are the parts of the result and the whole of it, and the weights as rollouts have them.
    result = 2 * point.candidates * point.size.patches * point.size.dim * dtype.itemsize
    most = max((one["bytes"] - result - WEIGHTS) / one["value"] for one in numbers["memory budget"])
    draw(numbers, folder / "growth.png")
    worst = max(excess, key=lambda axis: excess[axis])
    return Section(
        "Growth",
        f"The tiny predictor, {torch.get_num_threads()} threads. Where one number grows, the others are 100 candidates "
        "(beside many tokens 4, beside the horizon 300, beside context frames 20 of 64 tokens), 5 steps, one token, "
        "one environment, one frame, a memory budget of 256 MiB; the last rows are of 3,000 candidates of 16 tokens. "
        "Peak: of the process, over what it held with the model and the context.",
        ("", "operations, GFLOP", "ms", "GFLOP/s", "peak, MiB"),
        rows,
        numbers,
        [
            Verdict(
                f"time grows no faster than operations (from {ENOUGH / 1e9:g} GFLOP on, {SLACK - 1:.0%} for noise)",
                f"at most {excess[worst]:.2f} times as fast ({worst})",
                excess[worst] <= SLACK,
            ),
            Verdict(
                "memory follows the budget that was set",
                f"at most {most:.2f} of it, beside the result and {WEIGHTS >> 20} MiB for weights",
                most <= 1.1,
            ),
        ],
        "growth.png",
    )


def _row(name: str, one: dict[str, float]) -> tuple[str, ...]:
    rate = one["operations"] / one["seconds"] / 1e9
    cells = (f"{one['operations'] / 1e9:.3g}", f"{1e3 * one['seconds']:.3g}", f"{rate:.0f}")
    return name, *cells, f"{one['bytes'] / 2**20:.0f}"


def _excess(a: dict[str, float], b: dict[str, float]) -> float:
    """Return how much faster than the operations time grows from one point to the next; 0 where both are small."""
    if a["operations"] < ENOUGH:
        return 0.0
    return (b["seconds"] / a["seconds"]) / (b["operations"] / a["operations"])


def measure(point: Point, rounds: int, dtype: torch.dtype) -> Found:
    """Imagine, and return the least seconds and the memory that it took."""
    model = point.size.world_model(dtype, torch.device("cpu"), point.budget)
    tokens = point.size.tokens(point.environments, point.frames, model)
    context = model.context(tokens)
    plans = actions(point.environments, point.candidates, point.horizon, model)
    with torch.no_grad():
        before = peak_memory()
        model.rollout(context, plans[:, :1], last_only=True)  # what is made once is made now
        taken = []
        for _ in range(rounds):
            start = perf_counter()
            model.rollout(context, plans, last_only=True)
            taken.append(perf_counter() - start)
    return Found(min(taken), peak_memory() - before)


def draw(numbers: Mapping[str, list[dict[str, float]]], path: Path) -> None:
    """Save a figure of what ``growth`` measured, a panel for each axis."""
    axes = list(AXES)
    figure = Figure((2.6 * len(axes), 2.8), dpi=144, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    for i, axis in enumerate(axes):
        panel: Any = figure.add_subplot(1, len(axes), i + 1)
        values = [point["value"] for point in numbers[axis]]
        seconds = [1e3 * point["seconds"] for point in numbers[axis]]
        # As if the last point's rate held everywhere.
        last = numbers[axis][-1]
        expected = [1e3 * last["seconds"] * point["operations"] / last["operations"] for point in numbers[axis]]
        panel.plot(values, expected, color="0.6", linestyle="--", label="operations, at the last point's rate")
        panel.plot(values, seconds, color=BLUE, marker="o", label="milliseconds")
        memory = [max(point["bytes"] / 2**20, 0.1) for point in numbers[axis]]
        panel.plot(values, memory, color=ORANGE, marker="s", label="peak memory, MiB")
        panel.set(xscale="log", yscale="log", xlabel=axis)
        panel.set_xticks(values, [f"{value:,}" for value in values], fontsize=7)
        panel.minorticks_off()
        panel.spines[["top", "right"]].set_visible(False)
        if i == 0:
            figure.legend(loc="outside upper center", ncols=3, fontsize=8, frameon=False)
    figure.savefig(path)
