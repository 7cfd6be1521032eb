"""Starts and goals."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from naming import naming
from walks_data import Walks

from wmcontrol.data import Subset, Trajectory
from wmcontrol.evaluation import PROTOCOLS, DatasetTasks, Protocol, RandomTasks


def test_goals_are_so_many_steps_ahead_in_the_same_trajectory(walks: Walks) -> None:
    tasks = DatasetTasks(walks, 12, goal_offset=25)
    assert len(tasks.tasks) == 12
    for task in tasks.tasks:
        record, _, begin, _, end = task.source.replace(",", "").split()
        trajectory = walks.trajectory(int(record.removeprefix("episode_")))
        assert int(end) == int(begin) + 25
        assert trajectory.states is not None
        np.testing.assert_array_equal(task.state, trajectory.states[int(begin)])
        np.testing.assert_array_equal(task.goal_state, trajectory.states[int(end)])
        np.testing.assert_array_equal(task.variation["wall_position"], [36.0])
        assert task.replay.shape == (0, 2)


def test_tasks_show_themselves_in_a_line(walks: Walks) -> None:
    assert re.search(naming("DatasetTasks", 3, walks.env_id, 25, "seed=7"), repr(DatasetTasks(walks, 3, seed=7)))
    assert re.search(naming("RandomTasks", 3, "Wall", "seed=7"), repr(RandomTasks("wmcontrol/Wall-v0", 3, seed=7)))


def test_goals_of_other_trajectories_are_frames_of_theirs(walks: Walks) -> None:
    tasks = DatasetTasks(walks, 30, goal_offset=None, context_steps=3)
    pairs = []
    for task in tasks.tasks:
        words = task.source.replace(",", "").split()
        record, begin, other, end = words[0], int(words[2]), words[4], int(words[6])
        start, goal = (walks.trajectory(int(name.removeprefix("episode_"))) for name in (record, other))
        assert start.states is not None
        assert goal.states is not None
        assert record != other
        np.testing.assert_array_equal(task.state, start.states[begin - 3])
        np.testing.assert_array_equal(task.goal_state, goal.states[end])
        pairs.append((record, other))
    assert len(set(pairs)) > 15  # of 30 that there are
    assert tasks.describe()["goal_offset"] is None
    again = DatasetTasks(walks, 8, goal_offset=None, context_steps=3).tasks
    assert [task.source for task in again] == [task.source for task in tasks.tasks[:8]]
    assert [task.source for task in DatasetTasks(walks, 8, goal_offset=None, context_steps=3, seed=1).tasks] != [
        task.source for task in again
    ]


def test_goals_of_other_trajectories_that_are_reached_already_are_redrawn() -> None:
    class Together(Walks):
        """All but the last stand at one place, and that at one far away."""

        def trajectory(self, index: int) -> Trajectory:
            at = [10.0, 50.0] if index == 5 else [10.0, 10.0]
            return replace(super().trajectory(index), states=np.tile(at, (41, 1)))

    tasks = DatasetTasks(Together(), 12, goal_offset=None)
    assert all("episode_5" in task.source for task in tasks.tasks)
    assert tasks.redrawn["solved"] > 12
    with pytest.raises(ValueError, match=naming(1, 0)):
        DatasetTasks(Subset(Walks(), [2]), 1, goal_offset=None)


def test_goals_that_cannot_be_in_the_worlds_of_the_starts_are_redrawn() -> None:
    class Doors(Walks):
        """In the first the wall is where the others stand."""

        def trajectory(self, index: int) -> Trajectory:
            x, wall = (40.0, 22.0) if index == 0 else (22.0, 36.0)
            states = np.stack([np.full(41, x), np.linspace(5, 15, 41)], 1)
            return replace(super().trajectory(index), states=states, variation={"wall_position": np.array([wall])})

    tasks = DatasetTasks(Doors(3), 10, goal_offset=None)
    assert tasks.redrawn["refused"] > 3
    assert not any(task.source.startswith("episode_0") for task in tasks.tasks)


@pytest.mark.parametrize("env_id", ["nonsense/Env-v0", "Nonsense-v3", "Wall-v0:x", "CartPole-v1"])
def test_an_environment_that_cannot_be_made_is_named(env_id: str, walks: Walks) -> None:
    walks.env_id = env_id
    with pytest.raises(ValueError, match=env_id):
        DatasetTasks(walks, 3)


def test_a_data_set_imports_no_module(walks: Walks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "payload_of_a_set.py").write_text("raise SystemExit('it ran')")
    monkeypatch.syspath_prepend(tmp_path)
    walks.env_id = "payload_of_a_set:wmcontrol/Wall-v0"
    with pytest.raises(ValueError, match="payload_of_a_set"):
        DatasetTasks(walks, 3)


@pytest.mark.parametrize(
    ("env_id", "settings", "named"),
    [
        # registered by Gymnasium itself, and makes what its keyword says, of whatever module
        ("GymV26Environment-v0", {"env_id": "payload_of_a_set:Env-v0"}, "GymV26Environment-v0"),
        ("Ant-v5", {"xml_file": "payload_of_a_set.xml"}, "Ant-v5"),
        ("wmcontrol/Wall-v0", {"colour": "red"}, "colour"),
        ("wmcontrol/Wall-v0", {"disable_env_checker": False}, "disable_env_checker"),
        ("wmcontrol/Wall-v0", {"frame_skip": "many"}, "wmcontrol/Wall-v0"),
    ],
)
def test_settings_of_a_data_set_go_only_to_an_environment_that_agents_act_in_and_that_takes_them(
    env_id: str, settings: dict[str, Any], named: str, walks: Walks, monkeypatch: pytest.MonkeyPatch
) -> None:
    walks.env_id, walks.env_settings = env_id, settings
    made: list[str] = []
    monkeypatch.setattr("gymnasium.envs.mujoco.ant_v5.AntEnv.__init__", lambda *_, **__: made.append("made"))
    with pytest.raises(ValueError, match=named):
        DatasetTasks(walks, 3)
    assert not made


def test_trajectories_take_turns_and_no_task_comes_twice(walks: Walks) -> None:
    sources = [task.source for task in DatasetTasks(walks, 30).tasks]
    assert len(set(sources)) == 30
    for turn in range(5):
        assert len({source.split(",")[0] for source in sources[6 * turn : 6 * turn + 6]}) == 6


def test_the_seed_decides_and_fewer_are_the_first_of_more(walks: Walks) -> None:
    def sources(*args: Any, **settings: Any) -> list[str]:
        return [task.source for task in DatasetTasks(walks, *args, **settings).tasks]

    assert sources(20)[:8] == sources(8)
    assert sources(8) != sources(8, seed=1)
    assert DatasetTasks(walks, 8).describe() == DatasetTasks(walks, 8).describe()
    assert DatasetTasks(walks, 8).describe()["digest"] != DatasetTasks(walks, 8, seed=1).describe()["digest"]


def test_held_out_trajectories_only(walks: Walks) -> None:
    tasks = DatasetTasks(Subset(walks, [1, 4]), 10)
    assert {task.source.split(",")[0] for task in tasks.tasks} == {"episode_1", "episode_4"}


def test_tasks_that_are_solved_at_the_start_are_redrawn_and_counted() -> None:
    tasks = DatasetTasks(Walks(6, still=3), 9)
    assert 6 <= tasks.redrawn["solved"] <= 9  # two turns at least, and a part of the third
    assert tasks.redrawn["refused"] == 0
    assert not {task.source.split(",")[0] for task in tasks.tasks} & {"episode_0", "episode_1", "episode_2"}
    with pytest.raises(ValueError, match=naming(25, 0, 96)):
        DatasetTasks(Walks(6, still=6), 1)


class FiveNumbers(Walks):
    """Push-T's poses without the agent's velocity, which the environment would take for zero."""

    env_id = "wmcontrol/PushT-v0"

    def trajectory(self, index: int) -> Trajectory:
        states = np.linspace([100, 100, 250, 250, 0], [400, 400, 250, 250, 1], int(self.lengths[index]))
        return replace(super().trajectory(index), states=states, variation={})


def test_states_that_lack_velocities_are_no_starts() -> None:
    with pytest.raises(ValueError, match=r"episode_\d.*\b7\b.*agent x.*\b5\b"):
        DatasetTasks(FiveNumbers(), 2)


def test_a_warm_up_starts_earlier_and_says_what_was_done(walks: Walks) -> None:
    tasks = DatasetTasks(walks, 6, goal_offset=20, context_steps=10)
    for task in tasks.tasks:
        record, _, begin, *_ = task.source.replace(",", "").split()
        trajectory = walks.trajectory(int(record.removeprefix("episode_")))
        assert trajectory.states is not None
        assert trajectory.actions is not None
        start = int(begin)
        assert start >= 10
        np.testing.assert_array_equal(task.state, trajectory.states[start - 10])
        np.testing.assert_array_equal(task.replay, trajectory.actions[start - 10 : start])


def test_states_that_no_episode_can_start_from_are_refused_by_name() -> None:
    class Inside(Walks):
        def trajectory(self, index: int) -> Any:
            found = super().trajectory(index)
            assert found.states is not None
            found.states[:] = [36.0, 50.0]  # in the wall
            return found

    with pytest.raises(ValueError, match=r"episode_\d.*wall"):
        DatasetTasks(Inside(), 20)


def test_data_that_have_no_tasks_are_refused(walks: Walks) -> None:
    with pytest.raises(ValueError, match=naming(6, 0)):
        DatasetTasks(walks, 1, goal_offset=41)
    walks.env_id = None
    with pytest.raises(ValueError, match="env_id"):
        DatasetTasks(walks, 1)
    assert len(DatasetTasks(walks, 1, env_id="wmcontrol/Wall-v0").tasks) == 1
    for settings in ({"goal_offset": 0}, {"context_steps": -1}, {"seed": -1}, {"num_tasks": 0}, {"goal_offset": True}):
        with pytest.raises(ValueError, match=next(iter(settings))):
            DatasetTasks(walks, **{"env_id": "wmcontrol/Wall-v0", **settings})


def test_random_tasks_are_those_that_the_environment_draws() -> None:
    tasks = RandomTasks("wmcontrol/PushT-v0", 5, seed=2)
    assert [task.seed for task in RandomTasks("wmcontrol/PushT-v0", 3, seed=2).tasks] == [
        task.seed for task in tasks.tasks[:3]
    ]
    assert len({task.seed for task in tasks.tasks}) == 5
    env = gym.make(tasks.env_id)
    assert not env.reset(seed=tasks.tasks[0].seed)[1]["is_success"]
    with pytest.raises(ValueError, match="num_tasks"):
        RandomTasks("wmcontrol/PushT-v0", 0)


@pytest.mark.parametrize("layout", ["fixed", "random"])
def test_walls_own_tasks_go_to_the_opposite_room(layout: str) -> None:
    env: Any = gym.make("wmcontrol/Wall-v0", obs_type="state", layout=layout, disable_env_checker=True).unwrapped
    sides = []
    for task in RandomTasks(env.spec.id, 20, env_settings={"layout": layout}).tasks:
        observation, _ = env.reset(seed=task.seed)
        wall = env.variation["wall_position"][0]
        sides.append((env.get_state()[0] > wall, observation["desired_goal"][0] > wall))
    assert all(start != goal for start, goal in sides)
    assert len(set(sides)) == 2  # either way


def test_mazes_own_tasks_go_from_anywhere_to_anywhere() -> None:
    env: Any = gym.make("wmcontrol/PointMaze_Large-v0", obs_type="state", disable_env_checker=True).unwrapped
    cells: list[set[tuple[int, ...]]] = [set(), set()]
    for task in RandomTasks(env.spec.id, 500).tasks:
        observation, info = env.reset(seed=task.seed)
        assert not info["is_success"]
        for found, place in zip(cells, (env.get_state()[:2], observation["desired_goal"]), strict=True):
            found.add(tuple(np.rint(place + 0.2).astype(int)))
    assert len(cells[0]) == len(cells[1]) == 46  # all that are free


def test_protocols_are_what_they_were_published_as() -> None:
    paper, mpc, swm = PROTOCOLS["paper"], PROTOCOLS["mpc"], PROTOCOLS["swm"]
    assert (paper.goal_offset, paper.budget, paper.replan_every, paper.num_tasks, paper.horizon) == (25, 25, 25, 512, 5)
    assert paper.planner == {"num_samples": 300, "num_elites": 10, "num_iterations": 30}
    assert (mpc.budget, mpc.replan_every) == (50, 5)
    assert (swm.goal_offset, swm.budget, swm.planner["num_elites"]) == (25, 50, 30)
    far = PROTOCOLS["far"]
    assert (far.goal_offset, far.budget, far.replan_every, far.num_tasks) == (None, 150, 5, 256)
    with pytest.raises(ValueError, match="budget"):
        Protocol(name="none", budget=0)
    assert replace(mpc, goal_offset=30, budget=60, horizon=3, replan_every=10, num_tasks=8).as_dict() == {
        **mpc.as_dict(),
        "goal_offset": 30,
        "budget": 60,
        "horizon": 3,
        "replan_every": 10,
        "num_tasks": 8,
    }
    for name in ("goal_offset", "budget", "horizon", "replan_every", "num_tasks"):
        changed: Any = {name: 2.5}
        with pytest.raises(ValueError, match=f"{name} .*2.5"):
            replace(mpc, **changed)
