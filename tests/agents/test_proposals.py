"""An agent's search begins with what its model's action prior proposes, and counts from when a goal is due."""

from dataclasses import dataclass, field, replace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from dot_world import dot_model, starts_and_goals
from naming import naming
from torch import Tensor

from wmcontrol import GoalDistance, PlanningAgent, WorldModel
from wmcontrol.models import ActionPrior
from wmcontrol.objectives import ActionPenalty, Guardrail, LearnedReward, objective_from
from wmcontrol.planners import BestProposal, Planner, RandomShooting
from wmcontrol.planners.search import Search


@dataclass(frozen=True, kw_only=True)
class Starts(Planner):
    """Scores what it is given to begin with, and nothing else."""

    seen: list[Tensor] = field(default_factory=list)

    def minimise(self, search: Search) -> None:
        self.seen.append(search.starts)
        search.score(search.starts)


@dataclass(frozen=True)
class Told(GoalDistance):
    """Remembers when goals were said to be due."""

    steps_to_go: list[int] = field(default_factory=list)

    def from_step(self, step: int) -> GoalDistance:
        self.steps_to_go.append(step)
        return super().from_step(step)


class Straight(ActionPrior):
    """Knows the way of the dot: two pixels for a unit of each of five actions."""

    asked: list[tuple[int, list[int]]]

    def sample(self, tokens: Tensor, goal: Tensor, steps_to_go: Tensor, num_samples: int, generators: Any) -> Tensor:
        self.asked.append((tokens.shape[1], steps_to_go.tolist()))
        way = (goal - tokens[:, -1])[:, 0] / (10 * steps_to_go[:, None])  # (B, 2) of one action
        spread = torch.stack([torch.randn(num_samples, 1, 10, generator=g) for g in generators])
        actions: Tensor = way.repeat(1, 5)[:, None, None] + 0.2 * spread
        return actions.expand(-1, -1, self.horizon, -1) * self.due(steps_to_go)[:, None]


def with_prior(kind: type[ActionPrior] = ActionPrior, **settings: int) -> WorldModel:
    model = dot_model()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model.prior = kind(2, 1, 10, **{"width": 8, "depth": 1, **settings})
    model.prior.asked = []
    return model


def searching(model: WorldModel, planner: Planner, objective: Any, **settings: Any) -> PlanningAgent:
    """Return an agent that searches over actions; tests of the noise are in test_search_in_noise.py."""
    return PlanningAgent(model, planner, objective, **{"search_space": "actions", **settings})


def begin(count: int) -> tuple[Any, dict[str, np.ndarray]]:
    starts, goals = starts_and_goals(count)
    env = gym.make_vec("wmcontrol/Wall-v0", num_envs=count, terminate_on_success=False)
    observation, _ = env.reset(seed=0, options={"state": starts, "goal_state": goals})
    return env, observation


def test_the_search_begins_with_proposals_of_each_rows_own_generator() -> None:
    planner, model = Starts(), with_prior()
    agent = searching(model, planner, GoalDistance(), num_proposals=7, goal_offset=25)
    _, observation = begin(2)
    _, state = agent.predict(observation)
    (found,) = planner.seen
    assert (found[:, 0] == 0).all()  # the mean action
    assert model.prior is not None
    tokens, goal = (model.encode(torch.from_numpy(observation[name])[:, None]) for name in ("pixels", "goal_pixels"))
    generators = [env.generator() for env in agent.start(range(2)).envs]
    expected = model.prior.sample(tokens, goal[:, 0], torch.tensor([5, 5]), 7, generators)
    torch.testing.assert_close(found[:, 1:], expected.clamp(-1, 1))
    told = agent.explain(state)[1]
    assert told is not None
    assert told.proposals.shape == (7, 25, 2)
    assert told.proposals[3, :5].ravel() == pytest.approx(found[1, 4, 0].numpy(), abs=1e-6)
    for other in (
        searching(dot_model(), Starts(), GoalDistance()),
        searching(model, Starts(), GoalDistance(), num_proposals=0),
    ):
        other.predict(observation)
        assert other.planner.seen[0].shape[1] == 1  # type: ignore[attr-defined]


def test_the_prior_alone_does_what_it_proposes_in_each_environment_whatever_others_do() -> None:
    model = with_prior()
    agent = searching(model, BestProposal(), GoalDistance(), num_proposals=1, goal_offset=25)
    env, observation = begin(3)
    actions, state = agent.predict(observation)
    assert env.action_space.contains(actions)
    searched = Starts()
    searching(model, searched, GoalDistance(), num_proposals=1, goal_offset=25).predict(observation)
    assert model.normalizer is not None
    proposed = model.normalizer.to_environment(searched.seen[0][:, 1, 0])[:, 0]
    torch.testing.assert_close(torch.from_numpy(actions), proposed)
    assert len({tuple(row) for row in actions.tolist()}) == 3
    for row in range(3):
        alone = {name: value[row] for name, value in observation.items()}
        action, _ = agent.predict(alone, agent.start([row]))
        np.testing.assert_allclose(action, actions[row], atol=1e-6)
    _, other = agent.predict(observation, agent.start([7, 8, 9]))
    plans = [[env.last_plan.plan for env in each.envs if env.last_plan] for each in (state, other)]
    assert not any(torch.equal(one.actions, two.actions) for one, two in zip(*plans, strict=True))
    assert [plan.info["evaluations"].item() for plan in plans[0]] == [1, 1, 1]


def test_the_best_proposal_is_the_one_of_least_cost_and_never_the_start() -> None:
    starts = torch.tensor([0.0, 3.0, 0.5, -1.0]).view(1, 4, 1, 1)
    bounds: Any = {"low": torch.tensor([-2.0]), "high": torch.tensor([2.0])}
    cost = lambda a: a.square().sum((-1, -2))  # noqa: E731
    found = BestProposal().plan(cost, starts, **bounds)
    assert (found.actions.item(), found.cost.item(), found.info["evaluations"].item()) == (0.5, 0.25, 3)
    assert BestProposal().plan(cost, starts[:, :2], **bounds).actions.item() == 2  # the only one, inside the bounds
    assert BestProposal().plan(cost, starts[:, 0], **bounds).actions.item() == 0


@pytest.mark.parametrize(("horizon", "longest"), [(5, 3), (3, 5)])
def test_proposals_of_another_length_are_cut_or_followed_by_mean_actions(horizon: int, longest: int) -> None:
    planner, model = Starts(), with_prior(Straight, horizon=longest)
    _, observation = begin(2)
    agent = searching(model, planner, GoalDistance(), horizon=horizon, replan_every=15, goal_offset=25)
    agent.predict(observation)
    (found,) = planner.seen
    assert found.shape == (2, 65, horizon, 10)
    assert (found[:, 1:, :3] != 0).all()
    assert (found[:, 1:, 3:] == 0).all()
    assert model.prior is not None
    assert model.prior.asked == [(1, [3, 3])]


def test_replanning_counts_down_to_when_the_goal_is_due() -> None:
    model, objective = with_prior(Straight), Told()
    agent = searching(model, Starts(), objective, replan_every=5, goal_offset=21, context_frames=2)
    env, observation = begin(2)
    state = None
    for _ in range(5):  # which another acts: the goal is far from the first plan on
        actions = np.zeros((2, 2), np.float32)
        state = agent.observe(observation, state, actions)
        observation, *_ = env.step(actions)
    for _ in range(35):
        actions, state = agent.predict(observation, state)
        observation, *_ = env.step(actions)
    assert objective.steps_to_go == [5, 4, 3, 2, 1, 1, 1]
    assert model.prior is not None
    assert model.prior.asked == [(2, [k, k]) for k in (5, 4, 3, 2, 1, 1, 1)]
    # A new goal is as far again.
    agent.predict({**observation, "goal_pixels": observation["goal_pixels"][::-1].copy()}, state)
    assert objective.steps_to_go[7:] == [5]


def test_what_is_overdue_is_due_by_the_end_of_what_is_acted_out() -> None:
    model, objective = with_prior(Straight), Told()
    agent = searching(model, Starts(), objective, replan_every=10, goal_offset=13)
    env, observation = begin(1)
    state = None
    for _ in range(40):
        actions, state = agent.predict(observation, state)
        observation, *_ = env.step(actions)
    assert objective.steps_to_go == [3, 1, 2, 2]


def test_when_a_goal_is_due_is_estimated_from_proposals_where_no_task_says_it() -> None:
    """A dot that moves 10 pixels in a model step, and goals 7, 27 and 46 pixels away."""
    starts = np.array([[16.0, 10.0]] * 3)
    goals = starts + [[0, 7], [0, 27], [0, 46]]
    env = gym.make_vec("wmcontrol/Wall-v0", num_envs=3, terminate_on_success=False)
    observation, _ = env.reset(seed=0, options={"state": starts, "goal_state": goals})
    agent = searching(with_prior(Straight), Starts(), GoalDistance("l2", "mean"), replan_every=5)
    told, state = [], None
    for step in range(30):
        actions, state = agent.predict(observation, state)
        observation, *_ = env.step(actions)
        if step % 5 == 0:
            told.append([each.steps_to_go for each in agent.explain(state) if each])
    assert told[:4] == [[1, 3, 5], [None, 2, 4], [None, 1, 3], [None, None, 2]]
    assert told[5] == [None] * 3  # then the goal was due, and all steps count again
    paid = GoalDistance("l2", "mean") + LearnedReward(lambda latents: 100 + 0 * latents[..., 0, 0])  # costs below 0
    begun, _ = env.reset(seed=0, options={"state": starts, "goal_state": goals})
    _, state = replace(agent, objective=paid).predict(begun)
    assert [known.due for known in state.envs] == [5, 15, 20]
    with pytest.raises(ValueError, match=naming("BestProposal", "fit_prior")):
        searching(dot_model(), BestProposal(), GoalDistance("l2", "mean"))
    without = searching(dot_model(), Starts(), GoalDistance("l2", "mean"))
    (first, *_) = without.explain(without.predict(observation)[1])
    assert first is not None
    assert (first.steps_to_go, len(first.proposals)) == (None, 0)


def test_good_proposals_reach_goals_that_chance_does_not() -> None:
    reached = {}
    for name, model in (("prior", with_prior(Straight)), ("none", dot_model())):
        agent = searching(model, RandomShooting(num_samples=65, num_iterations=1), GoalDistance(), goal_offset=25)
        env, observation = begin(16)
        state, infos = None, {}
        for _ in range(25):
            actions, state = agent.predict(observation, state)
            observation, *_, infos = env.step(actions)
        reached[name] = int(infos["is_success"].sum())
    assert reached["prior"] == 16
    assert reached["none"] <= 12


def test_a_distance_counts_from_when_the_goal_is_due() -> None:
    generator = torch.Generator().manual_seed(0)
    latents, goal = torch.randn(2, 3, 4, 1, 5, generator=generator), torch.randn(2, 1, 5, generator=generator)
    actions = torch.randn(2, 3, 4, 6, generator=generator)
    for steps in ("mean", "last", 0.5):
        distance = GoalDistance("l1", steps)  # type: ignore[arg-type]
        for step in (1, 3, 4):
            expected = distance(latents[:, :, step - 1 :], goal, actions)
            torch.testing.assert_close(distance.from_step(step)(latents, goal, actions), expected)
        torch.testing.assert_close(
            distance.from_step(9)(latents, goal, actions), distance(latents[:, :, 3:], goal, actions)
        )
    guardrail = Guardrail(lambda latents: latents[..., 0, 0], limit=0.0)
    total = (GoalDistance("l1", "mean") + guardrail + 2 * ActionPenalty()).from_step(3)
    expected = GoalDistance("l1", "mean", first_step=3)(latents, goal, actions) + guardrail(latents, goal, actions)
    torch.testing.assert_close(total(latents, goal, actions), expected + 2 * ActionPenalty()(latents, goal, actions))
    assert objective_from(torch.cdist, 3) is torch.cdist
    with pytest.raises(ValueError, match=naming("first_step", 0)):
        GoalDistance(first_step=0)


@pytest.mark.parametrize(("name", "value"), [("goal_offset", 0), ("goal_offset", 2.5), ("num_proposals", -1)])
def test_numbers_that_make_no_sense_are_refused(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=naming(name, value)):
        searching(dot_model(), Starts(), GoalDistance(), **{name: value})
