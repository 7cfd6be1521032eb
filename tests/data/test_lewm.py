"""The HDF5 files of stable-worldmodel, written here as its writer does."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from naming import naming

from wmcontrol.data.formats.lewm import LeWM

h5py = pytest.importorskip("h5py")
LENGTHS = [5, 1, 7]
PUSHT = "wmcontrol/PushT-v0"


def columns_of() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    columns = {
        "pixels": rng.integers(0, 256, (13, 6, 7, 3), dtype=np.uint8),
        "action": rng.uniform(-1, 1, (13, 2)).astype(np.float32),
        "proprio": rng.normal(0, 100, (13, 4)).astype(np.float32),
        "state": rng.normal(0, 100, (13, 7)).astype(np.float32),
        "reward": np.zeros(13),
        "ep_len": np.array(LENGTHS, np.int32),
        "ep_offset": np.array([0, 5, 6], np.int64),
    }
    columns["action"][[4, 5, 12]] = np.nan  # what the last action of every episode is
    return columns


def write(path: Path, columns: dict[str, np.ndarray]) -> Path:
    with h5py.File(path, "w", libver="latest") as file:
        for name, values in columns.items():
            growing = {"maxshape": (None, *values.shape[1:]), "chunks": (1, *values.shape[1:])} if values.ndim else {}
            file.create_dataset(name, data=values, **growing)
    return path


def test_episodes_equal_what_was_written(tmp_path: Path) -> None:
    columns = columns_of()
    dataset = LeWM(write(tmp_path / "set.h5", columns), control_rate=10)
    assert dataset.lengths.tolist() == LENGTHS
    assert (dataset.env_id, dataset.control_rate, dataset.action_bounds) == (None, 10, None)
    for index, (start, length) in enumerate(zip([0, 5, 6], LENGTHS, strict=True)):
        trajectory, rows = dataset.trajectory(index), slice(start, start + length)
        np.testing.assert_array_equal(trajectory.states, columns["state"][rows])
        np.testing.assert_array_equal(trajectory.actions, columns["action"][rows][:-1])
        np.testing.assert_allclose(trajectory.times, np.arange(length) / 10)
        np.testing.assert_array_equal(trajectory.frames.read(range(length)), columns["pixels"][rows])
        picked = [length - 1, 0, length - 1]
        np.testing.assert_array_equal(trajectory.frames.read(picked), columns["pixels"][rows][picked])
    assert trajectory.frames.read([]).shape == (0, 6, 7, 3)


def test_episodes_may_lie_in_any_order_and_apart(tmp_path: Path) -> None:
    columns = columns_of()
    columns["ep_len"], columns["ep_offset"] = np.array([4, 3]), np.array([8, 1])
    dataset = LeWM(write(tmp_path / "set.h5", columns), control_rate=10)
    np.testing.assert_array_equal(dataset.trajectory(1).frames.read([0, 2]), columns["pixels"][[1, 3]])


def test_pixels_may_have_their_channels_first(tmp_path: Path) -> None:
    columns = columns_of()
    pixels = columns["pixels"]
    dataset = LeWM(write(tmp_path / "set.h5", {**columns, "pixels": np.moveaxis(pixels, -1, 1)}), control_rate=10)
    np.testing.assert_array_equal(dataset.trajectory(2).frames.read([1, 0]), pixels[[7, 6]])


def test_without_a_state_the_proprioception_is_taken(tmp_path: Path) -> None:
    columns = columns_of()
    del columns["state"]
    states = LeWM(write(tmp_path / "set.h5", columns), control_rate=10).trajectory(0).states
    np.testing.assert_array_equal(states, columns["proprio"][:5])
    del columns["proprio"]
    assert LeWM(write(tmp_path / "other.h5", columns), control_rate=10).trajectory(0).states is None


def test_rate_and_environment_are_the_users_to_tell(tmp_path: Path) -> None:
    path = write(tmp_path / "set.h5", columns_of())
    told = {"control_rate": {"control_rate": 20}, "env": {"env_id": PUSHT}}
    read = {name: LeWM(path, **settings) for name, settings in told.items()}
    assert (read["control_rate"].env_id, read["control_rate"].control_rate) == (None, 20)
    np.testing.assert_allclose(read["control_rate"].trajectory(0).times, np.arange(5) / 20)
    prints = {dataset.fingerprint() for dataset in read.values()} | {
        LeWM(path, control_rate=10).fingerprint(),
        LeWM(path, env_id=PUSHT, env_settings={"action_mode": "absolute"}).fingerprint(),
        LeWM(path, env_id=PUSHT, image_size=8).fingerprint(),
    }
    assert len(prints) == 5
    assert LeWM(path, env_id=PUSHT).fingerprint() == read["env"].fingerprint()
    for rate in (0, -1, np.nan, np.inf):
        with pytest.raises(ValueError, match="control_rate"):
            LeWM(path, control_rate=rate)


@pytest.mark.parametrize(
    ("env_id", "settings", "rate", "bounds"),
    [
        (PUSHT, {}, 10, (-1, 1)),
        (PUSHT, {"action_mode": "absolute"}, 10, (0, 512)),
        ("wmcontrol/PointMaze_UMaze-v0", {"frame_skip": 2}, 50, (-1, 1)),
    ],
)
def test_an_environment_that_is_known_says_rate_and_bounds(
    tmp_path: Path, env_id: str, settings: dict, rate: float, bounds: tuple[float, float]
) -> None:
    columns = columns_of()
    columns["state"] = columns["state"] if env_id == PUSHT else columns["proprio"]
    path = write(tmp_path / "set.h5", columns)
    for given in (None, rate):
        dataset = LeWM(path, env_id=env_id, env_settings=settings, control_rate=given)
        assert (dataset.env_id, dataset.env_settings, dataset.control_rate) == (env_id, settings, rate)
        np.testing.assert_array_equal(dataset.action_bounds, np.repeat([bounds], 2, 0).T)
        np.testing.assert_allclose(dataset.trajectory(0).times, np.arange(5) / rate)
    with pytest.raises(ValueError, match=naming(env_id, rate, 7)):
        LeWM(path, env_id=env_id, env_settings=settings, control_rate=7)


def test_without_rate_and_environment_none_is_made_up(tmp_path: Path) -> None:
    path = write(tmp_path / "set.h5", columns_of())
    with pytest.raises(ValueError, match=naming("set.h5", "control_rate", "env_id")):
        LeWM(path)
    with pytest.raises(ValueError, match=naming("set.h5", "control_rate")):
        LeWM(path, env_id="swm/PushT-v1")  # which we cannot ask
    with pytest.raises(ValueError, match=naming("wmcontrol/PushT-v0", "'gravity'")):
        LeWM(path, env_id=PUSHT, env_settings={"gravity": 3})
    with pytest.raises(ValueError, match="'absolute'"):
        LeWM(path, env_id=PUSHT, env_settings="absolute")


def test_actions_of_another_size_are_not_the_environments(tmp_path: Path) -> None:
    path = write(tmp_path / "set.h5", {**columns_of(), "action": np.zeros((13, 3))})
    with pytest.raises(ValueError, match=naming("set.h5", "action", 2, 3)):
        LeWM(path, env_id=PUSHT)
    assert LeWM(path, control_rate=10).trajectory(0).actions.shape == (4, 3)


@pytest.mark.parametrize("name", ["state", "pixels", "ep_len"])
def test_a_group_is_no_column(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "set.h5", columns_of())
    with h5py.File(path, "a") as file:
        del file[name]
        file[f"{name}/inner"] = np.zeros(3)
    with pytest.raises(ValueError, match=naming("set.h5", name)):
        LeWM(path, control_rate=10)


def test_states_of_another_size_are_not_the_environments(tmp_path: Path) -> None:
    columns = columns_of()
    columns["state"] = columns["state"][:, :5]
    path = write(tmp_path / "five.h5", columns)
    with pytest.raises(ValueError, match=naming("five.h5", "state", 7, "agent x", 5)):
        LeWM(path, env_id=PUSHT)
    assert LeWM(path, control_rate=10).trajectory(0).states.shape == (5, 5)
    del columns["state"]
    with pytest.raises(ValueError, match=naming("proprio", 7, 4)):
        LeWM(write(tmp_path / "four.h5", columns), env_id=PUSHT)


def test_a_reader_goes_through_pickle(tmp_path: Path) -> None:
    columns = columns_of()
    dataset = LeWM(write(tmp_path / "set.h5", columns), control_rate=10)
    again = pickle.loads(pickle.dumps(dataset))
    np.testing.assert_array_equal(again.trajectory(2).states, dataset.trajectory(2).states)
    frames = pickle.loads(pickle.dumps(dataset.trajectory(2).frames))
    np.testing.assert_array_equal(frames.read([1]), columns["pixels"][[7]])


@pytest.mark.parametrize("name", ["pixels", "action", "ep_len", "ep_offset"])
def test_a_missing_column_is_named(tmp_path: Path, name: str) -> None:
    columns = columns_of()
    del columns[name]
    with pytest.raises(OSError, match=naming("set.h5", name)):
        LeWM(write(tmp_path / "set.h5", columns), control_rate=10)


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("ep_len", np.array([5, 0, 7]), r"episode_1.* 0 "),
        ("ep_len", np.array([5.0, 1, 7]), "ep_len"),
        ("ep_len", np.array([5, 1, 8]), r"episode_2.*13.*pixels.*13"),
        ("ep_len", np.array([5, 1]), r"2.*ep_offset"),
        ("ep_len", np.zeros(0, int), ""),
        ("ep_offset", np.array([0, 4, 6]), r"episode_1.* 4"),
        ("ep_offset", np.array([-1, 5, 6]), r"episode_0.* -1"),
        ("ep_offset", np.array([0.0, 5, 6]), "ep_offset"),
        ("action", np.zeros((12, 2)), r"action.*12"),
        ("state", np.zeros((12, 7)), r"state.*12"),
        ("pixels", np.zeros((13, 6, 7, 4), np.uint8), "pixels"),
        ("pixels", np.zeros((13, 6), np.uint8), "pixels"),
        *((name, np.array(3), name) for name in ("ep_len", "ep_offset", "state", "action")),
    ],
)
def test_columns_that_disagree_are_refused_at_opening(
    tmp_path: Path, name: str, values: np.ndarray, message: str
) -> None:
    with pytest.raises(ValueError, match=f"set.h5.*{message}"):
        LeWM(write(tmp_path / "set.h5", {**columns_of(), name: values}), control_rate=10)


@pytest.mark.parametrize("values", [np.zeros((13, 2), "S3"), np.zeros((13, 2), complex), np.zeros((13, 2), bool)])
def test_actions_of_another_kind_name_file_and_record(tmp_path: Path, values: np.ndarray) -> None:
    dataset = LeWM(write(tmp_path / "set.h5", {**columns_of(), "action": values}), control_rate=10)
    with pytest.raises(ValueError, match=r"set\.h5 .*episode_2\).*action"):
        dataset.trajectory(2)


@pytest.mark.parametrize("name", ["action", "state"])
def test_what_is_not_finite_names_file_and_record(tmp_path: Path, name: str) -> None:
    columns = columns_of()
    columns[name][8, 1] = np.nan
    dataset = LeWM(write(tmp_path / "set.h5", columns), control_rate=10)
    dataset.trajectory(0)
    with pytest.raises(ValueError, match=rf"set\.h5 .*episode_2\).*{name}s\[2\]"):
        dataset.trajectory(2)


def test_a_file_cut_short_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "set.h5", columns_of())
    content = path.read_bytes()
    for kept in (0, 100, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:kept])
        with pytest.raises(OSError, match=r"set\.h5"):
            LeWM(path)


def test_frames_of_another_episode_cannot_be_reached(tmp_path: Path) -> None:
    frames = LeWM(write(tmp_path / "set.h5", columns_of()), control_rate=10).trajectory(0).frames
    for index in (5, -1):
        with pytest.raises(IndexError, match="5 frames"):
            frames.read([index])
