"""Minari recordings of our environments, written by Minari itself: nothing that they say of the world is lost."""

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from foreign_envs import Ball
from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete
from naming import naming

from wmcontrol.actions import ActionLayout
from wmcontrol.data import open_dataset
from wmcontrol.data.formats.minari import MinariTrajectories
from wmcontrol.data.formats.minari_episodes import space_of
from wmcontrol.evaluation import DatasetTasks

minari = pytest.importorskip("minari")
WALL, PUSHT, MAZE = (f"wmcontrol/{name}-v0" for name in ("Wall", "PushT", "PointMaze_UMaze"))
# What it is made with, and what holds for it: env_settings, Hz, the highest action.
RECORDED = [
    (WALL, {}, {}, 10.0, 1.0),
    (WALL, {"layout": "random", "action_scale": 1.0}, {"layout": "random", "action_scale": 1.0}, 10.0, 1.0),
    (PUSHT, {"action_mode": "absolute", "reward_type": "dense"}, {"action_mode": "absolute"}, 10.0, 512.0),
    (MAZE, {"frame_skip": 2, "image_size": 32}, {"frame_skip": 2}, 50.0, 1.0),
]


def record(
    folder: Path,
    env: gym.Env,
    data_format: str = "hdf5",
    jpeg: bool = False,
    options: dict[str, Any] | None = None,
    count: int = 2,
    steps: int = 6,
) -> list[dict[str, Any]]:
    """Play episodes, let Minari write what its DataCollector gathers, and return what truly happened."""
    storage_type = pytest.importorskip("minari.dataset.minari_storage").MinariStorage
    buffer_type = pytest.importorskip("minari.data_collector.episode_buffer").EpisodeBuffer
    (folder / "data").mkdir(parents=True)
    storage = storage_type.new(
        folder / "data", env.observation_space, env.action_space, env.spec, data_format, jpeg_encoding=jpeg
    )
    storage.update_metadata({"dataset_id": "someone/set-v0", "minari_version": minari.__version__})
    env.action_space.seed(0)
    happened = []
    for number in range(count):
        observation, _ = env.reset(seed=number, options=options)
        seen, states, actions, rewards = [observation], [env.unwrapped.get_state()], [], []
        for _ in range(steps):
            actions.append(env.action_space.sample())
            observation, reward, *_ = env.step(actions[-1])
            seen.append(observation)
            states.append(env.unwrapped.get_state())
            rewards.append(reward)
        observations = {name: np.stack([one[name] for one in seen]) for name in seen[0]}
        happened.append(
            {
                "states": np.stack(states),
                "actions": np.stack(actions),
                "rewards": np.array(rewards),
                "variation": env.unwrapped.variation,
                "pixels": env.unwrapped.draw(np.stack(states)),
            }
        )
        ends = np.zeros(steps, bool)
        storage.update_episodes(
            [
                buffer_type(
                    id=number,
                    options=options,
                    observations=observations,
                    actions=np.stack(actions),
                    rewards=rewards,
                    terminations=ends,
                    truncations=ends,
                )
            ]
        )
    env.close()
    return happened


@pytest.mark.parametrize("obs_type", ["pixels_state", "state"])
@pytest.mark.parametrize("data_format", ["hdf5", "arrow", "parquet"])
@pytest.mark.parametrize(("env_id", "made_with", "settings", "rate", "high"), RECORDED)
def test_a_recording_keeps_what_its_environment_was_made_with(
    tmp_path: Path,
    env_id: str,
    made_with: dict[str, Any],
    settings: dict[str, Any],
    rate: float,
    high: float,
    data_format: str,
    obs_type: str,
) -> None:
    env = gym.make(env_id, terminate_on_success=False, obs_type=obs_type, **{"image_size": 32, **made_with})
    happened = record(tmp_path, env, data_format)
    read = open_dataset(tmp_path, image_size=32)
    assert (read.env_id, dict(read.env_settings), read.control_rate) == (env_id, settings, rate)
    low, found_high = read.action_bounds
    assert found_high.tolist() == [high, high]
    assert low.tolist() == [-1.0 if high == 1 else 0.0] * 2
    assert read.lengths.tolist() == [7, 7]
    for index, truth in enumerate(happened):
        trajectory = read.trajectory(index)
        np.testing.assert_array_equal(trajectory.states, truth["states"])
        np.testing.assert_array_equal(trajectory.actions, truth["actions"])
        np.testing.assert_array_equal(trajectory.rewards, truth["rewards"])
        np.testing.assert_allclose(trajectory.times, np.arange(7) / rate)
        np.testing.assert_array_equal(trajectory.frames.read([6, 0]), truth["pixels"][[6, 0]])
        for name in ("wall_position", "door_position") if "layout" in made_with else ():
            np.testing.assert_array_equal(trajectory.variation[name], truth["variation"][name])


def test_tasks_of_a_recording_start_where_it_was_and_do_what_it_did(tmp_path: Path) -> None:
    happened = record(tmp_path, gym.make(WALL, layout="random", action_scale=3.0, obs_type="state"), count=3, steps=30)
    tasks = DatasetTasks(open_dataset(tmp_path), 3, goal_offset=20, context_steps=3)
    assert tasks.env_settings == {"layout": "random", "action_scale": 3.0}
    env = gym.make(tasks.env_id, **tasks.env_settings, terminate_on_success=False).unwrapped
    for task in tasks.tasks:
        env.reset(options={"state": task.state, "goal_state": task.goal_state, "variation": dict(task.variation)})
        for action in task.replay:
            env.step(action)
        (episode,) = (one for one in happened if (one["states"] == task.state).all(1).any())
        start = int((episode["states"] == task.state).all(1).argmax())
        np.testing.assert_array_equal(env.get_state(), episode["states"][start + 3])


@pytest.mark.parametrize("data_format", ["hdf5", "arrow"])
@pytest.mark.parametrize("asked", [{"block_size": 0.8, "agent_color": [1, 2, 3]}, "all", ["block_size"], None])
def test_looks_that_a_reset_was_asked_for_are_kept_and_states_of_unknown_worlds_left_out(
    tmp_path: Path, asked: Any, data_format: str
) -> None:
    env = gym.make(PUSHT, obs_type="state", variation=None if isinstance(asked, dict) else asked)
    options = {"variation": asked} if isinstance(asked, dict) else None
    happened = record(tmp_path, env, data_format, options=options)
    trajectory = MinariTrajectories(tmp_path).trajectory(1)
    if asked in ("all", ["block_size"]):
        assert trajectory.states is None
        assert trajectory.frames is None
        assert not trajectory.variation
        return
    np.testing.assert_array_equal(trajectory.states, happened[1]["states"])
    np.testing.assert_array_equal(trajectory.frames.read([0]), happened[1]["pixels"][[0]])
    assert {name: value.tolist() for name, value in trajectory.variation.items()} == (
        {"block_size": [0.8], "agent_color": [1, 2, 3]} if asked else {}
    )


@pytest.mark.filterwarnings("ignore:.*precision lowered:UserWarning")
def test_behind_a_wrapper_that_changes_actions_the_environment_is_unknown(tmp_path: Path) -> None:
    record(tmp_path, gym.wrappers.RescaleAction(gym.make(WALL), -0.5, 0.5))
    with pytest.raises(ValueError, match=naming("wmcontrol/Wall-v0", "RescaleAction", "control_rate")):
        open_dataset(tmp_path)
    read = open_dataset(tmp_path, control_rate=10)
    assert (read.env_id, dict(read.env_settings)) == (None, {})
    np.testing.assert_array_equal(read.action_bounds, [[-0.5, -0.5], [0.5, 0.5]])


def test_a_wrapper_that_only_looks_on_changes_nothing(tmp_path: Path) -> None:
    record(tmp_path, gym.wrappers.RecordEpisodeStatistics(gym.make(WALL, action_scale=1.0)))
    read = open_dataset(tmp_path)
    assert (read.env_id, dict(read.env_settings), read.control_rate) == (WALL, {"action_scale": 1.0}, 10.0)


def test_a_rate_that_contradicts_the_environment_is_refused(tmp_path: Path) -> None:
    record(tmp_path, gym.make(MAZE, frame_skip=2))
    with pytest.raises(ValueError, match=naming(50.0, 20)):
        open_dataset(tmp_path, control_rate=20)
    assert open_dataset(tmp_path, control_rate=50).control_rate == 50


def test_settings_that_our_environment_does_not_have_are_named(tmp_path: Path) -> None:
    record(tmp_path, gym.make(WALL))
    metadata = tmp_path / "data" / "metadata.json"
    metadata.write_text(metadata.read_text().replace('\\"kwargs\\": {}', '\\"kwargs\\": {\\"gravity\\": 1}'))
    with pytest.raises(ValueError, match=naming("metadata.json", "env_spec", "'gravity'")):
        open_dataset(tmp_path)


@pytest.mark.parametrize("env_id", [PUSHT, MAZE])
def test_states_of_another_size_are_not_taken_for_the_environments(tmp_path: Path, env_id: str) -> None:
    class Short(gym.ObservationWrapper):
        def observation(self, observation: dict[str, Any]) -> dict[str, Any]:
            return {**observation, "observation": observation["observation"][:-2]}

    env = gym.make(env_id, obs_type="state")
    space = env.observation_space["observation"]
    short = Short(env)
    short.observation_space = gym.spaces.Dict(
        {**env.observation_space.spaces, "observation": gym.spaces.Box(space.low[:-2], space.high[:-2], dtype=float)}
    )
    record(tmp_path, short)
    metadata = tmp_path / "data" / "metadata.json"
    text = metadata.read_text()
    assert "Short" in text
    with pytest.raises(ValueError, match="Short"):
        open_dataset(tmp_path)
    # As of somebody who writes down the environment alone.
    metadata.write_text(text.replace("Short", "TimeLimit"))
    size = len(space.low)
    with pytest.raises(ValueError, match=naming("episode_0", env_id, size, size - 2)):
        open_dataset(tmp_path).trajectory(0)


def test_actions_of_another_size_are_not_taken_for_the_environments(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    record(tmp_path, gym.make(WALL, obs_type="state"))
    with h5py.File(tmp_path / "data" / "main_data.hdf5", "a") as file:
        del file["episode_1/actions"]
        file["episode_1/actions"] = np.zeros((6, 3))
    with pytest.raises(ValueError, match=naming("episode_1", "actions", "wmcontrol/Wall-v0", 2, 3)):
        open_dataset(tmp_path).trajectory(1)


def test_where_episodes_should_be_is_told(tmp_path: Path) -> None:
    record(tmp_path, gym.make(WALL, obs_type="state"), "arrow")
    metadata = tmp_path / "data" / "metadata.json"
    metadata.write_text(metadata.read_text().replace('"data_format": "arrow", ', ""))
    with pytest.raises(FileNotFoundError, match=r"main_data\.hdf5.*data_format"):
        open_dataset(tmp_path)


@pytest.mark.parametrize("jpeg", [True, False])
@pytest.mark.parametrize("data_format", ["arrow", "parquet"])
def test_arrow_is_read_as_minari_reads_it(tmp_path: Path, data_format: str, jpeg: bool) -> None:
    record(tmp_path, gym.make(WALL, image_size=32), data_format, jpeg)
    read, theirs = open_dataset(tmp_path, camera="goal_pixels"), minari.MinariDataset(tmp_path / "data")
    for index, episode in enumerate(theirs):
        trajectory = read.trajectory(index)
        np.testing.assert_array_equal(trajectory.states, episode.observations["observation"])
        np.testing.assert_array_equal(trajectory.actions, episode.actions)
        np.testing.assert_array_equal(trajectory.frames.read([3, 0, 3]), episode.observations["goal_pixels"][[3, 0, 3]])
        assert trajectory.frames.read([]).shape == (0, 32, 32, 3)
    assert read.fingerprint() == open_dataset(tmp_path, camera="goal_pixels").fingerprint()
    assert read.fingerprint() != open_dataset(tmp_path).fingerprint()


@pytest.mark.parametrize(
    ("damage", "error", "says"),
    [
        (lambda folder: (folder / "1" / "metadata.json").unlink(), FileNotFoundError, r"1/metadata\.json"),
        (lambda folder: (folder / "1" / "metadata.json").write_text("{"), ValueError, r"1/metadata\.json"),
        (lambda folder: (folder / "1" / "metadata.json").write_text("[]"), ValueError, r"1/metadata\.json"),
        (lambda folder: cut(next((folder / "1").glob("*.arrow"))), OSError, "episode_1"),
        (lambda folder: next((folder / "1").glob("*.arrow")).unlink(), (OSError, ValueError), "episode_1"),
    ],
)
def test_a_damaged_arrow_episode_is_named(tmp_path: Path, damage: Any, error: Any, says: str) -> None:
    record(tmp_path, gym.make(WALL, image_size=32), "arrow")
    damage(tmp_path / "data")
    with pytest.raises(error, match=says):
        open_dataset(tmp_path).trajectory(1)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:200])


class Choosing(Ball):
    """Takes any actions, and stays where it is."""

    observation_space = gym.spaces.Dict(state=Box(-10, 10, (2,), np.float64))
    variation: dict[str, Any] = {}  # noqa: RUF012

    def __init__(self, space: gym.Space):
        super().__init__("rgb_array")
        self.action_space = space

    def reset(self, **settings: Any) -> Any:
        return {"state": super().reset(**settings)[0]}, {}

    def step(self, action: Any) -> Any:
        return {"state": self.place}, 0.5, False, False, {}

    def draw(self, states: Any) -> None: ...


def test_spaces_of_a_tuple_are_numbered_by_hdf5_and_by_arrow() -> None:
    first, second = {"type": "Box"}, {"type": "Discrete"}
    spaces = {"subspaces": [first, second]}
    for name in ("1", "_index_1"):
        assert space_of(spaces, name) == second
    for name in ("2", "_index_2", "camera", "-1"):
        assert space_of(spaces, name) == {}


@pytest.mark.parametrize("data_format", ["hdf5", "arrow"])
@pytest.mark.parametrize(
    "space",
    [Discrete(3, start=2), MultiDiscrete([3, 2]), MultiBinary(3), Box(-1, 1, (2, 2), np.float32), Box(-1, 1, ())],
    ids=str,
)
def test_actions_of_other_spaces_are_read_as_vectors(tmp_path: Path, space: gym.Space, data_format: str) -> None:
    happened = record(tmp_path, Choosing(space), data_format)
    read, layout = open_dataset(tmp_path, control_rate=5), ActionLayout.of(space)
    assert read.action_layout == layout
    for index, truth in enumerate(happened):
        np.testing.assert_array_equal(read.trajectory(index).actions, layout.to_vectors(truth["actions"]))
    if not layout.choices:
        np.testing.assert_array_equal(read.action_bounds, layout.bounds(space))
