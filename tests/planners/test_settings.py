"""Settings that make no sense are refused when a planner is made; those on the edge work."""

from dataclasses import FrozenInstanceError, fields, replace
from typing import Any

import numpy as np
import pytest
import torch
from naming import naming
from planner_contract import keeps_rows_apart
from problems import A, H, box, inside

from wmcontrol.planners import (
    CEM,
    CMA,
    ICEM,
    MPPI,
    CategoricalCEM,
    Gradient,
    Hybrid,
    Plan,
    Planner,
    RandomShooting,
    fast,
)

ALL = (CEM, ICEM, MPPI, Gradient, RandomShooting, CMA, CategoricalCEM)


def plan(planner: Planner, init: torch.Tensor | None = None) -> Plan:
    low, high = box()
    init = torch.zeros(2, H, A) if init is None else init
    generators = [torch.Generator().manual_seed(row) for row in range(len(init))]
    return planner.plan(inside().cost, init, low=low, high=high, generators=generators)


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("value", [0, -1, 2.0, True, None, float("nan")])
def test_counts_are_positive_whole_numbers(kind: type[Planner], value: Any) -> None:
    for field in fields(kind):
        if field.name.startswith("num_"):
            with pytest.raises(ValueError, match=naming(field.name, repr(value))):
                kind(**{field.name: value})


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf"), "1", True])
def test_other_numbers_are_finite_and_not_negative(kind: type[Planner], value: Any) -> None:
    for field in fields(kind):
        if field.type == "float" or field.type is float:
            with pytest.raises(ValueError, match=naming(field.name, repr(value))):
                kind(**{field.name: value})


@pytest.mark.parametrize("value", [torch.tensor([1.0, 2.0]), np.zeros(2), None, 1, "yes"], ids=str)
def test_a_switch_is_true_or_false(value: Any) -> None:
    with pytest.raises(ValueError, match="adapt_std must be True or False"):
        MPPI(adapt_std=value)
    assert torch.equal(plan(MPPI(adapt_std=np.False_)).actions, plan(MPPI(adapt_std=False)).actions)  # type: ignore[arg-type]


def test_elites_are_among_the_candidates() -> None:
    for kind in (CEM, ICEM):
        with pytest.raises(ValueError, match=naming("num_elites", 20, 21)):
            kind(num_samples=20, num_elites=21)


def test_shares_have_ends() -> None:
    for kind in (CEM, ICEM):
        with pytest.raises(ValueError, match=naming("momentum", 1.0)):
            kind(momentum=1.0)
    with pytest.raises(ValueError, match=naming("decay", 0.9)):
        ICEM(decay=0.9)
    with pytest.raises(ValueError, match=naming("keep", 1.1)):
        ICEM(keep=1.1)
    with pytest.raises(ValueError, match=naming("optimizer", "'adam'", "'sgd'", "'lbfgs'")):
        Gradient(optimizer="lbfgs")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=naming("sampling", "ICEM", "MPPI")):
        Hybrid(sampling=MPPI())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=naming("refinement", "Gradient", "CEM")):
        Hybrid(refinement=CEM())  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [*ALL, Hybrid])
def test_planners_are_immutable_and_compare_by_their_settings(kind: type[Planner]) -> None:
    planner = kind()
    assert planner == kind()
    assert hash(planner) == hash(kind())
    with pytest.raises(FrozenInstanceError):
        planner.num_samples = 3  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "planner",
    [
        CEM(num_samples=1, num_elites=1),
        CEM(num_elites=1, min_std=0.0),
        CEM(num_iterations=1),
        CEM(num_samples=10, num_elites=10),
        ICEM(num_samples=1, num_elites=1),
        ICEM(num_elites=1, keep=0.0),
        ICEM(num_iterations=1),
        MPPI(num_samples=1),
        MPPI(num_iterations=1),
        Gradient(num_samples=1),
        Gradient(num_iterations=1),
        RandomShooting(num_samples=1, num_iterations=1),
        Hybrid(sampling=CEM(num_samples=1, num_elites=1, num_iterations=1), refinement=Gradient(num_samples=1)),
        CMA(num_samples=4, num_iterations=1),
    ],
    ids=str,
)
def test_the_smallest_budgets_give_a_plan(planner: Planner) -> None:
    found = plan(planner)
    assert bool((found.cost <= inside().start_cost + 1e-6).all())
    assert bool(found.actions.isfinite().all())
    assert bool(found.history.isfinite().all())


def test_the_first_iteration_grows_for_proposals_and_half_of_its_own_candidates() -> None:
    for planner, after in (
        (CEM(num_samples=6, num_elites=2, num_iterations=4), 18),
        (ICEM(num_samples=6, num_elites=2, decay=1.0, num_iterations=4), 18),
        (MPPI(num_samples=6, num_iterations=4), 18),
        (RandomShooting(num_samples=6, num_iterations=4), 18),
        (CMA(num_samples=6, num_iterations=4), 24 - 3),  # which scores them before it begins
        (Gradient(num_samples=6, num_iterations=4), 24 - 3),
    ):
        assert plan(planner, torch.zeros(2, 20, H, A)).info["evaluations"].tolist() == [20 + 3 + after] * 2
        few = 1 if isinstance(planner, Gradient | CMA) else 3
        assert plan(planner, torch.zeros(2, few, H, A)).info["evaluations"].tolist() == [24, 24]


def test_a_search_goes_on_where_all_proposals_are_alike() -> None:
    """It would stand still where they deviate by nothing from their mean."""
    low, high = torch.full((A,), -4.0), torch.full((A,), 4.0)
    cost = lambda a: (a - 2).square().sum((-1, -2))  # noqa: E731
    starts = torch.cat([torch.full((1, 1, H, A), -4.0), torch.full((1, 64, H, A), 1.0)], 1)
    for planner in (CEM(num_samples=64, min_std=0.0), ICEM(num_samples=64, min_std=0.0, momentum=0.0)):
        found = planner.plan(cost, starts, low=low, high=high, generators=[torch.Generator().manual_seed(0)])
        assert float(found.cost) < 0.1 * H * A


def test_converged_rows_rest_and_no_row_notices() -> None:
    """Each row ends as it does alone, elites and generators too, however long the others take."""
    planner = CEM(tolerance=0.05, min_std=0.0)
    keeps_rows_apart(planner)
    low, high = box()
    # The first row's cost tells nothing, so its elites stay wide and it never converges.
    careless = lambda a: torch.cat([(1e4 * a[:1].sum((-1, -2))).sin(), inside().cost(a[1:])])  # noqa: E731
    generators = [torch.Generator().manual_seed(row) for row in range(2)]
    both = planner.plan(careless, torch.zeros(2, H, A), low=low, high=high, generators=generators)
    alone = planner.plan(
        inside().cost, torch.zeros(1, H, A), low=low, high=high, generators=[torch.Generator().manual_seed(1)]
    )
    assert both.info["iterations"][1] == alone.info["iterations"][0] < 30
    assert both.info["iterations"][0] == 30 == len(both.history)
    assert torch.equal(both.info["elites"][1], alone.info["elites"][0])
    assert torch.equal(both.actions[1], alone.actions[0])


def test_random_shooting_needs_a_box() -> None:
    unbounded = torch.full((A,), float("inf"))
    with pytest.raises(ValueError, match="must be finite"):
        RandomShooting().plan(inside().cost, torch.zeros(1, H, A), low=-unbounded, high=unbounded)
    for planner in (CEM(), ICEM(), MPPI(), Gradient(), Hybrid(), CMA(num_iterations=50)):
        found = planner.plan(inside().cost, torch.zeros(1, H, A), low=-unbounded, high=unbounded)
        assert float(found.cost) < 0.02 * inside().start_cost


def test_numbers_of_numpy_are_numbers() -> None:
    assert CEM(num_samples=np.int64(50), min_std=np.float32(0.5)).num_samples == 50  # type: ignore[arg-type]


def test_a_decay_of_numpys_whole_numbers_shrinks_the_population() -> None:
    counts = [ICEM(num_samples=64, num_elites=4, decay=np.int64(2))._population(i) for i in range(5)]
    assert counts == [64, 32, 16, 8, 8]


def test_candidates_are_scored_once() -> None:
    """What stands for the best, the mean and the elites does not stand there twice."""
    for planner in (ICEM(), ICEM(keep=1.0, num_elites=10), Hybrid()):
        counts: list[tuple[int, int]] = []

        def cost(a: torch.Tensor, counts: list[tuple[int, int]] = counts) -> torch.Tensor:
            counts.append((a.shape[1], len(a[0].detach().flatten(1).unique(dim=0))))
            return inside().cost(a)

        low, high = box(50.0)  # so wide that nothing meets at a bound
        planner.plan(cost, torch.zeros(1, H, A), low=low, high=high, generators=[torch.Generator()])
        assert all(distinct >= scored - 1 for scored, distinct in counts)


def test_cma_needs_two_free_numbers() -> None:
    low = torch.zeros(1)
    with pytest.raises(ValueError, match=naming("CMA", 1)):
        CMA().plan(lambda a: a.sum((-1, -2)), torch.zeros(1, 1, 1), low=low, high=low + 1)


def test_cma_leaves_numpys_global_generator_alone() -> None:
    np.random.seed(3)  # noqa: NPY002
    expected = np.random.rand()  # noqa: NPY002
    np.random.seed(3)  # noqa: NPY002
    plan(CMA(num_iterations=3))
    assert np.random.rand() == expected  # noqa: NPY002


def test_gradients_need_a_cost_that_has_them() -> None:
    low, high = box()
    for planner in (Gradient(), Hybrid()):
        with pytest.raises(ValueError, match="actions"):
            planner.plan(lambda a: inside().cost(a.detach()), torch.zeros(1, H, A), low=low, high=high)


def test_without_generators_the_global_one_decides() -> None:
    low, high = box()
    plans = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        plans.append(CEM(num_iterations=3).plan(inside().cost, torch.zeros(2, H, A), low=low, high=high))
    assert torch.equal(plans[0].actions, plans[1].actions)
    assert not torch.equal(plans[0].actions, plans[2].actions)
    assert not torch.equal(plans[0].actions[0], plans[0].actions[1])


def test_fast_is_an_icem_of_few_candidates_whose_settings_can_be_changed() -> None:
    assert isinstance(fast(), ICEM)
    assert fast().std == fast().noise_beta == 2.0
    assert fast(num_iterations=3) == replace(fast(), num_iterations=3)
    with pytest.raises(TypeError, match="num_steps"):
        fast(num_steps=3)
    evaluations: list[int] = []

    def cost(actions: torch.Tensor) -> torch.Tensor:
        evaluations.append(actions.shape[1])
        return actions.square().sum((-1, -2))

    fast().plan(cost, torch.zeros(1, 5, 10), low=-torch.ones(10), high=torch.ones(10))
    assert sum(evaluations) <= 9000 / 19


def test_choices_are_those_of_one_environment_action_or_several() -> None:
    low = torch.zeros(12)
    cost = lambda a: -(a * torch.arange(12.0)).sum((-1, -2))  # noqa: E731
    bounds = {"low": low, "high": low + 1, "generators": [torch.Generator().manual_seed(0)]}
    for choices, best in (((4, 2), [3, 5, 9, 11]), (None, [11]), ((3,), [2, 5, 8, 11])):
        found = CategoricalCEM(choices=choices).plan(cost, torch.zeros(1, 1, 12), **bounds)
        assert found.actions[0, 0].nonzero()[:, 0].tolist() == best
    with pytest.raises(ValueError, match=naming("choices", 12, 5)):
        CategoricalCEM(choices=(5,)).plan(cost, torch.zeros(1, 1, 12), **bounds)
    with pytest.raises(ValueError, match=naming("choices[1]", 0)):
        CategoricalCEM(choices=(4, 0))


def test_what_was_never_chosen_is_not_planned() -> None:
    high = torch.tensor([1.0, 1.0, 0.0, 1.0])
    cost = lambda a: -(a * torch.arange(4.0)).sum((-1, -2)) + 9 * a[..., 3].sum(-1)  # noqa: E731
    found = CategoricalCEM().plan(cost, torch.zeros(1, 2, 4), low=torch.zeros(4), high=high)
    assert found.actions[0].tolist() == [[0, 1, 0, 0]] * 2


def test_a_start_of_choices_is_searched_around() -> None:
    """With one iteration of few candidates a far better plan is found from the last plan than from nothing."""
    target = torch.nn.functional.one_hot(torch.arange(16) % 4, 4).float()
    cost = lambda a: (a - target).abs().sum((-1, -2))  # noqa: E731
    start = target.clone()
    start[3] = torch.tensor([1.0, 0, 0, 0])
    planner, low = CategoricalCEM(num_samples=64, num_elites=8, num_iterations=1), torch.zeros(4)
    known, unknown = (planner.plan(cost, init[None], low=low, high=low + 1) for init in (start, torch.zeros(16, 4)))
    assert float(known.cost) <= 2.0 < float(unknown.cost)
