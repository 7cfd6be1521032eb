"""A planner that searches over the noise of an action prior: every candidate is one that the prior could propose."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from dot_world import dot_model
from naming import naming
from test_proposals import Starts, begin, with_prior
from torch import Tensor

from wmcontrol import GoalDistance, PlanningAgent
from wmcontrol.evaluation import RandomTasks, ablations, planning_spec
from wmcontrol.models import ActionPrior
from wmcontrol.objectives import Guardrail, Term
from wmcontrol.planners import CEM, CMA, ICEM, MPPI, BestProposal, Gradient, Planner, fast
from wmcontrol.planners.search import Search

WIDE = 0.1  # of Around


class Around(ActionPrior):
    """Knows the way of the dot, and proposes what is around it."""

    def condition(self, tokens: Tensor, goal: Tensor, steps_to_go: Tensor) -> Tensor:
        return (goal - tokens[:, -1])[:, 0] / (10 * steps_to_go[:, None])  # (B, 2) of one action

    def decode(self, noise: Tensor, condition: Tensor, steps_to_go: Tensor) -> Tensor:
        return (condition.repeat(1, 5)[:, None, None] + WIDE * noise) * self.due(steps_to_go)[:, None]


@dataclass(frozen=True)
class From(Term):
    """The square of how far actions are from others, in as many steps and numbers as these have."""

    actions: Tensor

    def __call__(self, latents: Tensor, goal: Tensor, actions: Tensor) -> Tensor:
        steps, numbers = self.actions.shape[-2:]
        return (actions[..., :steps, :numbers] - self.actions).square().sum((-1, -2))


@dataclass(frozen=True)
class Still(Term):
    """No number for candidates that do nothing, else 0."""

    def __call__(self, latents: Tensor, goal: Tensor, actions: Tensor) -> Tensor:
        return torch.where(actions.abs().sum((-1, -2)) == 0, torch.nan, 0.0)


@dataclass(frozen=True, kw_only=True)
class AllAtFirst(Planner):
    """Searches in its first plan, and scores starts afterwards."""

    plans: list[Tensor] = field(default_factory=list)

    def minimise(self, search: Search) -> None:
        search.score(search.starts)
        if not self.plans:
            search.score(search.normal(2000))
        self.plans.append(search.starts)


def agent(planner: Planner, objective: Any, **settings: Any) -> PlanningAgent:
    settings = {"search_space": "noise", "goal_offset": 25, "num_proposals": 8, **settings}
    return PlanningAgent(with_prior(Around), planner, objective, **settings)


def ways(made: PlanningAgent, observation: dict[str, np.ndarray]) -> Tensor:
    here, goal = (made.model.encode(torch.from_numpy(observation[name])[:, None]) for name in ("pixels", "goal_pixels"))
    return ((goal - here)[:, 0, 0] / 50).repeat(1, 5)[:, None]  # (B, 1, A)


@pytest.mark.parametrize(
    "planner",
    [
        CEM(num_samples=100, num_elites=10, num_iterations=20),
        ICEM(num_samples=64, num_elites=8, num_iterations=20, noise_beta=0.0, decay=1.0),
        MPPI(num_samples=100, num_iterations=20),
        CMA(num_samples=20, num_iterations=60),
        Gradient(num_samples=8, num_iterations=60, learning_rate=0.2),
    ],
    ids=lambda planner: type(planner).__name__,
)
def test_planners_find_the_noise_that_becomes_the_best_actions(planner: Planner) -> None:
    """What is best is two standard deviations of the prior from its way, in all numbers."""
    _, observation = begin(2)
    probe = agent(planner, GoalDistance())
    best = (ways(probe, observation) + 2 * WIDE).expand(-1, 5, -1)
    made = agent(planner, 0.0 * GoalDistance() + From(best[:, None]))
    _, state = made.predict(observation)
    chance = 50 * WIDE**2 * (1 + 4)  # of a sample of the prior, on average
    for row, env in enumerate(state.envs):
        assert env.last_plan is not None
        plan = env.last_plan.plan
        away = (plan.actions[0] - best[row]).square().sum()
        torch.testing.assert_close(plan.cost[0], away, rtol=1e-3, atol=1e-5)
        assert away < 0.35 * chance


def test_candidates_begin_with_the_noise_of_each_rows_own_generator_and_stay_what_the_prior_makes() -> None:
    planner = Starts()
    made = agent(planner, GoalDistance())
    _, observation = begin(3)
    _, state = made.predict(observation)
    (seen,) = planner.seen
    assert seen.shape == (3, 9, 5, 10)
    assert (seen[:, 0] == 0).all()
    generators = [env.generator() for env in made.start(range(3)).envs]
    prior = made.prior
    assert prior is not None
    torch.testing.assert_close(seen[:, 1:], prior.noise(8, generators).clamp(-4, 4))
    told = made.explain(state)[2]
    assert told is not None
    assert made.model.normalizer is not None
    decoded = ways(made, observation)[2] + WIDE * seen[2, 1:]
    expected = made.model.normalizer.to_environment(decoded.clamp(-1, 1)).flatten(1, 2)
    np.testing.assert_allclose(told.proposals, expected.numpy(), atol=1e-5)
    assert told.info["evaluations"] == 10  # and the start
    # However much the cost asks for, noise stays within 4 standard deviations.
    greedy = agent(ICEM(num_samples=64, num_elites=8, num_iterations=9, std=10.0), From(torch.full((5, 10), 9.0)))
    _, state = greedy.predict(observation)
    for row, env in enumerate(state.envs):
        assert env.last_plan is not None
        most = (env.last_plan.plan.actions[0] - ways(made, observation)[row]).max()
        assert 3 * WIDE < most <= 4 * WIDE + 1e-6
        assert env.last_plan.plan.actions.max() < 1
    far = agent(ICEM(num_samples=64, num_elites=8, num_iterations=9, std=10.0), From(torch.full((5, 10), 9.0)))
    assert far.model.prior is not None
    far.model.prior.decode = lambda noise, condition, steps_to_go: noise  # type: ignore[method-assign, union-attr]
    _, state = far.predict(observation)
    assert all(float(env.last_plan.plan.actions.max()) == 1 for env in state.envs if env.last_plan)  # the bound
    alone = {name: value[1] for name, value in observation.items()}
    action, _ = greedy.predict(alone, greedy.start([1]))
    actions, _ = greedy.predict(observation)
    np.testing.assert_allclose(action, actions[1], atol=1e-6)


def test_what_is_left_of_the_last_plan_is_kept_where_it_is_better() -> None:
    env, observation = begin(1)
    planner = AllAtFirst()
    # Two standard deviations off in one number of four steps: of 2,000 samples some are near, the noise of 0 is not.
    target = ways(agent(planner, GoalDistance()), observation)[:, :, :1] + 2 * WIDE
    made = agent(planner, 0.0 * GoalDistance() + From(target.expand(-1, 4, -1)), replan_every=5, num_proposals=1)
    state, plans = None, []
    for step in range(10):
        actions, state = made.predict(observation, state)
        observation, *_ = env.step(actions)
        if step % 5 == 0:
            (known,) = state.envs
            assert known.last_plan is not None
            plans.append(known.last_plan.plan)
    first, second = plans
    assert len(planner.plans) == 2
    assert (planner.plans[1][:, 0] == 0).all()  # noise begins anew
    torch.testing.assert_close(second.actions, first.shift(1))
    assert second.history.shape == (1, 1)
    assert second.cost == second.history[-1]
    assert float(second.cost) == pytest.approx(float((second.actions[0, :4, :1] - target[0]).square().sum()), rel=1e-3)
    assert int(second.info["evaluations"]) == 3  # the noise of 0, that of a proposal, and the start
    # Where the start's cost is no number, as here that of standing still, it is left.
    broken = agent(Starts(), GoalDistance() + Still(), num_proposals=1)
    _, state = broken.predict(observation)
    (known,) = state.envs
    assert known.last_plan is not None
    assert known.last_plan.plan.cost.isfinite().all()
    assert known.last_plan.plan.actions.abs().max() > 0


def test_guardrails_and_elites_are_those_of_the_actions() -> None:
    within = GoalDistance() + Guardrail(lambda latents: latents[..., 0, 0], limit=100.0)
    made = agent(ICEM(num_samples=20, num_elites=4, num_iterations=2), within)
    _, state = made.predict(begin(1)[1])
    (known,) = state.envs
    assert known.last_plan is not None
    plan = known.last_plan.plan
    _, observation = begin(1)
    x = made.model.encode(torch.from_numpy(observation["pixels"])[:, None])[0, 0, 0, 0]
    reached = x + 2 * plan.actions[0].flatten()[::2].cumsum(0)[4::5].max()  # two pixels for a unit
    torch.testing.assert_close(plan.info["guardrail_excess"][0], reached - 100)
    assert plan.info["elites"].shape == (1, 4, 5, 10)
    torch.testing.assert_close(plan.info["elites"][:, 0], plan.actions, atol=0.2, rtol=0)
    assert (plan.info["elites"][0] - ways(made, begin(1)[1])[0]).abs().max() <= 4 * WIDE + 1e-6


def test_only_a_search_with_a_prior_is_over_noise() -> None:
    _, observation = begin(2)
    found = {}
    for space in ("noise", "actions"):
        best = agent(BestProposal(), GoalDistance(), search_space=space)
        assert not best.searches_noise
        found[space] = best.predict(observation)[0]
    np.testing.assert_array_equal(*found.values())
    without = Starts()
    agent(without, GoalDistance(), num_proposals=0).predict(observation)
    assert without.seen[0].shape == (2, 1, 5, 10)
    assert not PlanningAgent(dot_model(), Starts(), GoalDistance()).searches_noise  # which has no prior
    short, longer = (agent(Starts(), GoalDistance(), horizon=h, replan_every=10, goal_offset=30) for h in (3, 6))
    assert short.searches_noise
    assert not longer.searches_noise  # whose last step the prior does not propose
    _, state = short.predict(observation)
    assert state.envs[0].last_plan is not None
    assert state.envs[0].last_plan.plan.actions.shape == (1, 3, 10)
    with pytest.raises(ValueError, match=naming("search_space", "latent")):
        agent(Starts(), GoalDistance(), search_space="latent")


def test_a_model_says_what_is_searched_and_results_do() -> None:
    model = with_prior(Around)
    tasks = RandomTasks("wmcontrol/Wall-v0", 2)
    for space, words in (("noise", "in the prior's noise"), ("actions", "from 64 proposals")):
        spec = planning_spec(model, None, tasks, "paper", search_space=space)
        assert spec.agent.search_space == space
        assert spec.name == f"world model {words}"
        rows = ablations(spec)
        assert [row.name for row in rows] == ["prior alone", "best proposal of 64"]
        assert [row.agent.search_space for row in rows] == ["actions"] * 2  # nothing is searched, so they are the same
    assert PlanningAgent.from_model(model).planner == fast(std=1.0, noise_beta=0.0)
    assert PlanningAgent.from_model(model, num_proposals=0).planner == fast()
    assert PlanningAgent.from_model(model, fast()).planner == fast()
    model.planning = type(model.planning)(search_space="actions")
    plain = PlanningAgent.from_model(model)
    assert (plain.search_space, plain.searches_noise, plain.planner) == ("actions", False, fast())
