"""``wmcontrol bench planners``: its problems have the optima they claim, and its tables' numbers agree."""

import re
from io import StringIO

import pytest
import torch
from rich.console import Console

from wmcontrol.experiments import bench_cma, bench_planners
from wmcontrol.experiments.bench_cma import compare_with_cma, plan_on, reaches
from wmcontrol.experiments.double_integrator import ACTION_DIM, HORIZON, SIDE, DoubleIntegrator
from wmcontrol.experiments.published_functions import PUBLISHED_FUNCTIONS, PublishedFunction
from wmcontrol.experiments.published_functions import SIDE as FUNCTION_SIDE
from wmcontrol.planners import CEM, Gradient, Hybrid, RandomShooting

FUNCTIONS = {function.name: function for function in PUBLISHED_FUNCTIONS}
# Values by hand at points that are not optima, so that a wrong formula shows.
VALUES = [
    ("Ackley", (1.0, 1.0), 20 * (1 - 2.718281828459045**-0.2)),
    ("Dixon-Price", (2.0, 1.0), 1.0),
    ("Griewank", (0.0, 3.141592653589793 * 2**0.5), 2 * 3.141592653589793**2 / 4000 + 2),
    ("Levy", (-3.0, 1.0), 1 + 10 * 0.7080734182735712),  # w = (0, 1): sin(1) ** 2
    ("Rastrigin", (0.5, 1.0), 0.25 + 20 + 1),
    ("Rosenbrock", (0.0, 2.0), 401.0),
    ("Schwefel", (0.0, 0.0), 837.9658),
    ("Styblinski-Tang", (1.0, 2.0), (1 - 16 + 5 + 16 - 64 + 10) / 2),
    ("Zakharov", (1.0, 1.0), 2 + 1.5**2 + 1.5**4),
    ("different powers", (2.0, -2.0), 4.0 + 8.0),
    ("rotated hyper-ellipsoid", (1.0, 2.0), 1.0 + 5.0),
    ("sphere", (1.0, 2.0), 5.0),
    ("sum of squares", (1.0, 2.0), 9.0),
]


@pytest.mark.parametrize(("name", "point", "value"), VALUES)
def test_published_functions_have_their_values(name: str, point: tuple[float, ...], value: float) -> None:
    found = FUNCTIONS[name].function(torch.tensor(point, dtype=torch.float64))
    torch.testing.assert_close(float(found), value, rtol=1e-6, atol=1e-6)


def test_every_published_function_is_checked() -> None:
    assert {name for name, _, _ in VALUES} == set(FUNCTIONS)


@pytest.mark.parametrize("function", PUBLISHED_FUNCTIONS, ids=lambda function: function.name)
@pytest.mark.parametrize("action_dim", [2, 10])
def test_optima_are_inside_the_box_and_away_from_the_start(function: PublishedFunction, action_dim: int) -> None:
    d = 5 * action_dim
    solution = function.solution(d)
    assert float(solution.abs().max()) < FUNCTION_SIDE
    assert float(solution.norm()) > 0.1
    plans = solution + torch.cat([torch.zeros(1, d), torch.randn(500, d, generator=torch.Generator().manual_seed(0))])
    scales = torch.logspace(-4, 0, 501, dtype=torch.float64)[:, None]
    near = (solution + scales * (plans - solution)).clamp(-FUNCTION_SIDE, FUNCTION_SIDE).view(1, 501, 5, action_dim)
    costs = function.cost(near)[0]
    assert abs(float(costs[0])) < 1e-9
    assert float(costs.min()) > -1e-3  # the published optima are rounded
    assert float(function.cost(torch.zeros(1, 1, 5, action_dim))) > 1e-2


def test_no_plan_is_better_than_the_optimum_of_the_double_integrator() -> None:
    problem = DoubleIntegrator()
    best = problem.optimum[None, None].requires_grad_()
    (gradient,) = torch.autograd.grad(problem.cost(best).sum(), best)
    step = best.detach() - (best.detach() - gradient).clamp(-SIDE, SIDE)
    assert float(step.abs().max()) < 1e-9  # what a convex problem's optimum in a box is
    assert 0.2 < float((problem.optimum.abs() == SIDE).double().mean()) < 0.8  # the bounds bind
    assert float(problem.cost(torch.zeros(1, 1, HORIZON, ACTION_DIM))) > 2 * problem.least


def _rows(text: str) -> dict[str, list[str]]:
    rows = [re.split(r"\s{2,}", line.strip()) for line in text.splitlines()]
    return {row[0]: row[1:] for row in rows if len(row) > 3}


def test_tables_agree_with_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    planners = {
        "RandomShooting": RandomShooting(num_iterations=2),
        "CEM": CEM(num_samples=100, num_iterations=10),
        "Gradient": Gradient(num_samples=5, num_iterations=90),
        "Hybrid": Hybrid(sampling=CEM(num_samples=100, num_iterations=5), refinement=Gradient(num_samples=5)),
    }
    out = StringIO()
    console = Console(file=out, width=200)
    bench_planners._reach(console, planners, 3, (1, 2))
    reach = _rows(out.getvalue())
    assert reach["RandomShooting"][:3] == ["4 (2x)", "not in 1,200", "0 of 3"]
    iterations, evaluations, ms, reached, ratio = reach["Hybrid"]
    assert iterations == "105"
    assert 0 < int(evaluations.replace(",", "")) <= 5 * 100 + 100 * 5
    assert float(ms) > 0
    assert reached in ("2 of 3", "3 of 3")
    assert 1 - 1e-6 <= float(ratio) <= 1.01
    evaluations = reach["Gradient"][1]
    assert int(evaluations.replace(",", "")) % 5 == 0
    assert all(float(row[-1]) > 0.9999 for name, row in reach.items() if name in planners)

    out.truncate(0)
    bench_planners._overhead(console, planners, 2)
    overhead = _rows(out.getvalue())
    assert {name: row[0] for name, row in overhead.items() if name in planners} == {
        "RandomShooting": "300",
        "CEM": "100",
        "Gradient": "5",
        "Hybrid": "100",
    }
    for name in planners:
        one, many, ratio = (float(cell.split()[0]) for cell in overhead[name][1:])
        assert one > 0
        assert many > 0
        assert ratio == pytest.approx(many / one, rel=0.05)

    monkeypatch.setattr(bench_planners, "PLANNERS", {"CEM": CEM(num_iterations=2)})
    out.truncate(0)
    bench_planners.run(console, seeds=1, factors=(1,), repeats=1, functions=())
    assert f"{torch.get_num_threads()} threads" in out.getvalue()


def test_published_functions_are_compared_at_the_same_evaluations() -> None:
    pytest.importorskip("cma", reason='cma is not installed: pip install "wmcontrol[cma]"')
    contestants = {"CEM": CEM(num_samples=50, num_iterations=8), "short": CEM(num_samples=50, num_iterations=2)}
    out = StringIO()
    compare_with_cma(Console(file=out, width=120), [FUNCTIONS["sphere"]], 2, (2,), contestants)
    numbers, ours, short, cma_short, cma_long = re.sub(r" \*", "*", _line(out.getvalue())).split()[1:]
    assert numbers == "10"
    for cell, theirs in ((ours, cma_long), (short, cma_short)):
        value = float(cell.rstrip("*"))
        if abs(value - float(theirs)) > 0.1 * float(theirs):  # as they are rounded
            assert cell.endswith("*") == reaches(value, float(theirs))
    assert float(ours.rstrip("*")) <= float(short.rstrip("*"))
    assert float(cma_long) <= float(cma_short) <= 1
    left, evaluations = plan_on(FUNCTIONS["sphere"], contestants["CEM"], 2, 2)
    assert evaluations == 400
    assert f"{left:.0e}" == ours.rstrip("*")


def _line(text: str) -> str:
    return next(line for line in text.splitlines() if line.strip().startswith("sphere"))


def test_reaching_is_being_no_worse_or_near_enough() -> None:
    assert reaches(0.2, 0.2)
    assert not reaches(0.3, 0.2)
    assert reaches(bench_cma.NEAR, 1e-9)
    assert not reaches(0.011, 1e-9)
