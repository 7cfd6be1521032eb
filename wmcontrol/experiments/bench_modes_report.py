"""What ``wmcontrol bench modes`` found: a table, the same in JSON, a plot, and what it says in words."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ..training import PredictionError
from .files import whole_file

Results = Sequence[Mapping[str, Any]]  # of one seed each: env, mode, labelled, seed, and a PredictionError as a dict

STEPS = (1, 5)  # ahead
_COLORS = {"scratch": "#8d99ae", "action_only": "#e09f3e", "full": "#33658a"}
_STYLES = {1: "-", 5: "--"}


def save_report(results: Results, out: Path) -> Path:
    """Save ``modes.md``, ``modes.json`` and ``modes.png`` in a folder, and return the first of them."""
    with whole_file(out / "modes.json") as file:
        file.write_text(
            json.dumps({"caption": caption(results), "runs": list(results)}, indent=1) + "\n", encoding="utf-8"
        )
    with whole_file(out / "modes.png") as file:
        figure = draw(results)
        figure.savefig(file)
    with whole_file(out / "modes.md") as file:
        file.write_text("\n".join(_lines(results)) + "\n", encoding="utf-8")
    return out / "modes.md"


def ratios(results: Results, env: str, mode: str, labelled: int, step: int) -> list[float]:
    """Return the model's error over that of copying the last frame, one for each seed."""
    picked = [r for r in results if (r["env"], r["mode"], r["labelled"]) == (env, mode, labelled)]
    return [float(PredictionError.of(r).relative[step - 1]) for r in picked]


def warnings(results: Results) -> list[str]:
    """Name the runs whose models imagine worse than copying the last frame."""
    told = [(r, PredictionError.of(r).warning) for r in results]
    return [
        f"{r['env']}, {r['mode']}, {r['labelled']} labelled, seed {r['seed']}: {warning}."
        for r, warning in told
        if warning
    ]


def verdicts(results: Results) -> list[str]:
    """Say for each environment, number of labels and steps ahead whether full is better than scratch."""
    said, held = [], 0
    modes = _in_order(results, "mode")
    if not {"full", "scratch"} <= set(modes):
        return ["Whether full is better than scratch is not known: one of them was not trained."]
    for env in _in_order(results, "env"):
        for labelled in _in_order(results, "labelled"):
            for step in STEPS:
                full, scratch = (ratios(results, env, mode, labelled, step) for mode in ("full", "scratch"))
                wins = sum(a < b for a, b in zip(full, scratch, strict=True))
                holds = mean(full) < mean(scratch)
                held += holds
                seeds = f", in {wins} of {len(full)} seeds" if len(full) > 1 else ""
                sign = "<" if holds else "≥"
                said.append(
                    f"{env}, {labelled} labelled, {step} step{'s' if step > 1 else ''} ahead: full < scratch "
                    f"{'holds' if holds else '**does not hold**'} ({mean(full):.1%} {sign} {mean(scratch):.1%}{seeds})"
                )
    return [f"It is in {held} of {len(said)} comparisons.", *said]


def caption(results: Results) -> str:
    """Say what the numbers are, and what they are not."""
    first = results[0]
    seeds = _in_order(results, "seed")
    seen = " or ".join(map(str, sorted(_in_order(results, "context_frames"))))
    several = (
        f" Mean and range of seeds {', '.join(map(str, seeds))}; each seed has its own split, weights and order."
        if len(seeds) > 1
        else ""
    )
    return (
        "Error (smooth L1) of the predicted tokens 1 and 5 model steps after as many frames as an agent can look at "
        f"({seen}), as a share of that of copying the last of them, on the tenth of the trajectories that is held out "
        "from fine-tuning: the same windows for all modes and numbers of labels of an environment and seed. After "
        f"{first['num_steps']:,} steps of {first['batch_size']} windows, whatever the number of labels: with few of "
        "them, training goes on past the best error on the way. That best is not used, since it would be chosen on the "
        "held-out data. The base saw no actions; if it was pretrained on these stores, it saw the frames of the "
        "held-out trajectories too." + several
    )


def draw(results: Results) -> Figure:
    """Draw a panel for each environment: error against labelled trajectories, a line for each mode."""
    envs, modes = _in_order(results, "env"), _in_order(results, "mode")
    figure = Figure((1 + 4 * len(envs), 4.2), dpi=120, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    counts = sorted(_in_order(results, "labelled"))
    for i, env in enumerate(envs):
        axes: Any = figure.add_subplot(1, len(envs), i + 1)
        for mode in modes:
            for step in STEPS:
                found = [ratios(results, env, mode, count, step) for count in counts]
                label = f"{mode}, {step} step{'s' if step > 1 else ''}"
                color, means = _COLORS[mode], [mean(values) for values in found]
                axes.plot(counts, means, _STYLES[step], marker="o", markersize=4, color=color, label=label)
                if len(found[0]) > 1:
                    axes.fill_between(
                        counts, *zip(*((min(v), max(v)) for v in found), strict=True), color=color, alpha=0.15
                    )
        axes.axhline(1, color="0.3", linewidth=0.8, linestyle=":", label="copying the last frame")
        axes.set(xscale="log", yscale="log", title=env, xlabel="labelled trajectories")
        axes.set_xticks(counts, [f"{count:,}" for count in counts])
        axes.minorticks_off()
        ticks = _ticks(*axes.get_ylim())
        axes.set_yticks(ticks, [f"{tick:,.0f}" if tick >= 100 else f"{tick:.3g}" for tick in ticks])
        axes.grid(axis="y", color="0.9")
        axes.spines[["top", "right"]].set_visible(False)
        if i == 0:
            axes.set_ylabel("held-out error / error of copying")
    handles, names = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    return figure


def _lines(results: Results) -> Iterator[str]:
    modes = _in_order(results, "mode")
    yield "# Three ways of fine-tuning\n"
    yield caption(results) + "\n"
    heads = [f"{mode}, {step} step{'s' if step > 1 else ''}" for step in STEPS for mode in modes]
    head = ["environment", "labelled", *heads, "copying, 1 step", "copying, 5 steps"]
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for env in _in_order(results, "env"):
        for labelled in _in_order(results, "labelled"):
            cells = [_cell(ratios(results, env, mode, labelled, step)) for step in STEPS for mode in modes]
            copying = [mean(r["persistence_error"][step - 1] for r in results if r["env"] == env) for step in STEPS]
            yield f"| {' | '.join([env, f'{labelled:,}', *cells, *(f'{error:.4g}' for error in copying)])} |"
    yield "\nThe last two columns are what copying errs by; it is 100 % in the others.\n"
    yield from (f"- Warning: {said}" for said in warnings(results))
    yield "![error against labelled trajectories](modes.png)\n"
    yield "## Is full better than scratch?\n"
    yield from (f"- {said}" for said in verdicts(results))


def _cell(values: Sequence[float]) -> str:
    told = f"{mean(values):.1%}"
    return told if len(values) == 1 else f"{told} ({min(values):.1%} to {max(values):.1%})"


def _ticks(low: float, high: float) -> list[float]:
    """Return round numbers between two numbers: 1, 2 and 5 times powers of ten, or more of them if these are few."""
    found: list[float] = []
    for digits in ((1, 2, 5), (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8), range(10, 100)):
        found = [digit * 10.0**power for power in range(-9, 10) for digit in digits]
        found = [tick for tick in found if low <= tick <= high]
        if len(found) > 2:
            break
    return found


def _in_order(results: Results, key: str) -> list[Any]:
    return list(dict.fromkeys(result[key] for result in results))
