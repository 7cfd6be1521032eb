"""Reading Minari sets: ours, with frames kept or drawn, and other people's layouts."""

import json
import pickle
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from minari_helpers import SETTINGS, WALL, assert_equal, episodes, write
from naming import naming
from processes import read_elsewhere

from wmcontrol.data import TrajectoryDataset
from wmcontrol.data.environment import DrawnFrames
from wmcontrol.data.formats.gymnasium_maze import GymnasiumMaze
from wmcontrol.data.formats.minari import MinariTrajectories, recognises

h5py = pytest.importorskip("h5py")

UMAZE = [[1, 1, 1, 1, 1], [1, 0, 0, 0, 1], [1, 1, 1, 0, 1], [1, "r", 0, "g", 1], [1, 1, 1, 1, 1]]


def foreign(
    folder: Path,
    observations: list[Any],
    actions: list[np.ndarray] | None = None,
    *,
    env: dict[str, Any] | None = None,
    infos: str | None = None,
    **metadata: Any,
) -> Path:
    """Write a set as Minari lays it out: a group per episode, Dicts as groups, infos as a group or a JSON string."""
    data = folder / "data"
    data.mkdir(parents=True)
    with h5py.File(data / "main_data.hdf5", "w") as file:
        for number, seen in enumerate(observations):
            group = file.create_group(f"episode_{number}")
            T = len(next(iter(seen.values())) if isinstance(seen, dict) else seen)
            for key, values in seen.items() if isinstance(seen, dict) else [("", seen)]:
                name = f"observations/{key}" if key else "observations"
                group.create_dataset(name, data=values, chunks=True, maxshape=(None, *values.shape[1:]))
            group["actions"] = np.zeros((T - 1, 2), np.float32) if actions is None else actions[number]
            group["rewards"] = np.zeros(T - 1)
            group["terminations"] = group["truncations"] = np.zeros(T - 1, bool)
            if infos == "group":
                group["infos/qpos"] = np.zeros((T, 2))
            elif infos == "json":
                group["infos"] = json.dumps({"qpos": [[0.0, 0.0]] * T})
            group.attrs.update({"id": number, "total_steps": T - 1, "seed": 3})
    about = {
        "total_episodes": len(observations),
        "total_steps": 0,
        "data_format": "hdf5",
        "minari_version": "0.5.0",
        "dataset_id": "someone/set-v0",
        **metadata,
    }
    if env is not None:
        about["env_spec"] = json.dumps(env)
    (data / "metadata.json").write_text(json.dumps(about))
    return folder


def vectors(count: int = 2, size: int = 4) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.normal(size=(5 + number, size)) for number in range(count)]


# Our own


@pytest.mark.parametrize("part", ["", "data", "data/main_data.hdf5"])
def test_what_we_write_we_read(tmp_path: Path, part: str) -> None:
    written = episodes(6, variation="all")
    write(tmp_path, written)
    assert recognises(tmp_path / part)
    read = MinariTrajectories(tmp_path / part)
    assert isinstance(read, TrajectoryDataset)
    assert read.lengths.tolist() == [len(trajectory) for trajectory in written]
    assert (read.env_id, read.control_rate) == (WALL, 10.0)
    np.testing.assert_array_equal(read.action_bounds, [[-1, -1], [1, 1]])
    for index, trajectory in enumerate(written):
        assert_equal(read.trajectory(index), trajectory)
    assert str(tmp_path) in str(read.trajectory(3).provenance)
    assert "episode_3" in str(read.trajectory(3).provenance)
    window = read.windows(2, 2)[0]
    np.testing.assert_array_equal(window.frames, written[0].frames.read([0, 2]))
    np.testing.assert_array_equal(window.actions, written[0].actions[:2].reshape(1, 4))
    for wrong in (-1, 6):
        with pytest.raises(IndexError, match=naming(6)):
            read.trajectory(wrong)


def test_frames_that_were_not_kept_are_drawn_as_they_were_seen(tmp_path: Path) -> None:
    names = [name for name in gym.make(WALL).unwrapped.variations if name != "distractors"]
    seen = episodes(4, variation=names)
    write(tmp_path, [replace(trajectory, frames=None) for trajectory in seen])
    read = MinariTrajectories(tmp_path, image_size=32)
    for index in (0, 3, 1, 2):
        assert isinstance(read.trajectory(index).frames, DrawnFrames)
        assert_equal(read.trajectory(index), seen[index])
    assert MinariTrajectories(tmp_path).trajectory(0).frames.read([0]).shape == (1, 64, 64, 3)
    # Lengths come without a look into the file, and files written one after the other do not mix.
    assert read.windows(3).dataset is read


@pytest.mark.parametrize("frames", [True, False])
def test_workers_read_the_same(tmp_path: Path, frames: bool) -> None:
    written = episodes(3)
    write(tmp_path, written if frames else [replace(trajectory, frames=None) for trajectory in written])
    read = MinariTrajectories(tmp_path, image_size=32)
    read.trajectory(0).frames.read([0])
    assert_equal(pickle.loads(pickle.dumps(read)).trajectory(2), written[2])
    assert_equal(pickle.loads(pickle.dumps(read.trajectory(2))), written[2])
    for there in read_elsewhere(read.trajectory, range(3)).values():
        for trajectory, here in zip(there, written, strict=True):
            assert_equal(trajectory, here)


def test_fingerprints_change_with_the_data_and_with_how_it_is_drawn(tmp_path: Path) -> None:
    plain = [replace(trajectory, frames=None) for trajectory in episodes(3)]
    write(tmp_path / "a", plain)
    write(tmp_path / "b", plain[:2])
    first = MinariTrajectories(tmp_path / "a").fingerprint()
    assert first == MinariTrajectories(tmp_path / "a").fingerprint()
    assert first != MinariTrajectories(tmp_path / "b").fingerprint()
    assert first != MinariTrajectories(tmp_path / "a", image_size=32).fingerprint()
    with h5py.File(tmp_path / "a" / "data" / "main_data.hdf5", "a") as file:
        file["episode_1/actions"][0, 0] += 1
    assert first != MinariTrajectories(tmp_path / "a").fingerprint()


# Other people's


@pytest.mark.parametrize(
    ("high", "expected"),
    [("[1.0, Infinity]", [[-1, -np.inf], [1, np.inf]]), ("[Infinity, Infinity]", [[-1, -np.inf], [np.inf, np.inf]])],
)
def test_bounds_may_be_infinite(tmp_path: Path, high: str, expected: list[list[float]]) -> None:
    seen = vectors()
    actions = [np.zeros((len(values) - 1, 2), np.float32) for values in seen]
    space = f'{{"type": "Box", "dtype": "float32", "shape": [2], "low": [-1.0, -Infinity], "high": {high}}}'
    path = foreign(tmp_path, seen, actions, env={"id": "Hopper-v5", "kwargs": {}}, action_space=space)
    np.testing.assert_array_equal(MinariTrajectories(path, control_rate=125).action_bounds, expected)


@pytest.mark.parametrize("infos", [None, "group", "json"])
def test_a_flat_array_is_the_states(tmp_path: Path, infos: str | None) -> None:
    seen = vectors()
    actions = [np.random.default_rng(1).uniform(-1, 1, (len(values) - 1, 2)).astype(np.float32) for values in seen]
    space = {"type": "Box", "dtype": "float32", "shape": [2], "low": [-1.0, -2.0], "high": [1.0, 2.0]}
    env = {"id": "Hopper-v5", "kwargs": {}}
    path = foreign(tmp_path, seen, actions, env=env, infos=infos, action_space=json.dumps(space))
    assert recognises(path)
    read = MinariTrajectories(path, control_rate=125)
    assert read.lengths.tolist() == [5, 6]
    assert read.env_id == "Hopper-v5"
    np.testing.assert_array_equal(read.action_bounds, [[-1, -2], [1, 2]])
    for index, values in enumerate(seen):
        trajectory = read.trajectory(index)
        np.testing.assert_array_equal(trajectory.states, values)
        np.testing.assert_array_equal(trajectory.actions, actions[index])
        np.testing.assert_allclose(trajectory.times, np.arange(len(values)) / 125)
        assert trajectory.frames is None
        assert trajectory.states.dtype == trajectory.actions.dtype == np.float64


def test_of_a_dict_the_observation_is_the_state_or_else_all_vectors_but_goals(tmp_path: Path) -> None:
    seen = vectors(1)[0]
    goals = {"achieved_goal": seen[:, :2], "desired_goal": seen[:, 2:]}
    read = MinariTrajectories(foreign(tmp_path / "a", [{"observation": seen, **goals}]), control_rate=10)
    np.testing.assert_array_equal(read.trajectory(0).states, seen)
    parts = {"robot/velocity": seen[:, :3], "robot/angle": seen[:, 3], **goals}
    read = MinariTrajectories(foreign(tmp_path / "b", [parts]), control_rate=10)
    np.testing.assert_array_equal(read.trajectory(0).states, seen[:, [3, 0, 1, 2]])


@pytest.mark.parametrize(
    ("names", "chosen"),
    [(["goal_image", "image"], "image"), (["pixels", "a"], "pixels"), (["robot/view"], "robot/view"), ([""], "")],
)
def test_images_are_the_frames(tmp_path: Path, names: list[str], chosen: str) -> None:
    rng = np.random.default_rng(0)
    images = {name: rng.integers(0, 256, (5, 40, 30, 3)).astype(np.uint8) for name in names}
    path = foreign(tmp_path, [images[""] if names == [""] else images])
    trajectory = MinariTrajectories(path, control_rate=10).trajectory(0)
    assert trajectory.states is None
    np.testing.assert_array_equal(trajectory.frames.read([4, 0]), images[chosen][[4, 0]])
    assert trajectory.frames.read([]).shape == (0, 40, 30, 3)


@pytest.mark.parametrize("jpeg", [True, False])
def test_images_that_minari_writes_are_read_as_minari_reads_them(tmp_path: Path, jpeg: bool) -> None:
    minari = pytest.importorskip("minari")
    storage_type = pytest.importorskip("minari.dataset.minari_storage").MinariStorage
    buffer = pytest.importorskip("minari.data_collector.episode_buffer").EpisodeBuffer
    box = gym.spaces.Box(0, 255, (48, 40, 3), np.uint8)
    space = gym.spaces.Dict({"camera": box, "joints": gym.spaces.Box(-1, 1, (3,), np.float64)})
    (tmp_path / "data").mkdir()
    storage = storage_type.new(
        tmp_path / "data", space, gym.spaces.Box(-1, 1, (2,), np.float32), data_format="hdf5", jpeg_encoding=jpeg
    )
    storage.update_metadata({"dataset_id": "someone/set-v0", "minari_version": minari.__version__})
    rng = np.random.default_rng(0)
    for T in (4, 6):
        smooth = np.linspace(0, 200, 48 * 40 * 3).reshape(48, 40, 3) + 10 * np.arange(T)[:, None, None, None]
        storage.update_episodes(
            [
                buffer(
                    observations={"camera": smooth.astype(np.uint8), "joints": rng.uniform(-1, 1, (T, 3))},
                    actions=rng.uniform(-1, 1, (T - 1, 2)).astype(np.float32),
                    rewards=np.zeros(T - 1),
                    terminations=np.zeros(T - 1, bool),
                    truncations=np.zeros(T - 1, bool),
                )
            ]
        )
    read, theirs = MinariTrajectories(tmp_path, control_rate=10), minari.MinariDataset(tmp_path / "data")
    assert read.lengths.tolist() == [4, 6]
    for index, episode in enumerate(theirs):
        trajectory = read.trajectory(index)
        np.testing.assert_array_equal(trajectory.states, episode.observations["joints"])
        np.testing.assert_array_equal(trajectory.actions, episode.actions)
        np.testing.assert_array_equal(trajectory.frames.read(range(len(trajectory))), episode.observations["camera"])


@pytest.mark.parametrize("infos", ["group", "json"])
def test_gymnasium_mazes_become_ours(tmp_path: Path, infos: str) -> None:
    # Their cell (row, column) has its middle at x = column - 2, y = 2 - row; ours at row - 0.2, column - 0.2.
    theirs = np.array([[-1.0, 1.0, 0.3, 0.5], [1.0, 1.0, 0, 0], [1.0, 0.0, 0, 0], [-1.0, -1.0, 0, 0]])
    ours = [[0.8, 0.8, -0.5, 0.3], [0.8, 2.8, 0, 0], [1.8, 2.8, 0, 0], [2.8, 0.8, 0, 0]]
    forces = np.array([[1, 0], [0, 1], [-0.5, 0.25]], np.float32)
    seen = {"observation": theirs, "achieved_goal": theirs[:, :2], "desired_goal": theirs[:, :2]}
    env = {"id": "PointMaze_UMazeDense-v3", "kwargs": {"maze_map": UMAZE, "continuing_task": True}}
    read = MinariTrajectories(foreign(tmp_path, [seen], [forces], env=env, infos=infos), image_size=32)
    assert (read.env_id, read.control_rate) == ("wmcontrol/PointMaze_UMaze-v0", 100.0)
    made = gym.make(read.env_id, **read.env_settings).unwrapped
    assert made.control_rate == 100.0
    assert made.compute_reward(np.array([0.8, 0.8]), np.array([0.8, 1.24]), None) == 1
    assert made.compute_reward(np.array([0.8, 0.8]), np.array([0.8, 1.26]), None) == 0
    trajectory = read.trajectory(0)
    np.testing.assert_allclose(trajectory.states, ours, atol=1e-12)
    # A force along their x moves the ball along our y, one along their y against our x.
    np.testing.assert_array_equal(trajectory.actions, [[0, 1], [-1, 0], [-0.25, -0.5]])
    env_ours = gym.make("wmcontrol/PointMaze_UMaze-v0", image_size=32)
    for t, state in enumerate(trajectory.states):
        observation, _ = env_ours.reset(options={"state": state, "goal_state": [2.8, 1.8]})
        np.testing.assert_array_equal(trajectory.frames.read([t])[0], observation["pixels"])


@pytest.mark.parametrize("name", ["UMaze", "Medium", "Large"])
def test_the_middles_of_their_cells_are_the_middles_of_ours(name: str) -> None:
    maze = GymnasiumMaze.of({"id": f"PointMaze_{name}_Diverse_G-v3"})
    env = gym.make(f"wmcontrol/PointMaze_{name}-v0")
    cells = {tuple(np.rint(env.reset(seed=seed)[0]["achieved_goal"])) for seed in range(150)}
    for row, column in cells:
        theirs = [column + 0.5 - maze.columns / 2, maze.rows / 2 - (row + 0.5), 1.0, 2.0]
        np.testing.assert_allclose(maze.states(np.array([theirs])), [[row - 0.2, column - 0.2, -2.0, 1.0]], atol=1e-12)
    low, high = maze.bounds(np.array([-1.0, -2.0]), np.array([3.0, 4.0]))
    np.testing.assert_array_equal([low, high], [[-4, -1], [2, 3]])


@pytest.mark.parametrize("env", [{"id": "PointMaze_Open-v3"}, {"id": "AntMaze_UMaze-v5"}, {"id": "Hopper-v5"}, {}])
def test_other_mazes_stay_as_they_are(env: dict[str, Any]) -> None:
    assert GymnasiumMaze.of(env) is None
    filled = {"id": "PointMaze_UMaze-v3", "kwargs": {"maze_map": [[1] * 5] * 5}}
    assert GymnasiumMaze.of(filled) is None


def test_of_several_cameras_one_must_be_named(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = {name: rng.integers(0, 256, (5, 40, 30, 3)).astype(np.uint8) for name in ("top", "wrist", "goal_image")}
    path = foreign(tmp_path, [images])
    with pytest.raises(ValueError, match=naming("camera", "'top'", "'wrist'")):
        MinariTrajectories(path, control_rate=10)
    with pytest.raises(ValueError, match=naming("'side'", "'goal_image'", "'top'", "'wrist'")):
        MinariTrajectories(path, control_rate=10, camera="side")
    for name, values in images.items():
        read = MinariTrajectories(path, control_rate=10, camera=name)
        np.testing.assert_array_equal(read.trajectory(0).frames.read([3]), values[[3]])


@pytest.mark.parametrize("name", ["control_rate", "control_freq"])
def test_a_rate_in_the_spec_of_a_foreign_environment_is_known(tmp_path: Path, name: str) -> None:
    env = {"id": "Robot-v0", "kwargs": {name: 50, "gripper": True, "render_mode": "rgb_array"}}
    path = foreign(tmp_path, vectors(), env=env)
    read = MinariTrajectories(path)
    assert (read.env_id, read.control_rate) == ("Robot-v0", 50.0)
    assert read.env_settings == {name: 50, "gripper": True}
    np.testing.assert_allclose(read.trajectory(0).times, np.arange(5) / 50)
    with pytest.raises(ValueError, match=naming("control_rate", 10)):
        MinariTrajectories(path, control_rate=10)


# What is wrong


def test_a_set_that_does_not_say_its_rate_asks_for_it(tmp_path: Path) -> None:
    path = foreign(tmp_path / "a", vectors(), env={"id": "Hopper-v5"})
    with pytest.raises(ValueError, match=naming("Hopper-v5", "control_rate")):
        MinariTrajectories(path)
    for wrong in (0, -5.0, np.inf):
        with pytest.raises(ValueError, match="control_rate"):
            MinariTrajectories(path, control_rate=wrong)
    write(tmp_path / "b", episodes(1))
    with pytest.raises(ValueError, match=naming(10.0, 20)):
        MinariTrajectories(tmp_path / "b", control_rate=20)


def edit(path: Path, change: Any) -> None:
    with h5py.File(path / "data" / "main_data.hdf5", "a") as file:
        change(file)


def _replace(name: str, values: Any) -> Any:
    def change(file: Any) -> None:
        if name in file:
            del file[name]
        if values is not None:
            file[name] = values

    return change


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_replace("episode_1/actions", np.zeros((3, 2))), naming("actions", 5, 3)),
        (_replace("episode_1/actions", np.full((5, 2), np.nan)), r"actions\[0\]"),
        (_replace("episode_1/actions", np.zeros((5, 2), np.int64)), r"actions.*int64"),
        (_replace("episode_1/actions", np.zeros(5)), "actions"),
        (_replace("episode_1/actions", None), "actions"),
        (_replace("episode_1/observations", None), "observations"),
        (_replace("episode_1/observations/state", np.zeros((4, 2))), r"6.*state"),
        (_replace("episode_1/observations/state", np.zeros((0, 2))), naming(6)),
        (_replace("episode_1/observations/state", np.full((6, 2), np.inf)), r"states\[0\]"),
        (_replace("episode_1/observations/state", np.zeros((6, 2), np.uint8)), r"state.*uint8"),
        (_replace("episode_1/observations/pixels", np.zeros((5, 8, 8, 3), np.uint8)), "pixels"),
        (_replace("episode_1", None), "episode_1"),
    ],
)
def test_a_broken_episode_is_named(tmp_path: Path, change: Any, says: str) -> None:
    write(tmp_path, [episodes(4)[index] for index in (0, 2)])
    edit(tmp_path, change)
    read = MinariTrajectories(tmp_path)
    assert len(read.trajectory(0)) == 4
    with pytest.raises(ValueError, match=says) as raised:
        read.trajectory(1)
    assert str(tmp_path) in str(raised.value)
    assert "episode_1" in str(raised.value)


def test_lengths_that_nobody_counted_are_an_error(tmp_path: Path) -> None:
    path = foreign(tmp_path, vectors())
    edit(path, lambda file: file["episode_1"].attrs.__delitem__("total_steps"))
    with pytest.raises(ValueError, match=naming("episode_1", "total_steps")):
        MinariTrajectories(path, control_rate=10)


@pytest.mark.parametrize("missing", ["main_data.hdf5", "metadata.json"])
def test_a_missing_file_is_named(tmp_path: Path, missing: str) -> None:
    write(tmp_path, episodes(1))
    (tmp_path / "data" / missing).unlink()
    assert recognises(tmp_path)
    with pytest.raises(FileNotFoundError, match=missing):
        MinariTrajectories(tmp_path)


def test_files_that_are_not_whole_are_named(tmp_path: Path) -> None:
    write(tmp_path / "a", episodes(3))
    main = tmp_path / "a" / "data" / "main_data.hdf5"
    whole = main.read_bytes()
    main.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(OSError, match=naming("main_data.hdf5")):
        MinariTrajectories(tmp_path / "a")
    main.write_bytes(whole)
    metadata = tmp_path / "a" / "data" / "metadata.json"
    for text, says in (("{", "not JSON"), ("[]", "an object"), ('{"total_episodes": "3"}', "total_episodes")):
        metadata.write_text(text)
        with pytest.raises(ValueError, match=rf"metadata\.json.*{says}"):
            MinariTrajectories(tmp_path / "a", control_rate=10)


def test_damaged_frames_name_their_episode(tmp_path: Path) -> None:
    write(tmp_path, episodes(2))

    def damage(file: Any) -> None:
        file["episode_1/observations/pixels"].id.write_direct_chunk((2, 0, 0, 0), b"not a zlib stream")

    edit(tmp_path, damage)
    frames = MinariTrajectories(tmp_path).trajectory(1).frames
    assert frames.read([0, 1]).shape == (2, 32, 32, 3)
    with pytest.raises(OSError, match=f"{tmp_path}.*episode_1"):
        frames.read([2])


def test_empty_sets_and_other_storages_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="episodes"):
        MinariTrajectories(foreign(tmp_path / "a", []), control_rate=10)
    with pytest.raises(ValueError, match=naming("metadata.json", "data_format", "hdf5", "'lance'")):
        MinariTrajectories(foreign(tmp_path / "b", vectors(), data_format="lance"), control_rate=10)


def test_only_minari_sets_are_recognised(tmp_path: Path) -> None:
    arrow = tmp_path / "arrow" / "data"
    arrow.mkdir(parents=True)
    (arrow / "metadata.json").write_text('{"minari_version": "0.5.4", "data_format": "arrow"}')
    assert recognises(tmp_path / "arrow")
    (tmp_path / "other.json").write_text("{}")
    (tmp_path / "list").mkdir()
    (tmp_path / "list" / "metadata.json").write_text("3")
    for foreign_path in (tmp_path, tmp_path / "other.json", tmp_path / "nothing", tmp_path / "list"):
        assert not recognises(foreign_path)
    shutil.copy(tmp_path / "other.json", tmp_path / "list" / "metadata.json")
    assert not recognises(tmp_path / "list")


def test_an_unfinished_set_says_so(tmp_path: Path) -> None:
    from wmcontrol.data.formats.minari_writer import MinariWriter

    MinariWriter(tmp_path, **SETTINGS).add(episodes(1))
    assert recognises(tmp_path)
    with pytest.raises(ValueError, match=naming(tmp_path)):
        MinariTrajectories(tmp_path)
