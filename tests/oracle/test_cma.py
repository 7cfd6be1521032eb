"""CMA and CEM against the cma package, driven directly."""

import numpy as np
import pytest
import torch
from torch import Tensor

from experiments.benchmarks.cma import cma_on, plan_on
from experiments.benchmarks.double_integrator import ACTION_DIM, HORIZON, SIDE, DoubleIntegrator
from experiments.benchmarks.published_functions import PUBLISHED_FUNCTIONS
from wmcontrol.planners import CEM, CMA

cma = pytest.importorskip("cma", reason='cma is not installed: pip install "wmcontrol[cma]"')
H, A = 5, 2


def rotated(seed: int, condition: float):
    """A quadratic with axes turned at random, and its optimum inside the bounds."""
    generator = torch.Generator().manual_seed(seed)
    n = H * A
    turn, _ = torch.linalg.qr(torch.randn(n, n, generator=generator, dtype=torch.float64))
    matrix = turn @ torch.diag(condition ** torch.linspace(0, 1, n, dtype=torch.float64)) @ turn.T
    target = torch.rand(n, generator=generator, dtype=torch.float64) * 2 - 1

    def cost(actions: Tensor) -> Tensor:
        away = actions.flatten(2) - target
        return ((away @ matrix) * away).sum(2)

    return cost


@pytest.mark.parametrize(("seed", "condition"), [(0, 1e2), (1, 1e4), (2, 1e6)])
def test_cma_follows_the_package_iteration_by_iteration(seed: int, condition: float) -> None:
    """The same noise, and the start among the first candidates: the same best after each iteration."""
    cost, iterations = rotated(seed, condition), 150
    planner = CMA(num_samples=12, num_iterations=iterations)
    start = torch.zeros(1, H, A, dtype=torch.float64)
    low, high = torch.full((A,), -2.0, dtype=torch.float64), torch.full((A,), 2.0, dtype=torch.float64)
    ours = planner.plan(cost, start, low=low, high=high, generators=[torch.Generator().manual_seed(seed)])

    rng = np.random.default_rng(int(torch.randint(2**63 - 1, (), generator=torch.Generator().manual_seed(seed))))
    options = {"bounds": [-2, 2], "popsize": 12, "randn": lambda *n: rng.standard_normal(n), "seed": float("nan")}
    theirs = cma.CMAEvolutionStrategy(np.zeros(H * A), planner.std, {**options, "verbose": -9})
    best = []
    for iteration in range(iterations):
        candidates = theirs.ask()
        if iteration == 0:
            candidates[0] = np.zeros(H * A)
        costs = cost(torch.from_numpy(np.array(candidates)).view(1, -1, H, A))[0].tolist()
        theirs.tell(candidates, costs)
        best.append(min(*best[-1:], *costs))
    np.testing.assert_allclose(ours.history[:, 0].numpy(), best, rtol=1e-6)
    assert best[-1] < 1e-2 * best[0]


def test_cma_gets_to_an_optimum_on_the_bounds_as_the_package_does() -> None:
    """Candidates are rounded to float32 on the way, and that must not matter."""
    problem = DoubleIntegrator()
    bounds = torch.full((ACTION_DIM,), SIDE)
    start = torch.zeros(1, HORIZON, ACTION_DIM)
    plan = CMA().plan(problem.cost, start, low=-bounds, high=bounds, generators=[torch.Generator().manual_seed(0)])
    options = {"bounds": [-SIDE, SIDE], "popsize": 30, "maxiter": 300, "seed": 1, "verbose": -9}
    theirs = cma.CMAEvolutionStrategy(np.zeros(start.numel()), CMA().std, options)
    theirs.optimize(lambda x: float(problem.cost(torch.from_numpy(x).view(1, 1, HORIZON, ACTION_DIM))))
    assert theirs.result.fbest < 1.01 * problem.least
    assert float(plan.cost) < 1.01 * problem.least


def test_cem_reaches_cma_on_a_sphere() -> None:
    (sphere,) = (function for function in PUBLISHED_FUNCTIONS if function.name == "sphere")
    ours, evaluations = plan_on(sphere, CEM(), A, seeds=3)
    theirs = cma_on(sphere, A, 3, [evaluations])[evaluations]
    assert theirs < 1e-6
    assert ours < theirs + 1e-3
