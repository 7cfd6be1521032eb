"""What every planner keeps to; the planner in the documentation goes through it too."""

from collections.abc import Callable, Sequence

import problems
import pytest
import torch
from naming import naming
from problems import H, Problem
from torch import Tensor

from wmcontrol.planners import Plan, Planner

CostFn = Callable[[Tensor], Tensor]


def generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def for_choices(planner: Planner) -> bool:
    """Whether it plans one-hot choices, and not any numbers inside the bounds."""
    return hasattr(planner, "choices")


def inside(planner: Planner) -> Problem:
    return problems.choices_apart() if for_choices(planner) else problems.inside()


def rotated(planner: Planner) -> Problem:
    return problems.choices_together() if for_choices(planner) else problems.rotated()


def box(planner: Planner) -> tuple[Tensor, Tensor]:
    return inside(planner).low, inside(planner).high


def width(planner: Planner) -> int:
    return len(inside(planner).low)


def plan(
    planner: Planner, cost: CostFn, seeds: Sequence[int] = (0,), init: Tensor | None = None, **bounds: Tensor
) -> Plan:
    low, high = box(planner)
    init = torch.zeros(len(seeds), H, width(planner)) if init is None else init
    return planner.plan(
        cost, init, low=bounds.get("low", low), high=bounds.get("high", high), generators=generators(*seeds)
    )


def same(a: Plan, b: Plan) -> bool:
    return torch.equal(a.actions, b.actions) and torch.equal(a.cost, b.cost) and torch.equal(a.history, b.history)


def reaches_the_optimum(planner: Planner, problem_name: str, leaves: float) -> None:
    problem = (problems.PROBLEMS | problems.OF_CHOICES)[problem_name]()
    found = plan(planner, problem.cost, (0, 1, 2), low=problem.low, high=problem.high)
    if for_choices(planner):
        assert torch.equal(found.actions, problem.best_actions.expand_as(found.actions))
    gap = (found.cost - problem.best_cost) / (problem.start_cost - problem.best_cost)
    assert gap.min() > -1e-4  # nothing is better than the optimum
    assert gap.median() < leaves


def scores_only_inside_the_bounds(planner: Planner) -> None:
    pairs = width(planner) // 2
    low, high = torch.tensor([-0.5, 0.2] * pairs), torch.tensor([0.1, 0.2] * pairs)  # half have no freedom at all
    scored: list[Tensor] = []

    def cost(a: Tensor) -> Tensor:
        scored.append(a.detach().clone())
        return ((a - 3) ** 2).sum((-1, -2))

    found = plan(planner, cost, (0, 1), init=torch.full((2, H, width(planner)), 9.0), low=low, high=high)
    for actions in (*scored, found.actions):
        assert bool((actions >= low).all())
        assert bool((actions <= high).all())
    assert torch.equal(found.actions[..., 1::2], torch.full((2, H, pairs), 0.2))


def never_loses_the_best(planner: Planner) -> None:
    problem = rotated(planner)
    scored: list[Tensor] = []

    def cost(a: Tensor) -> Tensor:
        costs = problem.cost(a)
        scored.append(costs.detach().clone())
        return costs

    found = plan(planner, cost, (0, 1))
    assert torch.equal(found.cost, torch.cat(scored, 1).amin(1))
    assert torch.equal(found.history[-1], found.cost)
    assert bool((found.history.diff(dim=0) <= 0).all())
    assert found.history.shape == (len(scored), 2)
    assert found.info["evaluations"].tolist() == [sum(costs.shape[1] for costs in scored)] * 2
    torch.testing.assert_close(problem.cost(found.actions[:, None])[:, 0], found.cost, rtol=1e-5, atol=1e-5)


def is_no_worse_than_its_start(planner: Planner) -> None:
    start = inside(planner).best_actions[None]
    found = plan(planner, inside(planner).cost, init=start)
    assert float(found.cost) < inside(planner).best_cost + 1e-6
    assert torch.equal(found.actions, start)


def begins_with_all_proposals(planner: Planner) -> None:
    """However many: one near the optimum is not lost among more than the planner has candidates."""
    problem, generator = inside(planner), torch.Generator().manual_seed(0)
    others = torch.randn(2, 1100, H, width(planner), generator=generator)
    near = problem.best_actions if for_choices(planner) else problem.best_actions + 0.02
    for count in (1, 1100):
        starts = torch.cat([others[:, :count], near.expand(2, 1, -1, -1)], 1)
        found = plan(planner, problem.cost, (0, 1), init=starts)
        assert bool((found.cost <= problem.cost(near[None, None]) + 1e-6).all())


def finds_as_much_from_poor_proposals(planner: Planner) -> None:
    """Proposals that are far off, or all the same, leave the search what it finds without them."""
    problem = rotated(planner)
    plain = plan(planner, problem.cost, (0, 1, 2), low=problem.low, high=problem.high)
    corner = problem.high.expand(3, 64, H, -1)
    noise = torch.randn(3, 64, H, width(planner), generator=torch.Generator().manual_seed(0))
    for proposals in (corner, noise, 0.05 * noise + 0.5 * corner):
        starts = torch.cat([torch.zeros(3, 1, H, width(planner)), proposals], 1)
        found = plan(planner, problem.cost, (0, 1, 2), starts, low=problem.low, high=problem.high)
        lost = (found.cost - plain.cost) / (problem.start_cost - problem.best_cost)
        assert float(lost.median()) < 0.02


def repeats_itself(planner: Planner) -> None:
    cost = rotated(planner).cost
    first, second = plan(planner, cost, (5,)), plan(planner, cost, (5,))
    assert same(first, second)
    assert not same(first, plan(planner, cost, (6,)))


def goes_on_with_its_generator(planner: Planner) -> None:
    """The second plan from one generator differs from the first, and again repeats."""
    low, high = box(planner)
    init, cost = torch.zeros(1, H, width(planner)), rotated(planner).cost
    runs = []
    for _ in range(2):
        generator = generators(5)
        runs.append([planner.plan(cost, init, low=low, high=high, generators=generator) for _ in range(2)])
    assert same(runs[0][1], runs[1][1])
    assert not same(runs[0][0], runs[0][1])


def keeps_rows_apart(planner: Planner) -> None:
    """A row's plan and its generator's state are what they are alone, whatever stands beside it."""
    targets = torch.linspace(-1.5, 1.5, 3 * H * width(planner)).view(3, H, width(planner))

    def cost_of(rows: Sequence[int]) -> CostFn:
        return lambda a: ((a - targets[list(rows), None]) ** 2).sum((-1, -2))

    low, high = box(planner)
    together_generators = generators(0, 1, 2)
    together = planner.plan(
        cost_of((0, 1, 2)), torch.zeros(3, H, width(planner)), low=low, high=high, generators=together_generators
    )
    for row in range(3):
        (generator,) = generators(row)
        alone = planner.plan(
            cost_of((row,)), torch.zeros(1, H, width(planner)), low=low, high=high, generators=[generator]
        )
        assert torch.equal(alone.actions[0], together.actions[row])
        assert torch.equal(alone.cost[0], together.cost[row])
        iterations = len(alone.history)
        assert torch.equal(alone.history[:, 0], together.history[:iterations, row])
        for count in ("evaluations", "iterations", "non_finite"):
            assert alone.info[count][0] == together.info[count][row]
        assert torch.equal(generator.get_state(), together_generators[row].get_state())


def does_not_depend_on_chunks(planner: Planner) -> None:
    cost = inside(planner).cost
    in_chunks: CostFn = lambda a: torch.cat([cost(part) for part in a.split(7, 1)], 1)  # noqa: E731
    assert same(plan(planner, cost), plan(planner, in_chunks))


def plans_one_step(planner: Planner) -> None:
    low, high = box(planner)
    best = inside(planner).best_actions[-1]
    found = planner.plan(lambda a: ((a - best) ** 2).sum((-1, -2)), torch.zeros(2, 1, len(best)), low=low, high=high)
    assert found.actions.shape == (2, 1, len(best))
    assert bool((found.cost < 0.5).all())


def plans_in_every_type(planner: Planner) -> None:
    low, high = box(planner)
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        cost: CostFn = lambda a, dtype=dtype: inside(planner).cost(a).to(dtype)  # noqa: E731
        found = plan(planner, cost)
        assert found.actions.dtype == torch.float32
        assert found.cost.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
        assert torch.equal(cost(found.actions[:, None])[:, 0].to(found.cost), found.cost)
    precise = planner.plan(
        inside(planner).cost,
        torch.zeros(1, H, width(planner), dtype=torch.float64),
        low=low,
        high=high,
        generators=generators(0),
    )
    assert precise.actions.dtype == torch.float64
    rough = planner.plan(
        inside(planner).cost,
        torch.zeros(1, H, width(planner), dtype=torch.bfloat16),
        low=low,
        high=high,
        generators=generators(0),
    )
    assert rough.actions.dtype == torch.float32


def does_not_care_about_the_unit_of_cost(planner: Planner) -> None:
    problem = rotated(planner)
    plain = plan(planner, problem.cost, (0, 1, 2))
    for scale in (2.0**-20, 2.0**20):  # powers of two, so that nothing is rounded
        scaled = plan(planner, lambda a, scale=scale: scale * problem.cost(a), (0, 1, 2))
        torch.testing.assert_close(scaled.actions, plain.actions, rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(scaled.cost / scale, plain.cost, rtol=1e-2, atol=1e-3)
    for scale in (1e-6, 1e6):
        scaled = plan(planner, lambda a, scale=scale: scale * problem.cost(a), (0, 1, 2))
        gaps = torch.stack([scaled.cost / scale, plain.cost]) / problem.start_cost
        assert float((gaps[0] - gaps[1]).abs().max()) < 0.05


def lets_what_is_not_finite_lose(planner: Planner) -> None:
    def cost(a: Tensor) -> Tensor:
        costs = inside(planner).cost(a)
        spoilt = a[..., 0, 0] > 0.3  # about half of all candidates
        for value in (float("nan"), float("inf"), -float("inf")):
            costs = costs.where(~(spoilt & (a[..., 1, 0] > 0)), torch.full_like(costs, value))
            spoilt = spoilt & (a[..., 1, 1] > 0)
        return costs

    found = plan(planner, cost, (0, 1))
    assert bool(found.cost.isfinite().all())
    assert bool(found.history.isfinite().all())
    assert bool(((found.actions[:, 0, 0] <= 0.3) | (found.actions[:, 1, 0] <= 0)).all())
    assert bool((found.cost < inside(planner).start_cost + 1e-6).all())


def names_the_row_that_has_no_finite_cost(planner: Planner) -> None:
    def cost(a: Tensor) -> Tensor:
        costs = inside(planner).cost(a)
        return torch.stack([costs[0], costs[1] * float("nan")])

    with pytest.raises(ValueError, match=naming("row 1", "iteration 0")):
        plan(planner, cost, (0, 1))


def goes_on_where_nothing_new_is_finite(planner: Planner) -> None:
    """Once a finite cost was found, later iterations without any lose nothing."""
    calls = []

    def cost(a: Tensor) -> Tensor:
        calls.append(a)
        costs = inside(planner).cost(a)
        return costs if len(calls) == 1 else costs * float("nan")

    found = plan(planner, cost, (0, 1))
    assert bool(found.cost.isfinite().all())
    assert bool(found.actions.isfinite().all())
    assert torch.equal(found.history[-1], found.history[0])


def refuses_a_cost_that_writes_into_its_candidates(planner: Planner) -> None:
    def cost(a: Tensor) -> Tensor:
        with torch.no_grad():
            a.mul_(2)
        return inside(planner).cost(a)

    with pytest.raises((ValueError, RuntimeError), match=r"candidates|in-place"):
        plan(planner, cost)


def keeps_bounds_of_more_digits(planner: Planner) -> None:
    pairs = width(planner) // 2
    low, high = (torch.tensor(ends * pairs, dtype=torch.float64) for ends in ([0.1, -0.3], [0.1 + 1e-7, 0.7]))
    for side in (-9.0, 9.0):
        found = plan(planner, lambda a, side=side: ((a - side) ** 2).sum((-1, -2)), low=low, high=high)
        assert bool((found.actions.double() >= low).all())
        assert bool((found.actions.double() <= high).all())


def gives_the_same_plan_in_every_mode(planner: Planner) -> None:
    expected = plan(planner, inside(planner).cost)
    with torch.inference_mode():
        assert same(plan(planner, inside(planner).cost), expected)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert same(plan(planner, inside(planner).cost), expected)


def plans_for_flat_and_tied_costs(planner: Planner) -> None:
    flat = plan(planner, lambda a: 0 * a.sum((-1, -2)) + 3.0, (0, 1))
    assert flat.cost.tolist() == [3.0, 3.0]
    tied = plan(planner, lambda a: inside(planner).cost(a).detach().round() + 0 * a.sum((-1, -2)), (0, 1))
    assert bool((tied.cost <= round(inside(planner).start_cost)).all())


def leaves_models_alone(planner: Planner) -> None:
    weights = torch.nn.Parameter(inside(planner).best_actions.clone())
    start = torch.zeros(1, H, width(planner), requires_grad=True)
    found = plan(planner, lambda a: ((a - weights) ** 2).sum((-1, -2)), init=start)
    assert weights.grad is None
    assert start.grad is None
    assert not found.actions.requires_grad
    assert not found.cost.requires_grad


def works_under_no_grad(planner: Planner) -> None:
    with torch.no_grad():
        under = plan(planner, inside(planner).cost)
    assert same(under, plan(planner, inside(planner).cost))


def refuses_wrong_use_before_work(planner: Planner) -> None:
    low, high = box(planner)
    calls = []

    def cost(a: Tensor) -> Tensor:
        calls.append(a)
        return inside(planner).cost(a)

    A, nan = width(planner), float("nan")
    init = torch.zeros(2, H, A)
    for message, call in {
        naming("low", "high", 1): {"high": torch.tensor([2.0, -3.0] * (A // 2))},
        naming("low", "NaN"): {"low": torch.tensor([nan, 0.0] * (A // 2))},
        naming("high", "NaN"): {"high": torch.tensor([nan, 0.0] * (A // 2))},
        naming("low", (A,), (3,)): {"low": -torch.ones(3)},
        naming("init", "row 1"): {"init": torch.stack([init[0], init[1] * nan])},
        naming("init", (4, A)): {"init": init[0]},
        naming("init", (0, 4, A)): {"init": init[:0]},
        naming("generators", 2, 1): {"generators": generators(0)},
        "generators": {"generators": generators(0) * 2},
    }.items():
        arguments = {"init": init, "low": low, "high": high, "generators": generators(0, 1)} | call
        with pytest.raises(ValueError, match=message):
            planner.plan(cost, arguments.pop("init"), **arguments)
    for message, call in {
        naming("init", "torch.int64"): {"init": init.long()},
        naming("low", (A,), "float"): {"low": -1.0},
        naming("generators[1]", "torch.Generator", "int"): {"generators": [*generators(0), 1]},
    }.items():
        arguments = {"init": init, "low": low, "high": high, "generators": generators(0, 1)} | call
        with pytest.raises(TypeError, match=message):
            planner.plan(cost, arguments.pop("init"), **arguments)
    assert not calls


def refuses_costs_of_another_shape(planner: Planner) -> None:
    with pytest.raises(ValueError, match=rf"\(1, \d+, 4, {width(planner)}\).*\(1, \d+\)"):
        plan(planner, lambda a: a.sum())
    with pytest.raises(ValueError, match=r"\(1, \d+\).*torch\.int64"):
        plan(planner, lambda a: a.sum((-1, -2)).long())


def passes_on_what_a_cost_reports(planner: Planner) -> None:
    class Cost:
        def __call__(self, a: Tensor) -> Tensor:
            return inside(planner).cost(a)

        def report(self, a: Tensor) -> dict[str, Tensor]:
            return {"first": a[:, 0, 0]}

    found = plan(planner, Cost(), (0, 1))
    assert torch.equal(found.info["first"], found.actions[:, 0, 0])


PROMISES = (
    scores_only_inside_the_bounds,
    never_loses_the_best,
    is_no_worse_than_its_start,
    begins_with_all_proposals,
    finds_as_much_from_poor_proposals,
    repeats_itself,
    goes_on_with_its_generator,
    keeps_rows_apart,
    does_not_depend_on_chunks,
    plans_one_step,
    plans_in_every_type,
    does_not_care_about_the_unit_of_cost,
    lets_what_is_not_finite_lose,
    names_the_row_that_has_no_finite_cost,
    goes_on_where_nothing_new_is_finite,
    refuses_a_cost_that_writes_into_its_candidates,
    keeps_bounds_of_more_digits,
    gives_the_same_plan_in_every_mode,
    plans_for_flat_and_tied_costs,
    leaves_models_alone,
    works_under_no_grad,
    refuses_wrong_use_before_work,
    refuses_costs_of_another_shape,
    passes_on_what_a_cost_reports,
)
