"""``python -m experiments.benchmarks.planners``: its problems have the optima they claim, and its numbers agree."""

from pathlib import Path

import pytest
import torch

from experiments.benchmarks import cma, planners
from experiments.benchmarks.cma import against_cma, plan_on, reaches
from experiments.benchmarks.double_integrator import ACTION_DIM, HORIZON, SIDE, DoubleIntegrator
from experiments.benchmarks.published_functions import PUBLISHED_FUNCTIONS, PublishedFunction
from experiments.benchmarks.published_functions import SIDE as FUNCTION_SIDE
from wmcontrol import CEM, Gradient, Hybrid, RandomShooting

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


FEW = {
    "RandomShooting": RandomShooting(num_iterations=2),
    "CEM": CEM(num_samples=100, num_iterations=10),
    "Gradient": Gradient(num_samples=5, num_iterations=90),
    "Hybrid": Hybrid(sampling=CEM(num_samples=100, num_iterations=5), refinement=Gradient(num_samples=5)),
}


def test_how_soon_planners_reach_the_optimum() -> None:
    section = planners.optimum(FEW, seeds=3, factors=(1, 2))
    rows = {row[0]: row[1:] for row in section.rows}
    assert rows["RandomShooting"][:4] == ("4 (2x)", "not in 1,200", "", "0 of 3")
    hybrid = section.numbers["Hybrid"]
    assert hybrid["iterations"] == 105
    assert 0 < hybrid["evaluations"] <= 5 * 100 + 100 * 5
    assert hybrid["seconds"] > 0
    assert hybrid["seeds_that_reached"] >= 2
    assert 1 - 1e-6 <= hybrid["cost_over_optimum"] <= 1.01
    assert section.numbers["Gradient"]["evaluations"] % 5 == 0
    assert all(found["cost_over_optimum"] > 0.9999 for found in section.numbers.values())


def test_what_iterations_cost_beside_the_cost() -> None:
    section = planners.overhead(FEW, repeats=2)
    assert {name: found["candidates"] for name, found in section.numbers.items()} == {
        "RandomShooting": 300,
        "CEM": 100,
        "Gradient": 5,
        "Hybrid": 100,
    }
    for _, _, one, many, ratio in section.rows:
        alone, together, times = (float(cell.split()[0]) for cell in (one, many, ratio))
        assert alone > 0
        assert times == pytest.approx(together / alone, rel=0.05)


def test_the_command_saves_all_and_leaves_cma_out_where_it_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(planners, "PLANNERS", {"CEM": CEM(num_iterations=2), "CMA": planners.PLANNERS["CMA"]})
    monkeypatch.setattr(planners, "find_spec", lambda name: None)
    planners.main(["--seeds=1", "--repeats=1", f"--out={tmp_path}"])
    assert {file.name for file in tmp_path.iterdir()} == {"run.json", "optimum.json", "overhead.json", "report.md"}
    assert 'pip install "wmcontrol[cma]"' in capsys.readouterr().out


def test_published_functions_are_compared_at_the_same_evaluations() -> None:
    pytest.importorskip("cma", reason='cma is not installed: pip install "wmcontrol[cma]"')
    contestants = {"CEM": CEM(num_samples=50, num_iterations=8), "short": CEM(num_samples=50, num_iterations=2)}
    section = against_cma(2, [FUNCTIONS["sphere"]], (2,), contestants)
    assert section.heads[2:] == ("CEM, 400", "short, 100", "cma, 100", "cma, 400")
    ((name, numbers, *cells),) = section.rows
    assert (name, numbers) == ("sphere", "10")
    (found,) = section.numbers["rows"]
    for contestant, cell in zip(contestants, cells[:2], strict=True):
        left, evaluations = found["ours"][contestant]
        assert cell == f"{left:.0e}" + (" *" if reaches(left, found["cma"][evaluations]) else "")
    assert found["ours"]["CEM"] == plan_on(FUNCTIONS["sphere"], contestants["CEM"], 2, 2)
    assert found["ours"]["CEM"][0] <= found["ours"]["short"][0]
    assert found["cma"][400] <= found["cma"][100] <= 1


def test_reaching_is_being_no_worse_or_near_enough() -> None:
    assert reaches(0.2, 0.2)
    assert not reaches(0.3, 0.2)
    assert reaches(cma.NEAR, 1e-9)
    assert not reaches(0.011, 1e-9)
