"""Objectives: closed-form values, sums, and guardrails that plans keep."""

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from naming import naming
from torch import Tensor

from wmcontrol.agents import LatentCost
from wmcontrol.objectives import (
    ActionPenalty,
    GoalDistance,
    Guardrail,
    Smoothness,
    TemporalDistance,
    TimeToGoal,
    objective_for,
)
from wmcontrol.planners import CEM, ICEM, MPPI, Gradient, Hybrid, Planner

B, S, H, P, D, A = 2, 3, 4, 2, 5, 6


@pytest.fixture
def scene() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(B, S, H, P, D, generator=generator)
    goal = torch.randn(B, P, D, generator=generator)
    return latents, goal, torch.randn(B, S, H, A, generator=generator)


Scene = tuple[Tensor, Tensor, Tensor]


def by_hand(metric: str, latent: Tensor, goal: Tensor) -> float:
    """The distance of one frame's tokens (P, D), number by number."""
    pairs = [(float(x), float(y)) for x, y in zip(latent.flatten(), goal.flatten(), strict=True)]
    if metric == "l2":
        return math.sqrt(sum((x - y) ** 2 for x, y in pairs))
    if metric == "squared":
        return sum((x - y) ** 2 for x, y in pairs) / len(pairs)
    if metric == "l1":
        return sum(abs(x - y) for x, y in pairs) / len(pairs)
    cosines = [float(x @ y / (x.norm() * y.norm())) for x, y in zip(latent, goal, strict=True)]
    return 1 - sum(cosines) / len(cosines)


@pytest.mark.parametrize("metric", ["l2", "squared", "l1", "cosine"])
@pytest.mark.parametrize("steps", ["last", "mean", 0.5, 1.0])
def test_goal_distance_is_its_formula(metric: Any, steps: Any, scene: Scene) -> None:
    latents, goal, actions = scene
    costs = GoalDistance(metric, steps)(latents, goal, actions)
    discount = {"last": 0.0, "mean": 1.0}.get(steps, steps)
    weights = [discount ** (H - 1 - h) for h in range(H)]
    for b in range(B):
        for s in range(S):
            expected = sum(w * by_hand(metric, latents[b, s, h], goal[b]) for h, w in enumerate(weights))
            assert float(costs[b, s]) == pytest.approx(expected / sum(weights), rel=1e-5)


class Apart:
    """Steps to go that are known: the sum of absolute differences, and as much again for who wanders."""

    def __call__(self, tokens: Tensor, goal: Tensor) -> Tensor:
        return (tokens - goal).abs().sum((-1, -2))

    def expected(self, tokens: Tensor, goal: Tensor) -> Tensor:
        return 2 * self(tokens, goal)


@pytest.mark.parametrize(("estimate", "times"), [("fewest", 1), ("expected", 2)])
@pytest.mark.parametrize("steps", ["last", "mean", 0.5])
def test_time_to_goal_is_the_steps_to_go_of_frames(estimate: Any, times: int, steps: Any, scene: Scene) -> None:
    latents, goal, actions = scene
    l1 = GoalDistance("l1", steps)
    for first in (1, 3):
        found = TimeToGoal(estimate, steps, first, Apart())(latents, goal, actions)
        expected = times * P * D * replace(l1, first_step=first)(latents, goal, actions)  # sums, not means
        torch.testing.assert_close(found, expected)
    assert TimeToGoal(estimate, steps).last_only == (steps == "last")
    assert TimeToGoal(estimate, steps).from_step(3) == TimeToGoal(estimate, steps, 3)


def test_time_to_goal_has_the_steps_to_go_of_a_model(scene: Scene) -> None:
    apart, model, without = Apart(), SimpleNamespace(steps_to_go=Apart()), SimpleNamespace(steps_to_go=None)
    assert TimeToGoal(steps_to_go=apart).of_model(model).steps_to_go is apart  # its own, if it has them
    sum_ = objective_for(ActionPenalty() + 0.5 * TimeToGoal(), model)
    torch.testing.assert_close(sum_(*scene), ActionPenalty()(*scene) + 0.5 * TimeToGoal(steps_to_go=apart)(*scene))
    with pytest.raises(ValueError, match=naming("TimeToGoal", "fit_steps_to_go")):
        objective_for(GoalDistance() + TimeToGoal(), without)
    with pytest.raises(ValueError, match=naming("TimeToGoal", "steps_to_go")):
        TimeToGoal()(*scene)
    for wrong in (3, torch.dist):  # the latter expects nothing of anybody
        with pytest.raises(TypeError, match="steps_to_go"):
            TimeToGoal("expected", steps_to_go=wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=naming("estimate", "fewest", "least")):
        TimeToGoal("least")  # type: ignore[arg-type]


@pytest.mark.parametrize("steps", ["last", "mean", 0.5])
def test_temporal_distance_is_that_of_an_embedding(steps: Any, scene: Scene) -> None:
    latents, goal, actions = scene
    for first in (1, 3):
        found = TemporalDistance(steps, first, Apart())(latents, goal, actions)
        torch.testing.assert_close(found, TimeToGoal("fewest", steps, first, Apart())(latents, goal, actions))
    assert TemporalDistance(steps).last_only == (steps == "last")
    assert TemporalDistance(steps).from_step(3) == TemporalDistance(steps, 3)


def test_temporal_distance_has_the_embedding_of_a_model(scene: Scene) -> None:
    apart, twice = Apart(), Apart().expected
    model = SimpleNamespace(temporal_embedding=twice)
    assert TemporalDistance(embedding=apart).of_model(model).embedding is apart  # its own, if it has one
    sum_ = objective_for(ActionPenalty() + 0.5 * TemporalDistance(), model)
    torch.testing.assert_close(sum_(*scene), ActionPenalty()(*scene) + TemporalDistance(embedding=apart)(*scene))
    with pytest.raises(ValueError, match=naming("TemporalDistance", "fit_temporal_embedding")):
        objective_for(GoalDistance() + TemporalDistance(), SimpleNamespace(temporal_embedding=None))
    with pytest.raises(ValueError, match=naming("TemporalDistance", "embedding")):
        TemporalDistance()(*scene)
    with pytest.raises(TypeError, match=naming("embedding", 3)):
        TemporalDistance(embedding=3)  # type: ignore[arg-type]
    for wrong in (0.0, 1.5, "first", True):
        with pytest.raises(ValueError, match=naming("steps", wrong)):
            TemporalDistance(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("metric", ["l2", "squared", "l1", "cosine"])
def test_weights_multiply_what_is_compared(metric: Any, scene: Scene) -> None:
    latents, goal, actions = scene
    weights = torch.rand(D, generator=torch.Generator().manual_seed(1)) + 0.1
    weighted = GoalDistance(metric, "mean", weights.tolist())(latents, goal, actions)
    torch.testing.assert_close(weighted, GoalDistance(metric, "mean")(latents * weights, goal * weights, actions))
    with pytest.raises(ValueError, match=naming(2, 5)):
        GoalDistance(metric, weights=[1, 1])(latents, goal, actions)


@pytest.mark.parametrize("weights", [[], [0.0], [-1.0], [float("nan")], [float("inf")], 2.0, [None], torch.ones(2, 2)])
def test_weights_that_are_no_weights_are_refused(weights: Any) -> None:
    with pytest.raises(ValueError, match="weights"):
        GoalDistance(weights=weights)


@pytest.mark.parametrize("metric", ["l2", "squared", "l1", "cosine"])
def test_the_goal_itself_costs_nothing_and_has_a_gradient_that_is_a_number(metric: Any, scene: Scene) -> None:
    _, goal, actions = scene
    latents = goal[:, None, None].repeat(1, S, H, 1, 1).requires_grad_()
    costs = GoalDistance(metric)(latents, goal, actions)
    torch.testing.assert_close(costs, torch.zeros(B, S), atol=1e-6, rtol=0)
    (gradient,) = torch.autograd.grad(costs.sum(), latents)
    assert bool(gradient.isfinite().all())


def test_only_the_last_latents_are_read_where_it_says_so(scene: Scene) -> None:
    latents, goal, actions = scene
    mine = lambda latents, goal, actions: latents.mean((-1, -2, -3))  # noqa: E731
    last = GoalDistance() + 0.1 * ActionPenalty() + 2 * Smoothness(3)
    assert last.last_only
    assert torch.equal(last(latents, goal, actions), last(latents[:, :, -1:], goal, actions))
    for other in (GoalDistance(steps="mean"), last + GoalDistance(steps=0.9), last + mine, mine + last):
        assert not other.last_only
    assert not Guardrail(lambda latents: latents[..., 0, 0], 1.0).last_only


def test_bfloat16_latents_are_compared_in_float32(scene: Scene) -> None:
    latents, goal, actions = scene
    rough = GoalDistance()(latents.bfloat16(), goal, actions)
    assert rough.dtype == torch.float32
    assert torch.equal(rough, GoalDistance()(latents.bfloat16().float(), goal, actions))
    assert GoalDistance()(latents.double(), goal, actions).dtype == torch.float64


def test_action_terms_are_their_formulas(scene: Scene) -> None:
    latents, goal, actions = scene
    torch.testing.assert_close(ActionPenalty()(latents, goal, actions), (actions**2).mean((2, 3)))
    single = actions.view(B, S, H * 3, 2)  # three environment actions of two numbers in each model action
    expected = ((single[:, :, 1:] - single[:, :, :-1]) ** 2).mean((2, 3))
    torch.testing.assert_close(Smoothness(frameskip=3)(latents, goal, actions), expected)
    held = torch.ones(B, S, H, A)
    assert not Smoothness(3)(latents, goal, held).any()
    assert not Smoothness()(latents, goal, actions[:, :, :1]).any()


def test_sums_and_weights_are_those_of_arithmetic(scene: Scene) -> None:
    near, gentle = GoalDistance(), ActionPenalty()
    mine = lambda latents, goal, actions: actions[..., 0, 0]  # noqa: E731
    a, b, c = (term(*scene) for term in (near, gentle, mine))
    torch.testing.assert_close((near + gentle)(*scene), a + b)
    torch.testing.assert_close((near + mine)(*scene), a + c)
    torch.testing.assert_close((mine + near)(*scene), a + c)
    torch.testing.assert_close((2 * near)(*scene), 2 * a)
    torch.testing.assert_close((near * 2)(*scene), 2 * a)
    torch.testing.assert_close((3 * (near + 0.5 * gentle) + mine)(*scene), 3 * a + 1.5 * b + c)
    assert 2 * near == near * 2
    with pytest.raises(TypeError):
        near + 3  # type: ignore[operator]
    with pytest.raises(TypeError):
        near * near  # type: ignore[operator]
    torch.testing.assert_close(sum([near, gentle, near])(*scene), 2 * a + b)
    with pytest.raises(TypeError):
        near + ActionPenalty  # type: ignore[operator]
    with pytest.raises(ValueError, match=naming((2, 3), (2, 3, 4))):
        (near + (lambda latents, goal, actions: actions[..., 0]))(*scene)
    with pytest.raises(ValueError, match=naming("weight", -1)):
        -1 * near


def test_wrong_settings_and_shapes_are_refused(scene: Scene) -> None:
    latents, goal, actions = scene
    with pytest.raises(ValueError, match=naming("metric", "'l2'", "'squared'", "'l1'", "'cosine'", "'L2'")):
        GoalDistance("L2")  # type: ignore[arg-type]
    for steps in ("first", 0.0, 1.1, float("nan"), True):
        with pytest.raises(ValueError, match=naming("steps", "last", "mean")):
            GoalDistance(steps=steps)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=naming("goal", (2, 2, 5), (2, 3, 4, 2, 5), (2, 1, 2, 5))):
        GoalDistance()(latents, goal[:, None], actions)
    with pytest.raises(ValueError, match="latents"):
        GoalDistance()(latents[0], goal, actions)
    with pytest.raises(ValueError, match="frameskip"):
        Smoothness(frameskip=0)
    with pytest.raises(ValueError, match=naming(6, 4)):
        Smoothness(frameskip=4)(latents, goal, actions)
    with pytest.raises(ValueError, match=naming("probe", (2, 3, 4), (2, 3, 4, 2))):
        Guardrail(lambda latents: latents[..., 0], 1.0)(latents, goal, actions)
    with pytest.raises(ValueError, match="limit"):
        Guardrail(lambda latents: latents[..., 0, 0], float("nan"))
    with pytest.raises(ValueError, match="height"):
        Guardrail(lambda latents: latents[..., 0, 0], 1.0, height=0)
    with pytest.raises(TypeError, match="probe"):
        Guardrail(3, 1.0)  # type: ignore[arg-type]


class Walk:
    """A world model in one line: a latent is where the actions have led, one token of two numbers."""

    def rollout(self, context: Tensor, actions: Tensor, *, last_only: bool = False) -> Tensor:
        places = (context[:, None, None] + actions.cumsum(2))[:, :, :, None]
        return places[:, :, -1:] if last_only else places


def walk_cost(objective: Any, rows: int = 1) -> LatentCost:
    """From (0, 0) to (2, 0)."""
    start, goal = torch.zeros(rows, 2), torch.tensor([[[2.0, 0.0]]]).repeat(rows, 1, 1)
    return LatentCost(Walk(), start, goal, objective)  # type: ignore[arg-type]


LOW, HIGH = torch.full((2,), -1.0), torch.full((2,), 1.0)
# To be at (2, 0) after four steps without ever being within 0.5 of (1, 0): the way leads around.
AROUND = Guardrail(lambda latents: 0.5 - (latents[..., 0, :] - torch.tensor([1.0, 0.0])).norm(dim=-1), limit=0.0)


def straight() -> Tensor:
    """A start that breaks the guardrail."""
    return torch.tensor([0.5, 0.0]).repeat(1, 4, 1)


@pytest.mark.parametrize(
    "planner",
    [CEM(), ICEM(), MPPI(), Gradient(std=0.5), Hybrid()],
    ids=lambda p: type(p).__name__,
)
def test_a_plan_keeps_a_guardrail_at_every_step_and_says_so(planner: Planner) -> None:
    free = planner.plan(walk_cost(GoalDistance()), straight(), low=LOW, high=HIGH, generators=[torch.Generator()])
    assert "guardrail_kept" not in free.info
    assert float(free.cost) < 0.05
    guarded = planner.plan(
        walk_cost(GoalDistance() + AROUND), straight(), low=LOW, high=HIGH, generators=[torch.Generator()]
    )
    places = guarded.actions[0].cumsum(0)
    assert float((places - torch.tensor([1.0, 0.0])).norm(dim=-1).min()) >= 0.5
    assert guarded.info["guardrail_kept"].tolist() == [True]
    assert float(guarded.info["guardrail_excess"]) <= 0
    assert float(guarded.cost) < 0.15  # and it still gets there


def test_a_guardrail_costs_nothing_up_to_its_limit_and_its_height_at_once_beyond() -> None:
    guard = Guardrail(lambda latents: latents[..., 0, 0], limit=1.0, height=10.0)
    reached = torch.tensor([0.5, 1.0, 1.25])
    latents = torch.stack([torch.full((3,), -5.0), reached, torch.full((3,), 0.25)], 1)[None, :, :, None, None]
    costs = guard(latents, torch.zeros(1, 1, 1), torch.zeros(1, 3, 3, 2))
    assert costs.tolist() == [[0.0, 0.0, 12.5]]
    assert guard.report(latents, torch.zeros(1, 1, 1), torch.zeros(1, 3, 3, 2))["guardrail_kept"].tolist() == [
        [True, True, False]
    ]


def test_a_guardrail_that_nothing_keeps_is_broken_least_and_reported() -> None:
    nowhere = Guardrail(lambda latents: latents[..., 0, :].norm(dim=-1), limit=-0.5)
    found = CEM().plan(walk_cost(GoalDistance() + nowhere), torch.zeros(1, 4, 2), low=LOW, high=HIGH)
    assert found.info["guardrail_kept"].tolist() == [False]
    assert 0.5 <= float(found.info["guardrail_excess"]) < 0.7
    assert bool((found.actions[0].cumsum(0).norm(dim=-1) < 0.2).all())


def test_a_guardrail_takes_no_weight_of_its_own_and_its_probe_writes_nothing() -> None:
    guardrail = Guardrail(lambda latents: latents.mul_(0)[..., 0, 0], limit=0.0)
    with pytest.raises(ValueError, match="weight"):
        0.1 * guardrail
    assert 2 * (GoalDistance() + guardrail)
    latents = torch.ones(1, 2, 3, 1, 2)
    with pytest.raises(ValueError, match=naming("probe", "latents")):
        guardrail(latents, latents[:, 0, 0], latents[..., 0, :])


def test_two_guardrails_are_reported_apart() -> None:
    kept = Guardrail(lambda latents: latents[..., 0, 0], limit=100.0)
    broken = Guardrail(lambda latents: latents[..., 0, 0], limit=-100.0)
    cost = walk_cost(GoalDistance() + kept + broken, rows=2)
    told = cost.report(torch.zeros(2, 4, 2))
    assert told["guardrail_kept"].tolist() == [True, True]
    assert told["guardrail_kept 2"].tolist() == [False, False]
    assert told["guardrail_excess 2"].tolist() == [100.0, 100.0]


def test_what_cannot_be_probed_loses() -> None:
    lost = Guardrail(lambda latents: latents[..., 0, 0] * float("nan"), limit=0.0)
    latents = torch.zeros(1, 2, 3, 1, 2)
    assert bool(lost(latents, latents[:, 0, 0], latents[..., 0, :]).isnan().all())


def test_a_cost_keeps_only_the_latents_that_are_read() -> None:
    seen: list[int] = []

    class Watched(Walk):
        def rollout(self, context: Tensor, actions: Tensor, *, last_only: bool = False) -> Tensor:
            latents = super().rollout(context, actions, last_only=last_only)
            seen.append(latents.shape[2])
            return latents

    for objective in (GoalDistance(), GoalDistance(steps="mean"), lambda latents, goal, actions: actions.sum((2, 3))):
        cost = LatentCost(Watched(), torch.zeros(1, 2), torch.zeros(1, 1, 2), objective)  # type: ignore[arg-type]
        cost(torch.zeros(1, 5, 4, 2))
    assert seen == [1, 4, 4]


def test_nothing_is_imagined_for_a_report_that_says_nothing() -> None:
    seen: list[int] = []

    class Watched(Walk):
        def rollout(self, context: Tensor, actions: Tensor, *, last_only: bool = False) -> Tensor:
            seen.append(actions.shape[2])
            return super().rollout(context, actions, last_only=last_only)

    rail = Guardrail(lambda latents: latents[..., 0, 0], limit=0.5)
    for objective, rollouts in ((GoalDistance(), 0), (GoalDistance() + 0.1 * ActionPenalty(), 0), (rail, 1)):
        seen.clear()
        cost = LatentCost(Watched(), torch.zeros(1, 2), torch.zeros(1, 1, 2), objective)  # type: ignore[arg-type]
        told = cost.report(torch.zeros(1, 4, 2))
        assert (len(seen), "guardrail_kept" in told) == (rollouts, bool(rollouts))
