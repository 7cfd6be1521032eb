"""Plans over plans: in the two rooms of Wall, with distances that are known, a dot goes round the wall."""

from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from dot_world import dot_model
from naming import naming
from torch import Tensor

from wmcontrol import GoalDistance, HierarchicalAgent, PlanningAgent, RandomShooting, TimeToGoal, WorldModel
from wmcontrol.evaluation import RandomTasks, ablations, planning_spec
from wmcontrol.evaluation.episodes import StepRecord
from wmcontrol.evaluation.reports.film import curves_of
from wmcontrol.models import Landmarks, StepsToGo
from wmcontrol.objectives import ActionPenalty
from wmcontrol.planners import Planner

DOOR, WALL = 30.0, 32.0
SEARCH = RandomShooting(num_samples=300, num_iterations=1)


class AroundTheWall(StepsToGo):
    """The way in pixels, 10 a step, straight in a room and through the door from one to the other."""

    def forward(self, tokens: Tensor, goal: Tensor) -> Tensor:
        one, other = torch.broadcast_tensors(tokens[..., 0, :], goal[..., 0, :])
        sides = (one[..., 0] - WALL) * (other[..., 0] - WALL)
        door = one.new_tensor([WALL, DOOR])
        straight = (one - other).norm(dim=-1)
        around = (one - door).norm(dim=-1) + (other - door).norm(dim=-1)
        return (torch.where(sides > 0, straight, around) / 10).clamp(max=self.max_steps + 1)


def grid() -> Tensor:
    """A landmark each 4 pixels in both rooms, and in the door."""
    left, right = np.arange(6, 27, 4.0), np.arange(38, 59, 4.0)
    places = [(x, y) for x in (*left, *right) for y in np.arange(6, 59, 4.0)]
    places += [(x, DOOR) for x in (27.0, 30.0, 34.0, 37.0)]
    return torch.tensor(places, dtype=torch.float32)[:, None]


def far_model(tokens: Tensor | None = None, reach: float = 0.8) -> WorldModel:
    model = dot_model()
    model.steps_to_go = AroundTheWall(2, 1, max_steps=10, width=4, depth=1)
    model.landmarks = Landmarks.connected(grid() if tokens is None else tokens, model.steps_to_go, reach)
    return model


def agents(model: WorldModel, planner: Planner = SEARCH) -> tuple[HierarchicalAgent, PlanningAgent]:
    how: Any = {"replan_every": 5, "horizon": 3}
    return (
        HierarchicalAgent(model, planner, GoalDistance("l2", "mean"), **how),
        PlanningAgent(model, planner, GoalDistance("l2", "mean"), **how),
    )


def begin(starts: Any, goals: Any) -> tuple[Any, dict[str, np.ndarray]]:
    env = gym.make_vec("wmcontrol/Wall-v0", num_envs=len(starts), terminate_on_success=False)
    observation, _ = env.reset(seed=0, options={"state": np.array(starts), "goal_state": np.array(goals)})
    return env, observation


def test_plans_for_time_to_goal_are_judged_by_the_steps_to_go_of_the_model() -> None:
    model = far_model()
    agent = PlanningAgent(model, SEARCH, TimeToGoal("fewest"), replan_every=5, horizon=3)
    _, observation = begin([[50.0, 50.0]], [[50.0, 10.0]])
    (told,) = agent.explain(agent.predict({name: pixels[0] for name, pixels in observation.items()})[1])
    assert told is not None
    end = np.array([50.0, 50.0]) + 2 * told.actions.sum(0)  # as the model imagines it
    assert told.cost == pytest.approx(np.linalg.norm(end - [50.0, 10.0]) / 10, abs=0.15)
    assert end[1] < 46
    with pytest.raises(ValueError, match=naming("TimeToGoal", "fit_steps_to_go")):
        PlanningAgent(dot_model(), SEARCH, GoalDistance() + TimeToGoal())


def test_a_dot_goes_round_the_wall_and_stays_at_the_goal() -> None:
    starts, goals = [[20.0, 50.0], [44.0, 10.0]], [[44.0, 50.0], [20.0, 12.0]]
    found, told = {}, []
    for agent in agents(far_model()):
        env, observation = begin(starts, goals)
        state, solved = None, []
        for step in range(100):
            actions, state = agent.predict(observation, state)
            observation, *_, infos = env.step(actions)
            solved.append(infos["is_success"])
            if step % 5 == 0 and isinstance(agent, HierarchicalAgent):
                told.append([each.path for each in agent.explain(state) if each])
        found[type(agent)] = np.array(solved)
    there = found[HierarchicalAgent]
    assert there[-1].all()
    assert there[there.argmax(0).max() :].all()  # once there it stays
    assert not found[PlanningAgent].any()
    first, last = told[0][0], told[-1][0]
    assert first.steps == pytest.approx(4.6, abs=0.8)  # through the door
    assert first.direct == pytest.approx(4.6, abs=0.1)
    assert first.subgoal in first.landmarks
    assert (last.landmarks, last.subgoal) == ((), None)
    assert last.steps == last.direct < 1
    assert all(each[0].steps < before[0].steps + 0.5 for before, each in pairwise(told))


def test_what_one_environment_does_depends_on_no_other() -> None:
    agent, _ = agents(far_model())
    starts, goals = [[20.0, 50.0], [44.0, 10.0], [10.0, 10.0]], [[44.0, 50.0], [20.0, 12.0], [14.0, 20.0]]
    together, observation = begin(starts, goals)
    alone, other = begin(starts[1:2], goals[1:2])
    state, own = agent.start([0, 1, 2]), agent.start([1])
    for _ in range(30):
        actions, state = agent.predict(observation, state)
        action, own = agent.predict(other, own)
        np.testing.assert_allclose(action[0], actions[1], atol=1e-5)
        observation, *_ = together.step(actions)
        other, *_ = alone.step(action)


def test_a_near_goal_is_planned_for_as_without_landmarks() -> None:
    """The same search from the same random numbers, but for when the goal is due."""
    far, flat = agents(far_model())
    _, observation = begin([[10.0, 10.0]], [[12.0, 17.0]])
    (one,), (other,) = far.explain(far.predict(observation)[1]), flat.explain(flat.predict(observation)[1])
    assert one is not None
    assert other is not None
    assert one.steps_to_go == 1  # 7.3 pixels
    assert one.actions == pytest.approx(other.actions)
    assert one.path is not None
    assert (one.path.landmarks, one.path.subgoal) == ((), None)
    assert other.path is None


def test_without_a_path_it_says_so_and_plans_straight_for_the_goal() -> None:
    tokens = grid()
    far, flat = agents(far_model(tokens[(tokens[:, 0, 0] - WALL).abs() > 8]))  # none near the door
    env, observation = begin([[10.0, 50.0]], [[54.0, 50.0]])
    state = other = None
    for _ in range(6):
        actions, state = far.predict(observation, state)
        same, other = flat.predict(observation, other)
        np.testing.assert_allclose(actions, same)
        observation, *_ = env.step(actions)
    (told,) = far.explain(state)
    assert told is not None
    assert told.path is not None
    assert np.isinf(told.path.steps)
    assert told.path.landmarks == ()
    assert told.steps_to_go is None


def test_a_goal_is_due_once_there_is_a_path() -> None:
    far, _ = agents(far_model(grid()[grid()[:, 0, 0] > WALL + 12]))  # landmarks in the other room alone
    env, observation = begin([[10.0, 54.0]], [[14.0, 10.0]])
    state, told = None, {}
    for _ in range(50):
        actions, state = far.predict(observation, state)
        (found,) = far.explain(state)
        assert found is not None
        told[np.isfinite(found.path.steps)] = (found.steps_to_go, found.path.direct)  # type: ignore[union-attr]
        observation, *_ = env.step(actions)
    assert told[False][0] is None
    steps, direct = told[True]  # the goal is near enough at last
    assert 0 < direct <= 0.8
    assert steps == 1


def test_an_edge_that_fails_is_blocked_until_the_episode_ends() -> None:
    """A map that says that one can go through the wall at its lower end."""
    tokens = torch.cat([grid(), torch.tensor([[[31.0, 54.0]], [[33.0, 54.0]]])])
    model = far_model(tokens)
    through = [len(tokens) - 2, len(tokens) - 1]
    landmarks = model.landmarks
    assert landmarks is not None
    edges = torch.cat([landmarks.edges, torch.tensor([through, through[::-1]], dtype=torch.int32)])
    wrong = Landmarks(2, 1, num_landmarks=len(tokens), num_edges=len(edges), reach=0.8)
    wrong.tokens.copy_(tokens)
    wrong.edges.copy_(edges)
    wrong.steps.copy_(torch.cat([landmarks.steps, torch.tensor([0.5, 0.5])]))
    model.landmarks = wrong
    agent, _ = agents(model)
    env, observation = begin([[24.0, 54.0]], [[42.0, 54.0]])
    state, solved, told = None, [], []
    for _ in range(250):
        actions, state = agent.predict(observation, state)
        observation, *_, infos = env.step(actions)
        solved.append(infos["is_success"][0])
        told.append(agent.explain(state)[0].path)
    assert told[0].steps < 3
    assert not told[0].blocked
    assert told[-1].blocked
    assert solved[-1]
    observation, _ = env.reset(seed=1)
    _, state = agent.predict(observation, state, np.array([True]))
    assert not agent.explain(state)[0].path.blocked


class SeesThroughTheWall(AroundTheWall):
    """Of goals between the landmarks it says that those at the wall, on its other side, are near them."""

    def forward(self, tokens: Tensor, goal: Tensor) -> Tensor:
        one, other = torch.broadcast_tensors(tokens[..., 0, :], goal[..., 0, :])
        landmark = (((one - 6) % 4).abs().sum(-1) == 0) & (((other - 6) % 4).abs().sum(-1) > 0)
        wrong = landmark & (one[..., 0] > 14) & (one[..., 0] < WALL) & (other[..., 0] > WALL) & (one[..., 1] > 34)
        return torch.where(wrong, 0.5, super().forward(tokens, goal))


def test_all_landmarks_around_that_wrongly_say_that_the_goal_is_near_are_left_at_once() -> None:
    model = far_model(reach=1.5)
    model.steps_to_go = SeesThroughTheWall(2, 1, max_steps=10, width=4, depth=1)
    agent, _ = agents(model)
    env, observation = begin([[24.0, 52.0]], [[43.0, 51.0]])
    state, solved, told = None, [], []
    for _ in range(90):
        actions, state = agent.predict(observation, state)
        observation, *_, infos = env.step(actions)
        solved.append(infos["is_success"][0])
        told.append(agent.explain(state)[0].path)
    assert told[0].subgoal is None
    assert told[0].steps < 1.5 < 4 < told[0].direct
    assert 4 < told[25].steps < 7  # through the door, once 4 model steps brought nothing
    closed = [start for start, end in told[25].blocked if end == len(grid())]
    assert len(closed) > 10
    assert (grid()[closed, 0, 0] < WALL).all()  # as ways to the goal, those that are wrong
    assert len(told[25].blocked) > len(closed)  # and the edges that were tried
    assert solved[-1]


def test_a_landmark_that_is_not_reached_closes_no_way_from_others_to_the_goal() -> None:
    agent, _ = agents(far_model())
    _, observation = begin([[10.0, 50.0]], [[10.0, 30.0]])
    state = None
    for _ in range(26):
        _, state = agent.predict(observation, state)  # whatever it does, nothing moves
    (told,) = agent.explain(state)
    assert told is not None
    assert told.path.blocked
    assert len(grid()) not in {end for _, end in told.path.blocked}


def test_what_does_not_fit_is_refused() -> None:
    model = far_model()
    with pytest.raises(ValueError, match=naming("patience", 0)):
        HierarchicalAgent(model, SEARCH, GoalDistance(), patience=0)
    with pytest.raises(ValueError, match=naming("leave", -1.0)):
        HierarchicalAgent(model, SEARCH, GoalDistance(), leave=-1.0)
    with pytest.raises(ValueError, match=naming("goal_offset", 50)):
        HierarchicalAgent(model, SEARCH, GoalDistance(), goal_offset=50)
    with pytest.raises(TypeError, match=naming("near", "patience")):
        HierarchicalAgent.from_model(model, SEARCH, near=1.0)
    with pytest.raises(ValueError, match=naming("objective", "ActionPenalty")):
        HierarchicalAgent(model, SEARCH, ActionPenalty())
    model.landmarks = Landmarks.connected(grid(), model.steps_to_go, 11.0)
    with pytest.raises(ValueError, match=naming("landmarks.reach", 10)):
        HierarchicalAgent(model, SEARCH, GoalDistance())
    model.landmarks = None
    with pytest.raises(ValueError, match="fit_steps_to_go"):
        HierarchicalAgent(model, SEARCH, GoalDistance())


def test_from_model_takes_what_this_agent_alone_has() -> None:
    agent: Any = HierarchicalAgent.from_model(far_model(), SEARCH, patience=2, leave=1.5, replan_every=5)
    assert (agent.patience, agent.leave, agent.replan_every) == (2, 1.5, 5)
    with pytest.raises(TypeError, match=naming("patience")):
        PlanningAgent.from_model(far_model(), SEARCH, patience=2)


def test_only_a_state_is_explained() -> None:
    agent, _ = agents(far_model())
    with pytest.raises(TypeError, match=naming("state", "predict", "NoneType")):
        agent.explain(None)  # type: ignore[arg-type]


def test_the_state_of_another_agent_is_refused() -> None:
    far, flat = agents(far_model())
    _, observation = begin([[20.0, 50.0]], [[44.0, 50.0]])
    _, state = far.predict(observation)  # which goes to a landmark
    for agent in (flat, replace(far, context_frames=2)):
        for call in (agent.explain, partial(agent.predict, observation)):
            with pytest.raises(ValueError, match=naming("state", "HierarchicalAgent", "context_frames=1")):
                call(state)
    with pytest.raises(ValueError, match=naming("state", "PlanningAgent")):
        far.predict(observation, flat.start([0]))
    fewer, _ = agents(far_model(grid()[::2]))
    with pytest.raises(ValueError, match=naming("state", len(grid()), len(grid()[::2]))):
        fewer.predict(observation, state)
    replace(far, replan_every=10).predict(observation, state)


def test_evaluation_sets_it_beside_the_agent_that_goes_straight() -> None:
    model = far_model()
    tasks = RandomTasks("wmcontrol/Wall-v0", 2)
    tasks.goal_offset = 50  # type: ignore[attr-defined]
    spec = planning_spec(model, SEARCH, tasks, "mpc", objective=GoalDistance("l2", "mean"), kind=HierarchicalAgent)
    assert isinstance(spec.agent, HierarchicalAgent)
    assert (spec.agent.replan_every, spec.agent.goal_offset) == (5, None)
    (flat,) = ablations(spec)
    assert type(flat.agent) is PlanningAgent
    assert (flat.agent.model, flat.agent.planner, flat.role) == (model, SEARCH, "baseline")

    class Mine(HierarchicalAgent):
        """A user's own."""

    mine = planning_spec(model, SEARCH, tasks, "mpc", objective=GoalDistance("l2", "mean"), kind=Mine)
    assert (type(mine.agent), mine.agent.goal_offset, mine.name) == (Mine, None, spec.name)
    known = planning_spec(model, SEARCH, tasks, "mpc", objective=GoalDistance("l2", "mean"))
    assert known.agent.goal_offset == 50


def test_films_show_the_distance_to_the_goal_and_say_where_a_plan_goes() -> None:
    agent, _ = agents(far_model())
    goal = np.array([44.0, 50.0])
    env, observation = begin([[20.0, 50.0]], [goal])
    state, steps = None, []
    for _ in range(75):
        step = StepRecord(observation, np.zeros(1, bool), state, 0.0)
        actions, state = agent.predict(observation, state)
        steps.append(step)
        observation, *_ = env.step(actions)
    _, (curve,) = curves_of(env, agent, steps, context_steps=0)
    (told,) = agent.explain(steps[1].state)
    assert told is not None
    assert told.path is not None
    away = np.linalg.norm(told.imagined_tokens[:, 0].numpy() - goal, axis=1)
    np.testing.assert_allclose(curve.plans[0].costs, away, atol=0.5)  # pixels
    assert curve.costs[0] == pytest.approx(24, abs=0.5)
    assert abs(told.cost - away.mean()) > 3  # that of the search is to the landmark
    assert f"landmark {told.path.subgoal}" in curve.plans[0].headed
    assert "the goal" in curve.plans[-1].headed
