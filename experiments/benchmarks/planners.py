"""Measure planners without a model: how soon they are near a known optimum, what they cost themselves, and CMA-ES.

Costs here take next to no time, so that what is measured are the planners. Takes minutes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from statistics import median
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from wmcontrol import CEM, CMA, ICEM, MPPI, Gradient, Hybrid, Plan, Planner, RandomShooting

from .cma import against_cma
from .double_integrator import ACTION_DIM, HORIZON, SIDE, DoubleIntegrator
from .results import Section, command, save, whole
from .timing import seconds

WITHIN = 0.01
FACTORS = (1, 2, 4)  # of the default iterations, until the optimum is reached
ENVIRONMENTS = 64

PLANNERS: Mapping[str, Planner] = {
    "RandomShooting": RandomShooting(),
    "CEM": CEM(),
    "ICEM": ICEM(),
    "MPPI": MPPI(),
    "Gradient": Gradient(),
    "Hybrid": Hybrid(),
    "CMA": CMA(),
}


class _Watched:
    """A cost that notes when candidates of one environment first come near the optimum."""

    def __init__(self, cost: Callable[[Tensor], Tensor], target: float):
        self._cost, self._target = cost, target
        self._start = perf_counter()
        self.evaluations = 0
        self.reached = (float("inf"), float("inf"))  # evaluations, seconds

    def __call__(self, actions: Tensor) -> Tensor:
        costs = self._cost(actions)
        self.evaluations += actions.shape[1]
        if self.reached[0] > self.evaluations and float(costs.detach().min()) <= self._target:
            self.reached = self.evaluations, perf_counter() - self._start
        return costs


def optimum(planners: Mapping[str, Planner], seeds: int, factors: Sequence[int] = FACTORS) -> Section:
    """Measure how soon planners are near the optimum of a double integrator."""
    problem = DoubleIntegrator()
    rows, numbers = [], {}
    for name, planner in planners.items():
        plan_with(planner, problem.cost)  # what is made once is made now
        for factor in factors:
            longer = _longer(planner, factor)
            watched, costs = [], []
            for seed in range(seeds):
                watched.append(_Watched(problem.cost, (1 + WITHIN) * problem.least))
                plan = plan_with(longer, watched[-1], [seed])
                costs.append(float(plan.cost) / problem.least)
            evaluations, taken = (median(values) for values in zip(*(one.reached for one in watched), strict=True))
            if evaluations < float("inf"):
                break
        reached = sum(one.reached[0] < float("inf") for one in watched)
        most = watched[-1].evaluations
        there = evaluations < float("inf")
        numbers[name] = {
            "iterations": len(plan.history),
            "evaluations": evaluations if there else None,
            "evaluations_at_the_end": most,
            "seconds": taken if there else None,
            "seeds_that_reached": reached,
            "cost_over_optimum": median(costs),
        }
        rows.append(
            (
                name,
                f"{len(plan.history)}" + ("" if factor == 1 else f" ({factor}x)"),
                f"{evaluations:,.0f}" if there else f"not in {most:,}",
                f"{1e3 * taken:.1f}" if there else "",
                f"{reached} of {seeds}",
                f"{median(costs):.4f}",
            )
        )
    candidates = torch.zeros(1, 300, HORIZON, ACTION_DIM)
    free = 1e6 * median(seconds(lambda: problem.cost(candidates)) for _ in range(20))
    return Section(
        "Until the optimum",
        f"Until the cost is at most {1 + WITHIN:g} times the optimum of a double integrator, {HORIZON} x {ACTION_DIM} "
        f"numbers: median of {seeds} seeds. A planner that most seeds do not bring there in its default iterations "
        f"gets {factors[-1]} times as many at most. A gradient counts as one evaluation and takes about two. "
        f"Milliseconds are of one environment and a cost of {free:.0f} us for 300 candidates.",
        ("planner", "iterations", "evaluations", "ms", "reached by", "cost / optimum at the end"),
        rows,
        numbers,
    )


def overhead(planners: Mapping[str, Planner], repeats: int) -> Section:
    """Measure what an iteration of each planner costs beside the cost function."""
    rows, numbers = [], {}
    for name, planner in planners.items():
        if name == "CMA":
            continue
        found: dict[int, list[float]] = {}
        for environments in (1, ENVIRONMENTS):
            cost = _Free(environments)
            taken = []
            for _ in range(repeats + 1):
                start = perf_counter()
                plan = plan_with(planner, cost, range(environments))
                taken.append(1e6 * (perf_counter() - start) / len(plan.history))
            found[environments] = taken[1:]  # the first makes what is made once
        one, many = found.values()
        numbers[name] = {"candidates": cost.most, "alone": min(one), "together": min(many)}
        rows.append(
            (
                name,
                str(cost.most),
                f"{min(one):.0f} ({median(one):.0f})",
                f"{min(many):.0f} ({median(many):.0f})",
                f"{min(many) / min(one):.2f} ({median(many) / median(one):.2f})",
            )
        )
    return Section(
        "An iteration with a free cost",
        f"Microseconds of an iteration, {HORIZON} x {ACTION_DIM} numbers: least (median) of {repeats} plans. CMA is "
        "left out: it runs an evolution for each environment, one after the other. Measure on an idle machine: with "
        "many environments every step waits for the slowest thread, and another program doubles these times and more.",
        ("planner", "candidates", "1 environment", f"{ENVIRONMENTS} environments", "ratio"),
        rows,
        numbers,
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
            self._costs[S] = torch.rand(self._environments, S, generator=torch.Generator().manual_seed(0))
        return self._costs[S]


def plan_with(planner: Planner, cost: Callable[[Tensor], Tensor], seeds: Sequence[int] = (0,)) -> Plan:
    """Plan for as many environments as there are seeds, in the box of the double integrator."""
    return planner.plan(
        cost,
        torch.zeros(len(seeds), HORIZON, ACTION_DIM),
        low=torch.full((ACTION_DIM,), -SIDE),
        high=torch.full((ACTION_DIM,), SIDE),
        generators=[torch.Generator().manual_seed(seed) for seed in seeds],
    )


def _longer(planner: Any, factor: int) -> Any:
    """Return the planner with that many times its iterations."""
    if isinstance(planner, Hybrid):
        sampling, refinement = _longer(planner.sampling, factor), _longer(planner.refinement, factor)
        return replace(planner, sampling=sampling, refinement=refinement)
    return replace(planner, num_iterations=factor * planner.num_iterations)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = command("planners", __doc__)
    parser.add_argument("--seeds", type=whole, default=10, help="plans of which the median counts")
    parser.add_argument("--repeats", type=whole, default=30, help="plans of which the least time counts")
    args = parser.parse_args(argv)
    planners = dict(PLANNERS)
    measured: dict[str, Callable[[], Section]] = {
        "optimum": lambda: optimum(planners, args.seeds),
        "overhead": lambda: overhead(planners, args.repeats),
        "cma": lambda: against_cma(args.seeds),
    }
    if find_spec("cma") is None:
        del planners["CMA"], measured["cma"]
        print('CMA-ES is left out: pip install "wmcontrol[cma]"')
    save("planners", args, measured)


if __name__ == "__main__":
    main()
