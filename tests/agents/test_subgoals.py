"""Subgoals by a temporal distance that is known: in the two rooms of Wall a dot goes round the wall."""

from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from dot_world import dot_model
from known_ways import Line, embedding
from naming import naming
from torch import Tensor

from wmcontrol import GoalDistance, PlanningAgent, SubgoalAgent, WorldModel
from wmcontrol.agents import AgentState, SimulatorModel, WayToGoal
from wmcontrol.agents.subgoals import _WayLength
from wmcontrol.evaluation import RandomTasks, ablations, planning_spec
from wmcontrol.evaluation.episodes import StepRecord
from wmcontrol.evaluation.reports.film import curves_of
from wmcontrol.models import ActionPrior, TemporalEmbedding
from wmcontrol.objectives import ActionPenalty, objective_from
from wmcontrol.planners import CEM, BestProposal


class Straight(ActionPrior):
    """Goes straight to what it is asked for, two pixels for a unit of each of five actions, and a little beside it."""

    asked: list[Tensor]

    def sample(self, tokens: Tensor, goal: Tensor, steps_to_go: Tensor, num_samples: int, generators: Any) -> Tensor:
        self.asked.append(goal)
        way = (goal - tokens[:, -1])[:, 0] / (10 * steps_to_go[:, None])
        spread = torch.stack([torch.randn(num_samples, 1, 10, generator=g) for g in generators])
        actions: Tensor = way.repeat(1, 5)[:, None, None] + 0.1 * spread
        return actions.expand(-1, -1, self.horizon, -1)


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


def test_a_way_goes_over_a_frame_or_at_once_where_the_goal_is_within_reach() -> None:
    time = Line(1, 1, size=1, width=4, depth=1)
    points, ways = torch.tensor([[[0.0], [3.0]], [[0.0], [3.0]]]), torch.tensor([[5.0, 7.0], [50.0, 70.0]])
    objective = _WayLength(time, points, ways, torch.tensor([4.0, 4.0]))
    latents = torch.tensor([9.0, 1.0]).view(1, 1, 2, 1, 1).expand(2, 3, 2, 1, 1).clone()  # the last counts
    latents[:, 1, 1], latents[:, 2, 1] = 2.0, 2.8
    goal = torch.tensor([[[5.5]], [[6.5]]])
    found = objective(latents, goal, torch.zeros(2, 3, 2, 1))
    over = np.array([[1 + 5, 1 + 7, 0.04 + 7], [1 + 50, 4 + 50, 2.8**2 + 50]])
    once = [[np.inf, 3.5**2, 2.7**2], [np.inf, np.inf, 3.7**2]]
    np.testing.assert_allclose(found.numpy(), np.minimum(over, once), rtol=1e-5)
    never = replace(objective, at_once=torch.tensor([4.0, -1.0]))
    found = never(latents, torch.cat([goal[:1], latents[1:, 2, 1]]), torch.zeros(2, 3, 2, 1))
    np.testing.assert_allclose(found.numpy(), [np.minimum(over[0], once[0]), over[1]], rtol=1e-5)


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
    ways = torch.stack([embedding().ways_to(each, 2.5) for each in goal])
    assert torch.equal(subgoals.unflatten(0, (2, 4)), embedding().subgoals(tokens, ways, 4, 2.5))
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
    for agent in (
        agent_of(simulator, reach=1.5),
        PlanningAgent(simulator, BestProposal(), GoalDistance("l2"), **plain),
    ):
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
    starts, goals = [[20.0, 50.0]] * 3, [[20.0, 42.0], [44.0, 50.0], [20.0, 30.0]]
    _, observation = begin(starts, goals)
    agent = agent_of(model)
    _, state = agent.predict(observation)
    *estimates, near, far, subgoals = model.prior.asked
    tokens, goal = (model.encode(torch.from_numpy(observation[n])[:, None])[:, 0] for n in ("pixels", "goal_pixels"))
    distances = embedding()(tokens, goal)
    assert (distances <= agent.near).tolist() == [True, False, False]
    assert (distances <= agent.reach).tolist() == [True, False, True]
    assert len(estimates) == 3  # for each number of steps
    assert all(torch.equal(each, goal[:1]) for each in (*estimates, near))
    assert torch.equal(far, goal[1:])
    assert len(subgoals) == 8
    near_told, *told = agent.explain(state)
    assert near_told is not None
    assert near_told.steps_to_go is not None
    assert state.envs[0].due == 5 * near_told.steps_to_go
    assert len(near_told.proposals) == 20
    counted = objective_from(GoalDistance("l2"), near_told.steps_to_go)
    away = counted(near_told.imagined_tokens[None, None], goal[:1], torch.zeros(1, 1, 3, 10))
    assert near_told.cost == pytest.approx(float(away), abs=1e-4)
    time = embedding()
    for row, far_told in enumerate(told, 1):
        assert far_told is not None
        assert far_told.steps_to_go is None
        assert len(far_told.proposals) == 20
        end = far_told.imagined_tokens[-1]
        over = float((time(end[None], time.frames).square() + time.ways_to(goal[row], agent.reach)).min())
        at_once = float(time(end, goal[row])) ** 2
        assert far_told.cost == pytest.approx(over if row == 1 else at_once, abs=1e-4)
        assert row == 1 or at_once < over


def test_a_goal_is_due_anew_where_it_is_near_and_not_reached_and_never_where_it_is_far() -> None:
    model = far_model()
    _, near = begin([[20.0, 50.0]], [[20.0, 42.0]])
    _, left = begin([[44.0, 50.0]], [[20.0, 42.0]])
    found: dict[float, list[tuple[int | None, int | None]]] = {}
    for arrived in (0.0, 0.9):
        agent, state = agent_of(model, arrived=arrived), None
        found[arrived] = []
        for shown in [near] * 31 + [left] * 5:  # it does not move, whatever it does
            _, state = agent.predict(shown, state)
            if not state.envs[0].step % 5:
                (told,) = agent.explain(state)
                assert told is not None
                found[arrived].append((state.envs[0].due, told.steps_to_go))
    distance = float(embedding()(*(model.encode(torch.from_numpy(near[n])[:, None])[:, 0] for n in near if "pix" in n)))
    assert 0 < distance < 0.9
    for due in found.values():
        first = due[0][0]
        assert first is not None
        assert due[0] == (first, first // 5)
        assert due[-1] == (None, None)
    anew, once = ([due for due, _ in found[arrived][:-1]] for arrived in (0.0, 0.9))
    assert {*once} == {once[0]}
    assert found[0.9][once[0] // 5 : -1] == [(once[0], None)] * (7 - once[0] // 5)
    for step, due in zip(range(0, 35, 5), anew, strict=True):
        assert due is not None
        assert due > step
    _, farther = begin([[20.0, 50.0]], [[20.0, 30.0]])
    agent, state, waits = agent_of(model, near=2.0, arrived=0.0), None, []
    for _ in range(6):
        _, state = agent.predict(farther, state)
        waits.append(state.envs[0].due)
    assert {*waits} == {waits[0]}  # until then it waits
    assert waits[0] in (10, 15)


def test_it_explains_the_way_that_it_sees_and_films_say_it() -> None:
    model = far_model()
    agent = agent_of(model)
    env, observation = begin([[20.0, 42.0], [20.0, 50.0]], [[20.0, 50.0], [44.0, 50.0]])
    assert agent.explain(agent.start([0])) == (None,)
    steps, state = [], None
    for _ in range(7):
        steps.append(StepRecord(observation, np.zeros(2, bool), state, 0.0))
        actions, state = agent.predict(observation, state)
        observation, *_ = env.step(actions)
    near, far = agent.explain(steps[1].state)
    assert near is not None
    assert far is not None
    tokens, goal = (
        model.encode(torch.from_numpy(steps[0].observation[n])[:, None])[:, 0] for n in ("pixels", "goal_pixels")
    )
    distances = embedding()(tokens, goal).tolist()
    assert near.path == WayToGoal((), pytest.approx(distances[0]), True)
    assert far.path == WayToGoal(
        tuple(embedding().way(tokens[1], goal[1], agent.reach)), pytest.approx(distances[1]), False
    )
    assert len(far.path.frames) > 1
    _, curves = curves_of(env, agent, steps, context_steps=0)
    one, other = (curve.plans[0].headed for curve in curves)
    assert one == f"straight for the goal, {distances[0]:.1f} nats away"
    assert other == f"to the goal over {len(far.path.frames)} frames, {distances[1]:.1f} nats away"


def test_each_plan_makes_the_ways_longer_from_around_the_frame_that_it_leads_over() -> None:
    model = far_model()
    _, observation = begin([[20.0, 50.0], [20.0, 42.0]], [[44.0, 50.0], [44.0, 10.0]])
    goal = model.encode(torch.from_numpy(observation["goal_pixels"])[:, None])[:, 0]
    time, reach, state = embedding(), 2.5, None
    expected = [time.ways_to(each, reach) for each in goal]
    for _ in range(2):
        _, state = agent_of(model, doubt=0.3).predict(observation, state, episode_start=[False, False])
        for row, told in enumerate(agent_of(model).explain(state)):
            assert told is not None
            over = time(told.imagined_tokens[-1:], time.frames).square() + expected[row]
            apart = time(time.frames[int(over.argmin())][None], time.frames)
            expected[row] = expected[row] + 0.3 * reach**2 * torch.exp(-((apart / reach / 0.4) ** 2) / 2)
            found = state.envs[row].ways
            assert found is not None
            torch.testing.assert_close(found, expected[row])
        state = AgentState(tuple(replace(env, queue=None) for env in state.envs))
    undoubted = agent_of(model, doubt=0.0)
    _, state = undoubted.predict(observation)
    assert torch.equal(state.envs[0].ways, time.ways_to(goal[0], reach))  # type: ignore[arg-type]


def test_the_way_that_is_told_begins_where_the_doubted_ways_are_shortest() -> None:
    model, time, state, firsts = far_model(), embedding(), None, []
    agent = agent_of(model, doubt=2.0)
    _, observation = begin([[20.0, 50.0]], [[44.0, 50.0]])
    for _ in range(20):
        _, state = agent.predict(observation, state)  # nothing moves
        (told,) = agent.explain(state)
        record = state.envs[0].last_plan
        assert told is not None
        assert record is not None
        begun = record.made_from
        there = time(time.frames, begun.tokens[begun.step])
        assert begun.ways is not None
        lengths = torch.where(there <= agent.reach, there.square() + begun.ways, torch.inf)
        assert told.path.frames[0] == int(lengths.argmin())
        firsts.append(told.path.frames[0])
    assert len(set(firsts)) > 1


def test_ways_are_measured_once_for_each_goal() -> None:
    model = far_model()
    agent = agent_of(model, reach=0.05, doubt=0.0)  # so short that no frame leads to another
    _, observation = begin([[20.0, 50.0]], [[44.0, 50.0]])
    _, other = begin([[20.0, 50.0]], [[44.0, 10.0]])
    found = []
    state = None
    for shown in [observation] * 6 + [other] * 6:
        _, state = agent.predict(shown, state)
        found.append(state.envs[0].ways)
    assert found[5] is found[0]
    goals = [model.encode(torch.from_numpy(each["goal_pixels"])[:, None])[0, 0] for each in (observation, other)]
    for ways, goal in zip((found[0], found[11]), goals, strict=True):
        assert ways is not None
        assert torch.equal(ways, embedding().ways_to(goal, agent.reach))
        assert not torch.equal(ways, embedding().ways_to(goal, 9.0))


def test_each_environment_has_its_own_proposals_whatever_others_do() -> None:
    agent = agent_of(far_model())
    _, observation = begin([[20.0, 50.0], [44.0, 10.0]], [[44.0, 50.0], [20.0, 10.0]])
    _, state = agent.predict(observation)
    for row in range(2):
        alone = {name: value[row] for name, value in observation.items()}
        _, own = agent.predict(alone, agent.start([row]))
        (told,), expected = agent.explain(own), agent.explain(state)[row]
        assert told is not None
        assert expected is not None
        np.testing.assert_allclose(told.proposals, expected.proposals, atol=1e-5)


def test_later_plans_begin_with_what_is_left_of_an_environments_own_whoever_is_near() -> None:
    agent = agent_of(far_model(), num_proposals=2)
    starts, goals = [[20.0, 50.0], [20.0, 50.0], [44.0, 10.0]], [[20.0, 42.0], [44.0, 50.0], [44.0, 12.0]]

    def act(rows: list[int]) -> np.ndarray:
        env, observation = begin([starts[row] for row in rows], [goals[row] for row in rows])
        state, done = agent.start(rows), []
        for _ in range(20):
            actions, state = agent.predict(observation, state)
            observation, *_ = env.step(actions)
            done.append(actions)
        return np.stack(done, 1)

    together = act([0, 1, 2])
    for row in range(3):
        np.testing.assert_allclose(act([row])[0], together[row], atol=1e-4)


def test_plans_for_goals_near_and_far_search_actions() -> None:
    model = far_model()
    model.prior.decode = None  # type: ignore[union-attr, assignment]  # what a search over noise would call
    made = replace(agent_of(model), planner=CEM(num_samples=30, num_elites=5, num_iterations=2))
    assert (made.search_space, made.searches_noise) == ("noise", False)
    _, observation = begin([(16, 12), (16, 12)], [(16, 13), (48, 50)])
    _, state = made.predict(observation)
    assert [env.due is None for env in state.envs] == [False, True]


def test_from_model_takes_what_this_agent_alone_has() -> None:
    agent = SubgoalAgent.from_model(far_model(), BestProposal(), near=1.0, num_subgoals=4, horizon=3)
    assert (agent.near, agent.num_subgoals, agent.reach, agent.num_proposals) == (1.0, 4, 7.0, 128)


def test_a_model_without_what_it_takes_is_refused() -> None:
    model = far_model()
    with pytest.raises(ValueError, match=naming("goal_offset", 50)):
        agent_of(model, goal_offset=50)
    with pytest.raises(ValueError, match=naming("objective", "ActionPenalty")):
        SubgoalAgent(model, BestProposal(), ActionPenalty())
    for name, value in (
        *(("reach", 0.0), ("reach", 1e9), ("num_subgoals", 0), ("near", -1.0), ("doubt", 1e9)),
        *(("arrived", 1e9), ("num_proposals", 0)),
    ):
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
    assert flat.agent.search_space == "actions"  # as the agent beside it
    assert type(flat.agent) is PlanningAgent
    assert flat.agent.objective == spec.agent.objective
    assert (flat.agent.model, flat.agent.planner, flat.role) == (model, spec.agent.planner, "baseline")
    assert (flat.agent.horizon, flat.agent.replan_every) == (5, 5)
    assert (alone.agent.num_proposals, best.agent.num_proposals) == (1, 128)
