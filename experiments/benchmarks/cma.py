"""CEM and ICEM against the ``cma`` package on published functions, with the same number of evaluations."""

from collections.abc import Mapping, Sequence
from statistics import median

import numpy as np
import torch

from wmcontrol import CEM, ICEM, Planner

from .published_functions import PUBLISHED_FUNCTIONS, SIDE, PublishedFunction
from .results import Section

ACTION_DIMS = (2, 10)  # 10 and 50 numbers
NEAR = 0.01  # what is left of the way from the start, below which nobody is called better
_HORIZON = 5
CONTESTANTS: Mapping[str, Planner] = {"CEM": CEM(), "CEM, 30 elites": CEM(num_elites=30), "ICEM": ICEM()}


def against_cma(
    seeds: int,
    functions: Sequence[PublishedFunction] = PUBLISHED_FUNCTIONS,
    action_dims: Sequence[int] = ACTION_DIMS,
    contestants: Mapping[str, Planner] = CONTESTANTS,
) -> Section:
    """Plan on all functions, and minimise them with ``cma``."""
    reached = dict.fromkeys(contestants, 0)
    budgets: dict[str, int] = {}
    rows, numbers = [], []
    for A in action_dims:
        for function in functions:
            found = {name: plan_on(function, planner, A, seeds) for name, planner in contestants.items()}
            budgets = {name: evaluations for name, (_, evaluations) in found.items()}
            theirs = cma_on(function, A, seeds, sorted(set(budgets.values())))
            numbers.append({"function": function.name, "numbers": _HORIZON * A, "ours": found, "cma": theirs})
            row = [function.name, str(_HORIZON * A)]
            for name, (ours, evaluations) in found.items():
                good = reaches(ours, theirs[evaluations])
                reached[name] += good
                row.append(f"{ours:.0e}{' *' if good else ''}")
            rows.append([*row, *(f"{value:.0e}" for value in theirs.values())])
    counts = ", ".join(f"{name} {count}" for name, count in reached.items())
    heads = [f"{name}, {evaluations:,}" for name, evaluations in budgets.items()]
    return Section(
        "Against the cma package",
        f"(cost - least) / (cost of the start - least) after so many evaluations: median of {seeds} seeds. *: no worse "
        f"than cma after as many, or both at {NEAR:g} or less. Of {len(rows)} rows: {counts}. cma: its defaults inside "
        "the same bounds, standard deviation 1 (a quarter of the box) at the start, no restarts; it may stop sooner by "
        "its own criteria. It learns how numbers hang together, which CEM and ICEM do not, and on smooth functions of "
        "one valley it goes on to far smaller costs than they.",
        ("function", "numbers", *heads, *(f"cma, {budget:,}" for budget in sorted(set(budgets.values())))),
        rows,
        {"reached": reached, "rows": numbers},
    )


def reaches(ours: float, theirs: float) -> bool:
    """Whether we are no worse, or both as near as matters."""
    return ours <= max(theirs, NEAR)


def plan_on(function: PublishedFunction, planner: Planner, action_dim: int, seeds: int) -> tuple[float, int]:
    """Return the median of what is left of the way, and the evaluations of one plan."""
    side = torch.full((action_dim,), SIDE)
    generators = [torch.Generator().manual_seed(seed) for seed in range(seeds)]
    start = torch.zeros(seeds, _HORIZON, action_dim)
    plan = planner.plan(function.cost, start, low=-side, high=side, generators=generators)
    left = plan.cost / function.cost(start[:, None])[:, 0]
    return median(left.tolist()), int(plan.info["evaluations"][0])


def cma_on(function: PublishedFunction, action_dim: int, seeds: int, budgets: Sequence[int]) -> dict[int, float]:
    """Return the median of what is left of the way after each number of evaluations (ascending), for ``cma``."""
    import cma

    d = _HORIZON * action_dim
    start = float(function.cost(torch.zeros(1, 1, _HORIZON, action_dim)))
    left: dict[int, list[float]] = {budget: [] for budget in budgets}
    for seed in range(seeds):
        options = {"bounds": [-SIDE, SIDE], "maxfevals": budgets[-1], "seed": seed + 1, "verbose": -9}
        process = cma.CMAEvolutionStrategy(np.zeros(d), 1.0, options)
        best, evaluations, due = start, 0, list(budgets)
        while not process.stop():
            candidates = process.ask()
            while due and evaluations + len(candidates) > due[0]:
                left[due.pop(0)].append(best / start)
            costs = function.cost(torch.from_numpy(np.array(candidates)).view(1, -1, _HORIZON, action_dim))[0].tolist()
            process.tell(candidates, costs)
            best, evaluations = min(best, *costs), evaluations + len(candidates)
        for budget in due:
            left[budget].append(best / start)
    return {budget: median(values) for budget, values in left.items()}
