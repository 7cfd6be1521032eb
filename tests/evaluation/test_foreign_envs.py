"""An environment of somebody else, from collecting to a report."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from foreign_envs import BALL, HIDDEN, Ball
from naming import naming

from wmcontrol.data import collect, open_dataset, policies
from wmcontrol.envs.registration import bare_id
from wmcontrol.evaluation import AgentSpec, DatasetTasks, RandomTasks, evaluate_agents
from wmcontrol.evaluation.episodes import distances


class Straight:
    """Goes straight to the goal, which it reads from the states."""

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = True
    ) -> Any:
        way = observation["desired_goal"] - observation["achieved_goal"]
        return np.clip(way, -1, 1).astype(np.float32), None


@pytest.fixture(scope="module")
def data() -> Any:
    return collect(BALL, policies.random(BALL, num_frames=60), 6, seed=1)


def test_actions_last_for_some_steps_and_lead_where_they_should(data: Any) -> None:
    for i in range(len(data)):
        trajectory = data.trajectory(i)
        same = (np.diff(trajectory.actions, axis=0) == 0).all(1).mean()
        assert 0.6 < same < 0.95  # four of five
        moved = np.clip(trajectory.states[:-1] + trajectory.actions, -10, 10)
        np.testing.assert_allclose(trajectory.states[1:], moved, atol=1e-6)


def test_frames_are_what_an_agent_sees(data: Any) -> None:
    trajectory = data.trajectory(2)
    env: Any = gym.make(BALL).unwrapped
    env.reset(options={"state": trajectory.states[0], "goal_state": [9, 9]})
    for action, frame in zip(trajectory.actions[:5], trajectory.frames.read(range(1, 6)), strict=True):
        np.testing.assert_array_equal(env.step(action)[0]["pixels"], frame)


def test_saved_data_keep_their_frames(data: Any, tmp_path: Path) -> None:
    pytest.importorskip("h5py")
    saved = collect(BALL, policies.random(BALL, num_frames=60), 2, seed=1, folder=tmp_path / "set")
    registered = gym.registry.pop(BALL)
    try:  # as where the environment is not at hand
        found = open_dataset(tmp_path / "set")
        assert found.env_id == BALL
        np.testing.assert_array_equal(found.trajectory(1).frames.read([3]), data.trajectory(1).frames.read([3]))
    finally:
        gym.registry[BALL] = registered
    np.testing.assert_array_equal(saved.trajectory(1).states, data.trajectory(1).states)


@pytest.mark.parametrize("kind", ["data", "random"])
def test_agents_are_judged_there(kind: str, data: Any) -> None:
    tasks = DatasetTasks(data, 8, goal_offset=25) if kind == "data" else RandomTasks(BALL, 8)
    space = gym.make(BALL).action_space
    still = type("Still", (), {"predict": lambda self, o, **_: (np.zeros((len(o["pixels"]), *space.shape)), None)})()
    rows = evaluate_agents([AgentSpec("straight", Straight()), AgentSpec("still", still)], tasks, "paper")
    reached = {row.agent: row.evaluation.success_end.value for row in rows}
    assert reached["straight"] == (
        1.0 if kind == "data" else pytest.approx(1.0, abs=0.3)
    )  # 25 steps of 1, up to 20 away
    assert reached["still"] == 0.0


def test_starts_and_goals_that_are_replayed_are_the_recorded_ones(tmp_path: Path) -> None:
    pytest.importorskip("h5py")
    collect(HIDDEN, policies.random(HIDDEN, num_frames=60), 6, seed=1, folder=tmp_path / "set")
    recorded = open_dataset(tmp_path / "set")
    tasks = DatasetTasks(recorded, 8, goal_offset=25)
    assert tasks.redrawn["refused"] == 0
    env: Any = gym.make(HIDDEN).unwrapped
    for task in tasks.tasks:
        number, start, end = map(int, re.findall(r"\d+", task.source))
        trajectory = recorded.trajectory(number)
        observation, _ = env.reset(seed=task.seed, options={"state": task.state, "goal_state": task.goal_state})
        np.testing.assert_array_equal(observation["observation"], trajectory.states[start, :2])
        frames = trajectory.frames.read([start, end])
        np.testing.assert_array_equal([observation["pixels"], observation["goal_pixels"]], frames)
        moved = env.step(trajectory.actions[start])[0]["observation"]
        np.testing.assert_array_equal(moved, trajectory.states[start + 1, :2])
    (row,) = evaluate_agents([AgentSpec("straight", Straight())], tasks, "paper")
    assert row.evaluation.success_end.value > 0.4  # the wind may move it on, off the goal


def test_tasks_of_an_environment_that_is_not_reproducible_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = collect(HIDDEN, policies.random(HIDDEN, num_frames=60), 3, seed=1)
    monkeypatch.setattr(Ball, "step", lambda self, action: (setattr(self, "place", self.place + 1.1 * action), 0))
    with pytest.raises(ValueError, match=naming("HiddenBall", "recorded actions")):
        DatasetTasks(data, 8, goal_offset=25)


def test_only_what_is_called_an_angle_is_judged_as_one() -> None:
    env = SimpleNamespace(state_labels=("x", "y", "pole angle", "wheel angle", "speed", "replay_0"))
    observation = {"achieved_goal": np.array([[3, 4, 6.2, 1, 0.0]]), "desired_goal": np.zeros((1, 5))}
    assert distances(env, observation) == {"distance": [5.0], "angle": [1.0]}
    env.state_labels = tuple("abcde")
    assert distances(env, observation) == {"distance": [pytest.approx(np.linalg.norm([3, 4, 6.2, 1]))]}


def test_actions_without_bounds_are_not_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ball, "action_space", gym.spaces.Box(-np.inf, np.inf, (2,), np.float32))
    with pytest.raises(ValueError, match=naming("random", BALL, "bounds")):
        policies.random(BALL)


def test_policies_of_our_environments_stay_there() -> None:
    with pytest.raises(ValueError, match=naming("waypoint", BALL)):
        policies.waypoint(BALL)
    with pytest.raises(ValueError, match=naming("random", "register_goal_env", "CartPole-v1")):
        policies.random("CartPole-v1")


def test_an_id_brings_its_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_balls.py").write_text(
        "from foreign_envs import make_ball, near\n"
        "from wmcontrol.envs import register_goal_env\n"
        'register_goal_env("mine/Ball-v0", make_ball, success=near)\n'
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert bare_id("my_balls:mine/Ball-v0") == "mine/Ball-v0"
    assert collect("my_balls:mine/Ball-v0", policies.random("mine/Ball-v0"), 1).env_id == "mine/Ball-v0"
    with pytest.raises(ValueError, match="no_such"):
        bare_id("no_such:mine/Ball-v0")
