"""Subgoals by a temporal distance that is known: in the two rooms of Wall a dot goes round the wall."""

from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from dot_world import dot_model
from naming import naming
from torch import Tensor

from wmcontrol import GoalDistance, PlanningAgent, SubgoalAgent, TemporalDistance, WorldModel
from wmcontrol.agents import SimulatorModel
from wmcontrol.evaluation import RandomTasks, ablations, planning_spec
from wmcontrol.models import ActionPrior, TemporalEmbedding
from wmcontrol.objectives import ActionPenalty
from wmcontrol.planners import BestProposal

DOOR, WALL = 30.0, 32.0


class AroundTheWall(TemporalEmbedding):
    """The way through the door in steps of 10 pixels, exact from one room to the other; in a room about as straight."""

    def embed(self, tokens: Tensor) -> Tensor:
        place = tokens[..., 0, :].float()
        away = place - place.new_tensor([WALL, DOOR])
        along = away.norm(dim=-1) * away[..., 0].sign()
        return torch.stack([along, 0.1 * away[..., 1], torch.zeros_like(along)], -1) / 10


class Straight(ActionPrior):
    """Goes straight to what it is asked for, two pixels for a unit of each of five actions, and a little beside it."""

    asked: list[Tensor]

    def sample(self, tokens: Tensor, goal: Tensor, steps_to_go: Tensor, num_samples: int, generators: Any) -> Tensor:
        self.asked.append(goal)
        way = (goal - tokens[:, -1])[:, 0] / (10 * steps_to_go[:, None])
        spread = torch.stack([torch.randn(num_samples, 1, 10, generator=g) for g in generators])
        actions: Tensor = way.repeat(1, 5)[:, None, None] + 0.1 * spread
        return actions.expand(-1, -1, self.horizon, -1)


def grid() -> Tensor:
    left, right = np.arange(6, 27, 4.0), np.arange(38, 59, 4.0)
    places = [(x, y) for x in (*left, *right) for y in np.arange(6, 59, 4.0)]
    places += [(x, DOOR) for x in (27.0, 30.0, 34.0, 37.0)]
    return torch.tensor(places, dtype=torch.float32)[:, None]


def embedding(frames: Tensor | None = None) -> TemporalEmbedding:
    made = AroundTheWall(2, 1, size=3, width=4, depth=1, num_frames=len(grid() if frames is None else frames))
    made.frames.copy_(grid() if frames is None else frames)
    made.points.copy_(made.embed(made.frames))
    return made


def far_model() -> WorldModel:
    model = dot_model()
    model.temporal_embedding = embedding()
    model.prior = Straight(2, 1, 10, width=8, depth=1, horizon=5)
    model.prior.asked = []
    return model


def agent_of(model: Any, **changes: Any) -> SubgoalAgent:
    how: dict[str, Any] = {"replan_every": 5, "num_proposals": 20, "horizon": 3}
    how |= {"num_subgoals": 4, "reach": 2.5, "near": 1.0}
    return SubgoalAgent(model, BestProposal(), GoalDistance("l2"), **{**how, **changes})


def begin(starts: Any, goals: Any) -> tuple[Any, dict[str, np.ndarray]]:
    env = gym.make_vec("wmcontrol/Wall-v0", num_envs=len(starts), terminate_on_success=False)
    observation, _ = env.reset(seed=0, options={"state": np.array(starts), "goal_state": np.array(goals)})
    return env, observation


def test_subgoals_are_those_within_reach_that_are_nearest_to_the_goal() -> None:
    time = embedding()
    starts, goals = torch.tensor([[[20.0, 50.0]], [[44.0, 10.0]]]), torch.tensor([[[44.0, 50.0]], [[20.0, 10.0]]])
    chosen = time.subgoals(starts, goals, 6, 2.5)
    assert chosen.shape == (2, 6, 1, 2)
    for start, goal, found in zip(starts, goals, chosen, strict=True):
        to_goal = time(found, goal[None])
        assert (time(start[None], found) <= 2.5).all()
        assert (to_goal.diff() >= 0).all()
        within = time.frames[time(start[None], time.frames) <= 2.5]
        assert int((time(within, goal[None]) < to_goal[-1]).sum()) <= 5
    assert (time(chosen[0], goals[0]) < time(starts[:1], goals[:1]) - 1).all()
    # Where too few are within reach, the nearest to where one is come next, and no more than there are.
    few = embedding(torch.tensor([[[20.0, 49.0]], [[50.0, 50.0]], [[20.0, 40.0]], [[44.0, 50.0]]]))
    (found,) = few.subgoals(starts[:1], goals[:1], 9, 0.3)
    by_distance = few(starts[:1], few.frames)[1:].argsort() + 1
    assert torch.equal(found, few.frames[torch.cat([torch.tensor([0]), by_distance])])


def test_frames_are_kept_beside_the_same_network() -> None:
    torch.manual_seed(0)
    network = TemporalEmbedding(2, 3, size=4, width=6, depth=1)
    frames = torch.randn(5000, 3, 2)
    kept = network.keep(frames)
    assert torch.equal(kept.frames, frames)
    torch.testing.assert_close(kept.points, network.embed(frames))
    assert kept.settings() == {**network.settings(), "num_frames": 5000}
    assert torch.equal(kept.embed(frames[:3]), network.embed(frames[:3]))
    again = kept.keep(frames[:2])
    assert again.settings()["num_frames"] == len(again.points) == 2
    assert not network.settings()["num_frames"]


def test_half_of_the_proposals_are_for_subgoals_each_as_often_as_another() -> None:
    model = far_model()
    agent = agent_of(model, num_proposals=13)
    _, observation = begin([[20.0, 50.0], [44.0, 10.0]], [[44.0, 50.0], [20.0, 10.0]])
    _, state = agent.predict(observation)
    assert isinstance(model.prior, Straight)
    direct, subgoals = model.prior.asked
    tokens, goal = (
        model.encode(torch.from_numpy(observation[name])[:, None])[:, 0] for name in ("pixels", "goal_pixels")
    )
    assert torch.equal(direct, goal)
    assert torch.equal(subgoals.unflatten(0, (2, 4)), embedding().subgoals(tokens, goal, 4, 2.5))
    for row, told in enumerate(agent.explain(state)):
        assert told is not None
        assert told.steps_to_go is None
        assert told.proposals.shape == (13, 15, 2)
        ends = 2 * told.proposals.sum(1) + tokens[row, 0].numpy()
        aims = np.concatenate(
            [goal[row].expand(7, 1, 2)[:, 0], subgoals.unflatten(0, (2, 4))[row][[0, 1, 2, 3, 0, 1], 0]]
        )
        start = tokens[row, 0].numpy()
        np.testing.assert_allclose((ends - start) / (3 / 5), aims - start, atol=6)  # of five steps three
    model.prior.asked.clear()
    replace(agent, num_proposals=1).predict(observation)
    assert len(model.prior.asked) == 1
    model.prior.asked.clear()
    replace(agent, num_proposals=4).predict(observation)
    assert len(model.prior.asked[1]) == 4  # two subgoals of each of the two


def test_a_dot_goes_round_the_wall() -> None:
    simulator: Any = SimulatorModel(far_model(), "wmcontrol/Wall-v0", num_workers=0)  # which knows the wall
    plain: Any = {"num_proposals": 20, "horizon": 3, "replan_every": 5}
    solved = {}
    for agent in (agent_of(simulator), PlanningAgent(simulator, BestProposal(), GoalDistance("l2"), **plain)):
        env, observation = begin([[20.0, 50.0], [44.0, 10.0]], [[44.0, 50.0], [20.0, 12.0]])
        state, found = None, []
        for _ in range(60):
            seen = {**observation, "state": env.get_state(), "variation": env.variation}
            actions, state = agent.predict(seen, state)
            observation, *_, infos = env.step(actions)
            found.append(infos["is_success"])
        solved[type(agent)] = np.array(found)
    assert solved[SubgoalAgent][-1].all()
    assert not solved[PlanningAgent].any()


def test_near_the_goal_it_plans_as_one_that_goes_straight() -> None:
    model = far_model()
    assert isinstance(model.prior, Straight)
    _, observation = begin([[20.0, 50.0], [20.0, 50.0]], [[20.0, 42.0], [44.0, 50.0]])
    agent = agent_of(model)
    _, state = agent.predict(observation)
    near, far, subgoals = model.prior.asked
    tokens, goal = (model.encode(torch.from_numpy(observation[n])[:, None])[:, 0] for n in ("pixels", "goal_pixels"))
    assert (embedding()(tokens, goal) <= agent.near).tolist() == [True, False]
    assert torch.equal(torch.cat([near, far]), goal)
    assert len(subgoals) == 4
    told = agent.explain(state)
    for row, objective in enumerate((GoalDistance("l2"), TemporalDistance(embedding=embedding()))):
        each = told[row]
        assert each is not None
        assert len(each.proposals) == 20
        cost = objective(each.imagined_tokens[None, None], goal[row][None], torch.zeros(1, 1, 3, 10))
        assert each.cost == pytest.approx(float(cost), abs=1e-4)


def test_a_model_without_what_it_takes_is_refused() -> None:
    model = far_model()
    with pytest.raises(ValueError, match=naming("goal_offset", 50)):
        agent_of(model, goal_offset=50)
    with pytest.raises(ValueError, match=naming("objective", "ActionPenalty")):
        SubgoalAgent(model, BestProposal(), ActionPenalty())
    for name, value in (("reach", 0.0), ("num_subgoals", 0), ("near", -1.0)):
        with pytest.raises(ValueError, match=naming(name, value)):
            agent_of(model, **{name: value})
    prior, model.prior = model.prior, None
    with pytest.raises(ValueError, match="fit_prior"):
        agent_of(model)
    model.prior = prior
    for without in (None, TemporalEmbedding(2, 1, size=3, width=4, depth=1)):
        model.temporal_embedding = without
        with pytest.raises(ValueError, match="fit_temporal_embedding"):
            agent_of(model)


def test_evaluation_sets_it_beside_the_agent_that_goes_straight() -> None:
    model = far_model()
    tasks = RandomTasks("wmcontrol/Wall-v0", 2)
    tasks.goal_offset = 50  # type: ignore[attr-defined]
    spec = planning_spec(model, None, tasks, "mpc", kind=SubgoalAgent, metric="l1")
    assert isinstance(spec.agent, SubgoalAgent)
    assert (spec.agent.replan_every, spec.agent.goal_offset, spec.agent.num_proposals) == (5, None, 128)
    assert spec.agent.objective == GoalDistance("l1", "mean")
    assert spec.name == "world model to subgoals from 128 proposals"
    flat, alone, best = ablations(spec)
    assert type(flat.agent) is PlanningAgent
    assert flat.agent.objective == spec.agent.objective
    assert (flat.agent.model, flat.agent.planner, flat.role) == (model, spec.agent.planner, "baseline")
    assert (flat.agent.horizon, flat.agent.replan_every) == (5, 5)
    assert (alone.agent.num_proposals, best.agent.num_proposals) == (1, 128)
