"""``wmcontrol bench planners``: how soon planners are near a known optimum, what they cost themselves, and CMA-ES.

The costs here take next to no time, so that what is measured are the planners.
"""

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import median
from time import perf_counter
from typing import Any

import torch
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from torch import Tensor

from ..planners import CEM, CMA, ICEM, MPPI, Gradient, Hybrid, Planner, RandomShooting
from .bench_cma import compare_with_cma
from .double_integrator import ACTION_DIM, HORIZON, SIDE, DoubleIntegrator
from .published_functions import PUBLISHED_FUNCTIONS, PublishedFunction

WITHIN = 0.01
FACTORS = (1, 2, 4)  # of the default iterations, until the optimum is reached
ENVIRONMENTS = 64

PLANNERS: dict[str, Planner] = {
    "RandomShooting": RandomShooting(),
    "CEM": CEM(),
    "ICEM": ICEM(),
    "MPPI": MPPI(),
    "Gradient": Gradient(),
    "Hybrid": Hybrid(),
    "CMA": CMA(),
}


def run(
    console: Console,
    *,
    seeds: int = 10,
    factors: Sequence[int] = FACTORS,
    repeats: int = 30,
    functions: Sequence[PublishedFunction] = PUBLISHED_FUNCTIONS,
) -> None:
    """Measure everything and print three tables."""
    has_cma = importlib.util.find_spec("cma") is not None
    planners = {name: planner for name, planner in PLANNERS.items() if has_cma or name != "CMA"}
    _reach(console, planners, seeds, factors)
    _overhead(console, planners, repeats)
    if has_cma:
        compare_with_cma(console, functions, seeds)
    else:
        console.print('CMA-ES was left out: pip install "wmcontrol[cma]"')
    console.print(f"{torch.get_num_threads()} threads.")


class _Watched:
    """A cost that notes when candidates of one environment first come near the optimum."""

    def __init__(self, cost: Callable[[Tensor], Tensor], target: float):
        self._cost, self._target = cost, target
        self._start = perf_counter()
        self.evaluations = 0
        self.reached: tuple[int, float] | None = None  # evaluations, seconds

    def __call__(self, actions: Tensor) -> Tensor:
        costs = self._cost(actions)
        self.evaluations += actions.shape[1]
        if self.reached is None and float(costs.detach().min()) <= self._target:
            self.reached = self.evaluations, perf_counter() - self._start
        return costs


def _reach(console: Console, planners: dict[str, Planner], seeds: int, factors: Sequence[int]) -> None:
    problem = DoubleIntegrator()
    table = _table(
        f"Until the cost is at most {1 + WITHIN:g} times the optimum (double integrator, {HORIZON} x {ACTION_DIM} "
        f"numbers): median of {seeds} seeds",
        ("planner", "iterations", "evaluations", "ms", "reached by", "cost / optimum at the end"),
    )
    for name, planner in planners.items():
        _plan(planner, problem.cost)  # what is made once is made now
        for factor in factors:
            longer = _longer(planner, factor)
            watched, costs = [], []
            for seed in range(seeds):
                watched.append(_Watched(problem.cost, (1 + WITHIN) * problem.least))
                plan = _plan(longer, watched[-1], [seed])
                costs.append(float(plan.cost) / problem.least)
            reached = [one.reached for one in watched if one.reached is not None]
            if 2 * len(reached) > seeds:
                break
        # Those that never were there count as the largest.
        missing = [(float("inf"), float("inf"))] * (seeds - len(reached))
        evaluations, seconds = (median(values) for values in zip(*reached, *missing, strict=True))
        table.add_row(
            name,
            f"{len(plan.history)}" + ("" if factor == 1 else f" ({factor}x)"),
            f"{evaluations:,.0f}" if 2 * len(reached) > seeds else f"not in {watched[-1].evaluations:,}",
            f"{1e3 * seconds:.1f}" if 2 * len(reached) > seeds else "",
            f"{len(reached)} of {seeds}",
            f"{median(costs):.4f}",
        )
    console.print(table)
    console.print(
        f"A planner that most seeds do not bring there in its default iterations gets {factors[-1]} times as many at "
        "most. A gradient counts as one evaluation and takes about two. ms: one environment, a cost of "
        f"{_microseconds(problem.cost):.0f} us for 300 candidates."
    )


def _overhead(console: Console, planners: dict[str, Planner], repeats: int) -> None:
    table = _table(
        f"Time of one iteration at {HORIZON} x {ACTION_DIM} numbers with a free cost, us: least (median) of {repeats} "
        "plans",
        ("planner", "candidates", "1 environment", f"{ENVIRONMENTS} environments", "ratio"),
    )
    for name, planner in planners.items():
        if name == "CMA":
            continue
        seconds: dict[int, list[float]] = {1: [], ENVIRONMENTS: []}
        for B in seconds:
            cost = _Free(B)
            for repeat in range(repeats + 1):
                start = perf_counter()
                plan = _plan(planner, cost, range(B))
                if repeat:  # the first makes what is made once
                    seconds[B].append(1e6 * (perf_counter() - start) / len(plan.history))
        one, many = seconds[1], seconds[ENVIRONMENTS]
        table.add_row(
            name,
            str(cost.most),
            f"{min(one):.0f} ({median(one):.0f})",
            f"{min(many):.0f} ({median(many):.0f})",
            f"{min(many) / min(one):.2f} ({median(many) / median(one):.2f})",
        )
    console.print(table)
    console.print(
        "CMA is not among them: it runs an evolution for each environment, one after the other. Measure on an "
        "idle machine: with many environments every step waits for the slowest thread, and another program doubles "
        "these times and more."
    )


class _Free:
    """Costs that were computed before; only who follows gradients gets some that depend on candidates."""

    def __init__(self, environments: int):
        self._environments = environments
        self._costs: dict[int, Tensor] = {}
        self.most = 0

    def __call__(self, actions: Tensor) -> Tensor:
        S = actions.shape[1]
        self.most = max(self.most, S)
        if actions.requires_grad:
            return actions[..., 0, 0]
        if S not in self._costs:
            self._costs[S] = torch.rand(
                self._environments, S, generator=torch.Generator().manual_seed(0), dtype=torch.float32, device="cpu"
            )
        return self._costs[S]


def _plan(planner: Planner, cost: Callable[[Tensor], Tensor], seeds: Sequence[int] = (0,)) -> Any:
    return planner.plan(
        cost,
        torch.zeros(len(seeds), HORIZON, ACTION_DIM, dtype=torch.float32, device="cpu"),
        low=torch.full((ACTION_DIM,), -SIDE, dtype=torch.float32, device="cpu"),
        high=torch.full((ACTION_DIM,), SIDE, dtype=torch.float32, device="cpu"),
        generators=[torch.Generator().manual_seed(seed) for seed in seeds],
    )


def _longer(planner: Any, factor: int) -> Any:
    """Return the planner with that many times its iterations."""
    if isinstance(planner, Hybrid):
        sampling, refinement = _longer(planner.sampling, factor), _longer(planner.refinement, factor)
        return replace(planner, sampling=sampling, refinement=refinement)
    return replace(planner, num_iterations=factor * planner.num_iterations)


def _microseconds(cost: Callable[[Tensor], Tensor]) -> float:
    actions = torch.zeros(1, 300, HORIZON, ACTION_DIM, dtype=torch.float32, device="cpu")
    seconds = []
    for _ in range(20):
        start = perf_counter()
        cost(actions)
        seconds.append(perf_counter() - start)
    return 1e6 * median(seconds)


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(title=title, box=SIMPLE, title_justify="left")
    for column in columns:
        first = column == "planner"
        table.add_column(column, justify="left" if first else "right", no_wrap=first, min_width=14 if first else None)
    return table
