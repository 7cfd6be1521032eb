"""Reading D4RL's maze2d files, written here as its generator writes them."""

import pickle
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from naming import naming
from processes import read_elsewhere

import wmcontrol  # noqa: F401
from wmcontrol.data import TrajectoryDataset
from wmcontrol.data.formats.d4rl import D4RLTrajectories, recognises

h5py = pytest.importorskip("h5py")

GOAL_EVERY = 7
ROWS = 24  # episodes of 7, 7, 7 and 3


def generated() -> dict[str, np.ndarray]:
    """What D4RL's generator records: it never resets, and after an episode it shows a stale observation once."""
    env = gym.make("wmcontrol/PointMaze_UMaze-v0", frame_skip=1, obs_type="state", terminate_on_success=False)
    env.reset(options={"state": [0.8, 0.8, 0, 0], "goal_state": [2.8, 0.8]})
    env.action_space.seed(0)
    keys = ("observations", "actions", "terminals", "infos/goal", "infos/qpos", "infos/qvel")
    rows: dict[str, list[Any]] = {key: [] for key in keys}
    shown = env.unwrapped.get_state()
    for row in range(ROWS):
        state, action, done = env.unwrapped.get_state(), env.action_space.sample(), row % GOAL_EVERY == GOAL_EVERY - 1
        rows["observations"].append(shown)
        rows["actions"].append(action)
        rows["terminals"].append(done)
        rows["infos/goal"].append([1.0 + row // GOAL_EVERY, 1.0])
        rows["infos/qpos"].append(state[:2])
        rows["infos/qvel"].append(state[2:])
        env.step(action)
        shown = shown if done else env.unwrapped.get_state()
    arrays = {key: np.array(values, np.float32) for key, values in rows.items()}
    return {**arrays, "terminals": arrays["terminals"].astype(bool), "rewards": np.zeros(ROWS, np.float32)}


def save(path: Path, arrays: dict[str, np.ndarray | None]) -> Path:
    with h5py.File(path, "w") as file:
        for key, values in arrays.items():
            if values is not None:
                file.create_dataset(key, data=values, compression="gzip")
    return path


def test_episodes_end_at_terminals_and_states_are_the_true_ones(tmp_path: Path) -> None:
    data = generated()
    path = save(tmp_path / "maze2d-umaze-v1.hdf5", data)
    assert recognises(path)
    read = D4RLTrajectories(path, image_size=32)
    assert isinstance(read, TrajectoryDataset)
    assert read.lengths.tolist() == [7, 7, 7, 3]
    assert (read.env_id, read.control_rate) == ("wmcontrol/PointMaze_UMaze-v0", 100.0)
    np.testing.assert_array_equal(read.action_bounds, [[-1, -1], [1, 1]])
    truth = np.concatenate([data["infos/qpos"], data["infos/qvel"]], axis=1)
    assert (truth[7] != data["observations"][7]).any()  # the stale one
    for index, start in enumerate((0, 7, 14, 21)):
        trajectory = read.trajectory(index)
        T = len(trajectory)
        np.testing.assert_array_equal(trajectory.states, truth[start : start + T])
        np.testing.assert_array_equal(trajectory.actions, data["actions"][start : start + T - 1])
        np.testing.assert_allclose(trajectory.times, 0.01 * np.arange(T))
        assert trajectory.states.dtype == trajectory.actions.dtype == np.float64
        assert f"from row {start}" in str(trajectory.provenance)
    with pytest.raises(IndexError, match=naming(4)):
        read.trajectory(4)


def test_our_environment_makes_the_same_steps_and_the_same_frames(tmp_path: Path) -> None:
    read = D4RLTrajectories(save(tmp_path / "maze2d-umaze-v1.hdf5", generated()), image_size=32)
    env = gym.make(read.env_id, **read.env_settings, image_size=32)
    assert env.unwrapped.control_rate == read.control_rate
    trajectory = read.trajectory(1)
    for t, action in enumerate(trajectory.actions):
        observation, _ = env.reset(options={"state": trajectory.states[t], "goal_state": [2.8, 0.8]})
        np.testing.assert_array_equal(trajectory.frames.read([t])[0], observation["pixels"])
        env.step(action)
        np.testing.assert_allclose(env.unwrapped.get_state(), trajectory.states[t + 1], atol=1e-5)


def test_without_infos_the_observations_are_the_states(tmp_path: Path) -> None:
    data = {key: values for key, values in generated().items() if not key.startswith("infos")}
    read = D4RLTrajectories(save(tmp_path / "umaze.hdf5", data))
    np.testing.assert_array_equal(read.trajectory(0).states, data["observations"][:7])


def _marks(*rows: int) -> np.ndarray:
    return np.isin(np.arange(ROWS), rows)


@pytest.mark.parametrize(
    ("change", "lengths"),
    [
        ({"terminals": _marks(), "timeouts": _marks(9, 23)}, [10, 14]),
        ({"terminals": _marks(4), "timeouts": _marks(9)}, [5, 5, 14]),
        ({"terminals": _marks(0, 23)}, [1, 23]),
        # No marks at all: where the goal changes, as the generator does between episodes.
        ({"terminals": _marks()}, [7, 7, 7, 3]),
        ({"terminals": _marks(), "timeouts": _marks()}, [7, 7, 7, 3]),
        ({"terminals": _marks(), "infos/goal": None}, [24]),
        ({"terminals": _marks(4).astype(np.float32)}, None),
    ],
)
def test_where_episodes_end(tmp_path: Path, change: dict[str, Any], lengths: list[int] | None) -> None:
    path = save(tmp_path / "maze2d-umaze-v1.hdf5", {**generated(), **change})
    if lengths is None:
        with pytest.raises(ValueError, match="terminals"):
            D4RLTrajectories(path)
    else:
        assert D4RLTrajectories(path).lengths.tolist() == lengths


@pytest.mark.parametrize("marks", [(), (13,)])
def test_a_jump_that_no_step_makes_is_a_reset(tmp_path: Path, marks: tuple[int, ...]) -> None:
    data = generated()
    data["infos/goal"][:] = 0
    data["terminals"] = _marks(*marks)
    data["infos/qpos"][10:, 1] += 0.2
    read = D4RLTrajectories(save(tmp_path / "maze2d-umaze-v1.hdf5", data))
    assert read.lengths.tolist() == ([10, 4, 10] if marks else [10, 14])


def test_the_fastest_ball_does_not_jump(tmp_path: Path) -> None:
    env = gym.make("wmcontrol/PointMaze_Medium-v0", frame_skip=1, obs_type="state", terminate_on_success=False)
    states = []
    for start, force in (([0.8, 0.8], [0, 1]), ([5.8, 5.8], [-1, -1]), ([2.8, 2.8], [1, 0])):
        env.reset(options={"state": [*start, 5, 5], "goal_state": [0.8, 0.8]})
        for _ in range(60):
            states.append(env.unwrapped.get_state())
            env.step(np.float32(force))
    data = {
        "observations": np.array(states, np.float32),
        "actions": np.zeros((180, 2), np.float32),
        "terminals": np.zeros(180, bool),
    }
    assert np.abs(np.diff(data["observations"][:60, :2], axis=0)).max() > 0.05
    read = D4RLTrajectories(save(tmp_path / "medium.hdf5", data))
    assert read.lengths.tolist() == [60, 60, 60]


@pytest.mark.parametrize(
    ("name", "maze"),
    [
        ("maze2d-umaze-sparse-v1.hdf5", "UMaze"),
        ("Maze2D-Medium-dense-v1-noisy.hdf5", "Medium"),
        ("maze2d-large-v1.hdf5", "Large"),
    ],
)
def test_the_name_says_which_maze(tmp_path: Path, name: str, maze: str) -> None:
    assert D4RLTrajectories(save(tmp_path / name, generated())).env_id == f"wmcontrol/PointMaze_{maze}-v0"


@pytest.mark.parametrize("name", ["mine.hdf5", "maze2d-open-v0.hdf5", "maze2d-eval-umaze-v1.hdf5", "umaze-large.hdf5"])
def test_a_name_that_does_not_say_asks_for_the_maze(tmp_path: Path, name: str) -> None:
    path = save(tmp_path / name, generated())
    with pytest.raises(ValueError, match=rf"{name}.*give maze="):
        D4RLTrajectories(path)
    assert D4RLTrajectories(path, maze="large").env_id == "wmcontrol/PointMaze_Large-v0"
    with pytest.raises(ValueError, match="maze"):
        D4RLTrajectories(path, maze="open")


def test_workers_read_the_same(tmp_path: Path) -> None:
    read = D4RLTrajectories(save(tmp_path / "maze2d-umaze-v1.hdf5", generated()), image_size=32)
    expected = [read.trajectory(index) for index in range(4)]
    assert len(pickle.dumps(read)) < 3000
    for there in read_elsewhere(read.trajectory, range(4)).values():
        for trajectory, here in zip(there, expected, strict=True):
            np.testing.assert_array_equal(trajectory.states, here.states)
            np.testing.assert_array_equal(trajectory.frames.read([0, 1]), here.frames.read([0, 1]))


def test_fingerprints_change_with_the_file_and_with_how_it_is_drawn(tmp_path: Path) -> None:
    path = save(tmp_path / "maze2d-umaze-v1.hdf5", generated())
    first = D4RLTrajectories(path).fingerprint()
    assert first == D4RLTrajectories(path).fingerprint()
    assert first != D4RLTrajectories(path, image_size=32).fingerprint()
    assert first != D4RLTrajectories(path, maze="medium").fingerprint()
    save(path, {**generated(), "rewards": np.ones(ROWS)})
    assert first != D4RLTrajectories(path).fingerprint()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"actions": None}, "actions"),
        ({"observations": None}, "observations"),
        ({"terminals": None}, "terminals"),
        ({"actions": np.zeros((ROWS - 1, 2), np.float32)}, "actions"),
        ({"actions": np.zeros((ROWS, 3), np.float32)}, "actions"),
        ({"actions": np.zeros((ROWS, 2), np.int32)}, r"actions.*int32"),
        ({"observations": np.zeros((ROWS, 29), np.float32)}, "observations"),
        ({"observations": np.zeros(ROWS, np.float32)}, "observations"),
        ({"observations": np.array(1.0, np.float32)}, "observations"),
        ({"actions": None, "actions/inner": np.zeros(3)}, "actions"),
        ({"terminals": np.zeros(ROWS + 1, bool)}, "terminals"),
        ({"timeouts": np.zeros(ROWS - 1, bool)}, "timeouts"),
        ({"infos/qpos": np.zeros((ROWS + 1, 2), np.float32)}, "infos/qpos"),
        ({"infos/qvel": np.zeros((ROWS, 1), np.float32)}, "infos/qvel"),
        ({key: values[:0] for key, values in generated().items()}, "rows"),
    ],
)
def test_a_broken_file_is_named_with_its_key(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    arrays = {**generated(), **change}
    path = tmp_path / "maze2d-umaze-v1.hdf5"
    with h5py.File(path, "w") as file:
        for key, values in arrays.items():
            if values is not None:
                file[key] = values
    with pytest.raises(ValueError, match=rf"maze2d-umaze-v1\.hdf5.*{says}"):
        D4RLTrajectories(path)


@pytest.mark.parametrize("key", ["actions", "infos/qvel"])
def test_numbers_that_are_none_name_their_episode(tmp_path: Path, key: str) -> None:
    data = generated()
    data[key][9, 1] = np.nan
    read = D4RLTrajectories(save(tmp_path / "maze2d-umaze-v1.hdf5", data))
    read.trajectory(0)
    with pytest.raises(ValueError, match=r"maze2d-umaze.*episode_1, .*7.*(actions|states)\[2\]"):
        read.trajectory(1)


def test_a_file_that_is_missing_or_not_whole_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="umaze"):
        D4RLTrajectories(tmp_path / "maze2d-umaze-v1.hdf5")
    path = save(tmp_path / "maze2d-umaze-v1.hdf5", generated())
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(OSError, match=naming("maze2d-umaze-v1.hdf5")):
        D4RLTrajectories(path)
    assert not recognises(path)


def test_only_maze2d_files_are_recognised(tmp_path: Path) -> None:
    arrays = generated()
    others = {
        "halfcheetah.hdf5": {**arrays, "observations": np.zeros((ROWS, 17))},
        "keys.hdf5": {"pixels": np.zeros((3, 4))},
        "group.hdf5": {"observations/state": np.zeros((3, 4)), "actions/x": np.zeros(3), "terminals": np.zeros(3)},
    }
    for name, content in others.items():
        assert not recognises(save(tmp_path / name, content))
    (tmp_path / "text.hdf5").write_text("text")
    (tmp_path / "empty.hdf5").write_bytes(b"")
    for path in ("text.hdf5", "empty.hdf5", "nothing.hdf5", ""):
        assert not recognises(tmp_path / path)


def test_a_link_to_another_file_is_refused_and_not_followed(tmp_path: Path) -> None:
    data = generated()
    save(tmp_path / "other.hdf5", {"qpos": data["infos/qpos"], "qvel": data["infos/qvel"]})
    path = save(tmp_path / "maze2d-umaze-v1.hdf5", {k: v for k, v in data.items() if not k.startswith("infos")})
    with h5py.File(path, "a") as file:
        file["infos"] = h5py.ExternalLink(str(tmp_path / "other.hdf5"), "/")
    with pytest.raises(ValueError, match=naming("maze2d-umaze-v1.hdf5", "infos")):
        D4RLTrajectories(path)
