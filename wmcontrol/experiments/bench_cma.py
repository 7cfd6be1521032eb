"""CEM and ICEM against the ``cma`` package on published functions, with the same number of evaluations."""

from collections.abc import Mapping, Sequence
from statistics import median

import numpy as np
import torch
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from ..planners import CEM, ICEM, Planner
from .published_functions import SIDE, PublishedFunction

ACTION_DIMS = (2, 10)  # 10 and 50 numbers
NEAR = 0.01  # what is left of the way from the start, below which nobody is called better
_HORIZON = 5
CONTESTANTS: Mapping[str, Planner] = {"CEM": CEM(), "CEM, 30 elites": CEM(num_elites=30), "ICEM": ICEM()}


def compare_with_cma(
    console: Console,
    functions: Sequence[PublishedFunction],
    seeds: int,
    action_dims: Sequence[int] = ACTION_DIMS,
    contestants: Mapping[str, Planner] = CONTESTANTS,
) -> None:
    """Plan on all functions and print a table."""
    table = Table(
        title=f"(cost - least) / (cost of the start - least): median of {seeds} seeds",
        box=SIMPLE,
        title_justify="left",
    )
    table.add_column("function")
    table.add_column("numbers", justify="right")
    reached = dict.fromkeys(contestants, 0)
    budgets: dict[str, int] = {}
    rows = []
    for A in action_dims:
        for function in functions:
            row = [function.name, str(_HORIZON * A)]
            found = {name: plan_on(function, planner, A, seeds) for name, planner in contestants.items()}
            budgets = {name: evaluations for name, (_, evaluations) in found.items()}
            theirs = cma_on(function, A, seeds, sorted(set(budgets.values())))
            for name, (ours, evaluations) in found.items():
                good = reaches(ours, theirs[evaluations])
                reached[name] += good
                row.append(f"{ours:.0e}{' *' if good else '  '}")
            rows.append([*row, *(f"{value:.0e}" for value in theirs.values())])
    for name, evaluations in budgets.items():
        table.add_column(f"{name}\n{evaluations:,}", justify="right")
    for evaluations in sorted(set(budgets.values())):
        table.add_column(f"cma\n{evaluations:,}", justify="right")
    for row in rows:
        table.add_row(*row)
    console.print(table)
    counts = ", ".join(f"{name} {count}" for name, count in reached.items())
    console.print(
        f"*: no worse than cma after as many evaluations, or both at {NEAR:g} or less. Of {len(rows)} rows: {counts}.\n"
        "cma: its defaults inside the same bounds, standard deviation 1 (a quarter of the box) at the start, no "
        "restarts; it may stop sooner by its own criteria. It learns how numbers hang together, which CEM and ICEM do "
        "not, and on smooth functions of one valley it goes on to far smaller costs than they."
    )


def reaches(ours: float, theirs: float) -> bool:
    """Whether we are no worse, or both as near as matters."""
    return ours <= max(theirs, NEAR)


def plan_on(function: PublishedFunction, planner: Planner, action_dim: int, seeds: int) -> tuple[float, int]:
    """Return the median of what is left of the way, and the evaluations of one plan."""
    low, high = (
        torch.full((action_dim,), -SIDE, dtype=torch.float32, device="cpu"),
        torch.full((action_dim,), SIDE, dtype=torch.float32, device="cpu"),
    )
    generators = [torch.Generator().manual_seed(seed) for seed in range(seeds)]
    start = torch.zeros(seeds, _HORIZON, action_dim, dtype=torch.float32, device="cpu")
    plan = planner.plan(function.cost, start, low=low, high=high, generators=generators)
    left = plan.cost / function.cost(start[:, None])[:, 0]
    return median(left.tolist()), int(plan.info["evaluations"][0])


def cma_on(function: PublishedFunction, action_dim: int, seeds: int, budgets: Sequence[int]) -> dict[int, float]:
    """Return the median of what is left of the way after each number of evaluations (ascending), for ``cma``."""
    import cma

    d = _HORIZON * action_dim
    start = float(function.cost(torch.zeros(1, 1, _HORIZON, action_dim, dtype=torch.float32, device="cpu")))
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
