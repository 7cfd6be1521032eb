"""Films of episodes."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import imageio.v3 as iio
import numpy as np
import pytest
import torch
from naming import naming

from wmcontrol import CEM, GoalDistance, PlanningAgent, WorldModel
from wmcontrol.agents import NoOpAgent, RandomAgent
from wmcontrol.evaluation import Protocol, RandomTasks, evaluate, film
from wmcontrol.evaluation.episodes import make_env, rollout_episodes, task_seed
from wmcontrol.evaluation.reports.film import curves_of
from wmcontrol.evaluation.reports.paths import true_paths
from wmcontrol.evaluation.reports.screen import Curve, Episode, PlanSeen, Screen
from wmcontrol.models import ActionPrior, FrameDecoder

WALL = "wmcontrol/Wall-v0"
SPACE = gym.make(WALL).action_space
SHORT = Protocol(name="short", budget=12, replan_every=10, horizon=2)
BLUE = (0, 114, 178)


@pytest.fixture(scope="module")
def agent() -> PlanningAgent:
    planner = CEM(num_samples=12, num_elites=3, num_iterations=2)
    return PlanningAgent(WorldModel.load("wall"), planner, GoalDistance(), horizon=2, replan_every=10)


def test_a_film_shows_what_an_evaluation_judges(agent: PlanningAgent, tmp_path: Path) -> None:
    tasks = RandomTasks(WALL, 3, seed=1)
    path = tmp_path / "new" / "film.mp4"
    ended = film(agent, tasks, SHORT, path, num_episodes=2, seed=3, title="a title")
    assert ended == evaluate(agent, tasks, SHORT, seed=3).successes("end")[:2]
    meta = iio.immeta(path, plugin="pyav")
    assert (meta["codec"], meta["fps"]) == ("h264", 5)
    assert "yuv420p" in meta["video_format"]
    frames = iio.imread(path, plugin="pyav")
    assert frames.shape == (8 + 11 + 8, 700, 1104, 3)
    changes = np.abs(np.diff(frames.astype(int), axis=0)).max((1, 2, 3))
    assert (changes[8:18] > 50).all(), "nothing moves"
    assert [p.name for p in path.parent.iterdir()] == ["film.mp4"]


def test_costs_are_the_agents_own_of_frames_that_came_and_of_its_plans(agent: PlanningAgent) -> None:
    tasks = RandomTasks(WALL, 2, seed=1)
    env = make_env(WALL, 2, {}, 64)
    steps = list(rollout_episodes(env, agent, tasks.tasks, [task_seed(0, i) for i in range(2)], 12))
    env.close()
    frames = np.stack([step.observation["pixels"] for step in steps], 1)
    goal = steps[0].observation["goal_pixels"]
    _, curves = curves_of(env, agent, steps, context_steps=0)
    for i, curve in enumerate(curves):
        assert curve.costs.shape == (13,)
        seen, aim = (agent.model.encode(torch.from_numpy(f)[None, None])[0, 0].float() for f in (frames[i, 4], goal[i]))
        assert curve.costs[4] == pytest.approx(float((seen - aim).norm()), rel=1e-5)
        assert [(plan.step, plan.lands) for plan in curve.plans] == [(0, 10), (10, 20)]
        assert [len(plan.history) for plan in curve.plans] == [2, 2]
        told = agent.explain(steps[-1].state)[i]
        assert told is not None
        assert curve.plans[1].costs[-1] == pytest.approx(told.cost, rel=1e-5)
        assert list(curve.surprises) == [5]
        then = agent.explain(steps[6].state)[i]
        assert then is not None
        assert curve.surprises[5] == pytest.approx((then.surprise[0], then.change[0]))


def test_agents_that_do_not_plan_are_filmed_with_their_distance(tmp_path: Path) -> None:
    tasks = RandomTasks(WALL, 2)
    assert film(NoOpAgent(SPACE), tasks, SHORT, tmp_path / "film.mp4") == [False, False]  # two are all there are
    env = make_env(WALL, 2, {}, None)
    steps = list(rollout_episodes(env, RandomAgent(SPACE), tasks.tasks, [0, 1], 3))
    env.close()
    away = steps[-1].observation["achieved_goal"] - steps[-1].observation["desired_goal"]
    _, (_, curve) = curves_of(env, RandomAgent(SPACE), steps, context_steps=0)
    assert len(curve.costs) == 4
    assert curve.costs[-1] == pytest.approx(float(np.linalg.norm(away[1])))
    assert curve.plans == []


def blue(picture: np.ndarray, columns: slice) -> int:
    return int((np.abs(picture[:, columns].astype(int) - BLUE).max(2) < 12).sum())


def test_the_screen_shows_frames_success_and_only_what_has_happened() -> None:
    frames = np.zeros((6, 64, 64, 3), np.uint8)
    frames[3:, :, :, 0] = 200
    goal = np.full((64, 64, 3), 90, np.uint8)
    history = np.array([3.0, 2.0])
    none = np.zeros((1, 5, 2))
    plans = [PlanSeen(0, 5, np.array([1.0]), history, none), PlanSeen(3, 8, np.array([0.5]), history, none)]
    curve = Curve(np.array([5.0, 4, 3, 2, 1, 0.5]), plans, {2: (0.1, 0.5)})
    solved = np.array([False] * 5 + [True])
    screen = Screen([Episode(frames, goal, solved, curve)] * 2, "title", "cost")
    first, third, last = (screen.draw(step) for step in (0, 3, 5))
    assert first.shape == (700, 1104, 3)
    assert np.array_equal(first, screen.draw(0)), "what is shown depends on what was shown before"
    middle = (82 + 128, 12 + 128)
    assert [picture[middle].tolist() for picture in (first, last)] == [[0, 0, 0], [200, 0, 0]]
    assert first[82 + 128, 280 + 128].tolist() == [90, 90, 90]
    left, right = slice(0, 275), slice(560, 940)
    assert blue(first, left) == blue(third, left) == 0
    assert blue(last, left) > 2000  # a frame around what is at its goal
    assert blue(first, right) < blue(third, right) < blue(last, right)


def test_what_a_plan_imagined_runs_beside_what_came(agent: PlanningAgent) -> None:
    model = WorldModel.load("wall")
    decoder = FrameDecoder(model.encoder.dim, model.grid, model.frame_size, (8, 8))
    decoder.weight.normal_(generator=torch.Generator().manual_seed(0))
    decoder.mean.fill_(120)
    model.decoder = decoder
    agent = replace(agent, model=model)
    env = make_env(WALL, 1, {}, 64)
    steps = list(rollout_episodes(env, agent, RandomTasks(WALL, 1, seed=1).tasks, [0], 10))
    env.close()
    _, (curve,) = curves_of(env, agent, steps, context_steps=0)
    (plan,) = curve.plans
    with torch.no_grad():
        tokens = model.encode(torch.from_numpy(steps[0].observation["pixels"])[None])
        assert model.normalizer is not None
        done = model.normalizer.to_model(torch.from_numpy(plan.actions[-1]).view(1, 1, 2, 5, 2))
        expected = torch.cat([tokens[0], model.rollout(model.context(tokens), done)[0, 0]])
    assert plan.imagined is not None
    difference = np.abs(plan.imagined.astype(int) - decoder(expected).numpy())
    assert plan.imagined.shape == (3, 64, 64, 3)
    assert difference.max() <= 1
    assert [np.array_equal(plan.imagined_at(4), each) for each in plan.imagined] == [True, False, False]
    assert [np.array_equal(plan.imagined_at(5), each) for each in plan.imagined] == [False, True, False]
    assert np.array_equal(plan.imagined_at(12), plan.imagined[2])
    frames = np.zeros((11, 64, 64, 3), np.uint8)
    drawn = Screen([Episode(frames, frames[0], np.zeros(11, bool), curve)], "", "cost").draw(7)
    assert drawn.shape == (378, 1104 + 268, 3)
    shown = drawn[82 + 2 : 82 + 256 : 4, 280 + 2 : 280 + 256 : 4].astype(int)  # a pixel is drawn as 4 by 4
    assert np.abs(shown - plan.imagined[1]).max() <= 1


def test_costs_that_are_no_numbers_are_left_out() -> None:
    frames = np.zeros((2, 64, 64, 3), np.uint8)
    curve = Curve(np.array([np.nan, np.nan]), [], {})
    Screen([Episode(frames, frames[0], np.zeros(2, bool), curve)], "", "distance").draw(1)


def test_mistakes_are_told_before_anything_is_played(agent: PlanningAgent, tmp_path: Path) -> None:
    tasks, path = RandomTasks(WALL, 1), tmp_path / "film.mp4"
    nothing: Any = object()
    for who, words, error, says in (
        (nothing, {}, TypeError, "predict"),
        (agent, {"protocol": "paper"}, ValueError, naming("replan_every", 25, 10)),
        (agent, {"protocol": "home"}, ValueError, "'home'"),
        (agent, {"path": tmp_path / "film.gif"}, ValueError, naming(".mp4")),
        (agent, {"num_episodes": 0}, ValueError, naming("num_episodes", 0)),
        (agent, {"num_episodes": True}, ValueError, "num_episodes"),
        (agent, {"seed": -1}, ValueError, "seed"),
        (agent, {"tasks": RandomTasks("CartPole-v1", 1)}, ValueError, "CartPole-v1"),
    ):
        settings: Any = {"tasks": tasks, "protocol": SHORT, "path": path, **words}
        with pytest.raises(error, match=says):
            film(who, **settings)
    assert list(tmp_path.iterdir()) == []


def test_paths_of_proposals_and_of_the_plan_are_drawn_where_they_really_lead(tmp_path: Path) -> None:
    model = WorldModel.load("wall")
    model.prior = ActionPrior(model.encoder.dim, 1, 10, horizon=2, width=8, depth=1)
    planner = CEM(num_samples=12, num_elites=3, num_iterations=1)
    agent = PlanningAgent(model, planner, GoalDistance(), horizon=2, replan_every=10, num_proposals=20, goal_offset=10)
    env = make_env(WALL, 1, {}, 64)
    task = RandomTasks(WALL, 1, seed=1).tasks
    steps, states = [], []
    for step in rollout_episodes(env, agent, task, [0], 10):
        steps.append(step)
        states.append(env.get_state()[0])
    _, (curve,) = curves_of(env, agent, steps, context_steps=0)
    (plan,) = curve.plans
    assert plan.actions.shape == (17, 10, 2)  # of 20 proposals the first 16, and the plan
    paths = true_paths(WALL, {}, {}, states[0], plan.actions, size=64)
    assert paths.shape == (17, 1, 11, 2)
    came = env.places(np.array(states), 64)[:, 0]
    np.testing.assert_allclose(paths[-1, 0], came, atol=1e-6)
    assert np.ptp(paths[:-1, 0, -1], axis=0).max() > 1
    env.close()
    pixels = steps[0].observation["pixels"]
    frames = np.zeros((2, 64, 64, 3), np.uint8)
    curves = [replace(curve, plans=[replace(plan, paths=each)]) for each in (paths, paths[:, :0])]
    drawn = [
        Screen([Episode(frames, pixels[0], np.zeros(2, bool), each)], "", "cost").draw(0)[82:338, 12:268]
        for each in curves
    ]
    away = 4 * (came + 0.5)
    changed = np.abs(drawn[0].astype(int) - drawn[1]).sum(-1) > 100
    for column, row in np.rint(away).astype(int):
        assert changed[row - 2 : row + 3, column - 2 : column + 3].any()
    assert changed.mean() < 0.2
