"""DINO-WM's three sets, written here as the reference writes them."""

import pickle
import subprocess
import sys
import zipfile
from fractions import Fraction
from pathlib import Path

import av
import gymnasium as gym
import numpy as np
import pytest
import torch
from naming import naming

import wmcontrol  # noqa: F401
from wmcontrol.data.formats.dino_wm import DinoWM

RNG = np.random.default_rng(0)
LENGTHS = [5, 3, 6]
GREYS = [10 + 30 * frame for frame in range(6)]  # a frame is told by its brightness


def write_film(path: Path, greys: list[int], rate: int = 10) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"crf": "0"})
        stream.width = stream.height = 32
        stream.pix_fmt, stream.time_base = "yuv420p", Fraction(1, rate)
        for grey in greys:
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), grey, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def write_pusht(folder: Path) -> dict[str, torch.Tensor]:
    (folder / "obses").mkdir(parents=True)
    tensors = {
        "states": torch.from_numpy(RNG.uniform(100, 400, (3, 6, 5))).float(),
        "velocities": torch.from_numpy(RNG.normal(0, 50, (3, 6, 2))).float(),
        "rel_actions": torch.from_numpy(RNG.normal(0, 20, (3, 6, 2))).float(),
        "abs_actions": torch.from_numpy(RNG.uniform(0, 512, (3, 6, 2))).float(),
    }
    for name, tensor in tensors.items():
        torch.save(tensor, folder / f"{name}.pth")
    with (folder / "seq_lengths.pkl").open("wb") as file:
        pickle.dump(LENGTHS, file)
    for index, length in enumerate(LENGTHS):
        write_film(folder / "obses" / f"episode_{index:03d}.mp4", GREYS[:length])
    return tensors


def write_maze(folder: Path) -> dict[str, torch.Tensor]:
    (folder / "obses").mkdir(parents=True)
    tensors = {
        "states": torch.from_numpy(RNG.uniform(0.5, 3, (3, 6, 4))),
        "actions": torch.from_numpy(RNG.uniform(-1, 1, (3, 6, 2))),
        "seq_lengths": torch.tensor(LENGTHS),
    }
    for name, tensor in tensors.items():
        torch.save(tensor, folder / f"{name}.pth")
    for index, length in enumerate(LENGTHS):
        torch.save(frames_of(index, length), folder / "obses" / f"episode_{index:03d}.pth")
    return tensors


def write_wall(folder: Path) -> dict[str, torch.Tensor]:
    (folder / "obses").mkdir(parents=True)
    tensors = {
        "states": torch.from_numpy(RNG.uniform(5, 25, (3, 6, 2))).float(),
        "actions": torch.from_numpy(RNG.uniform(-1, 1, (3, 6, 2))).float(),
        "wall_locations": torch.tensor([32.0, 28, 40])[:, None].expand(3, 6).clone(),
        "door_locations": torch.tensor([30.0, 12, 50])[:, None].expand(3, 6).clone(),
    }
    for name, tensor in tensors.items():
        torch.save(tensor, folder / f"{name}.pth")
    for index in range(3):
        channels_first = frames_of(index, 6).movedim(-1, 1).float()
        torch.save(channels_first, folder / "obses" / f"episode_{index:03d}.pth")
    return tensors


def frames_of(index: int, length: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(index).integers(0, 256, (length, 8, 9, 3), dtype=np.uint8))


def test_pusht_has_seven_numbers_and_actions_in_hundreds_of_pixels(tmp_path: Path) -> None:
    tensors = write_pusht(tmp_path)
    dataset = DinoWM(tmp_path)
    assert dataset.lengths.tolist() == LENGTHS
    assert (dataset.env_id, dataset.control_rate) == ("wmcontrol/PushT-v0", 10)
    for index, length in enumerate(LENGTHS):
        trajectory = dataset.trajectory(index)
        states = torch.cat([tensors["states"], tensors["velocities"]], -1)[index, :length]
        np.testing.assert_array_equal(trajectory.states, states.double())
        np.testing.assert_allclose(trajectory.actions, tensors["rel_actions"][index, : length - 1] / 100, rtol=1e-6)
        np.testing.assert_allclose(trajectory.times, np.arange(length) / 10)
        frames = trajectory.frames.read([length - 1, 0, 0])
        assert frames.dtype == np.uint8
        assert frames.shape == (3, 32, 32, 3)
        np.testing.assert_allclose(frames.mean((1, 2, 3)), [GREYS[length - 1], GREYS[0], GREYS[0]], atol=2)


def test_states_and_actions_of_pusht_are_those_of_our_environment(tmp_path: Path) -> None:
    write_pusht(tmp_path)
    env = gym.make("wmcontrol/PushT-v0", obs_type="state")
    env.reset(seed=0)
    states, actions = [env.unwrapped.get_state()], []
    for action in RNG.uniform(-0.5, 0.5, (5, 2)).astype(np.float32):
        env.step(action)
        states.append(env.unwrapped.get_state())
        actions.append(action * 100)  # what the reference writes: pixels from the agent to its target
    states = torch.tensor(np.array([states] * 3))
    torch.save(states[..., :5], tmp_path / "states.pth")
    torch.save(states[..., 5:], tmp_path / "velocities.pth")
    torch.save(torch.tensor(np.array([[*actions, actions[0]]] * 3)), tmp_path / "rel_actions.pth")
    trajectory = DinoWM(tmp_path).trajectory(2)
    env.reset(options={"state": trajectory.states[0]})
    for action in trajectory.actions:
        env.step(action.astype(np.float32))
    np.testing.assert_allclose(env.unwrapped.get_state(), trajectory.states[-1], atol=1e-3)


def test_point_maze_has_frames_as_they_are_saved(tmp_path: Path) -> None:
    tensors = write_maze(tmp_path)
    dataset = DinoWM(tmp_path)
    assert (dataset.env_id, dataset.control_rate) == ("wmcontrol/PointMaze_UMaze-v0", 20)
    trajectory = dataset.trajectory(2)
    np.testing.assert_array_equal(trajectory.states, tensors["states"][2])
    np.testing.assert_array_equal(trajectory.actions, tensors["actions"][2, :5])
    np.testing.assert_array_equal(trajectory.frames.read([4, 1]), frames_of(2, 6)[[4, 1]])
    assert DinoWM(tmp_path, env_id="wmcontrol/PointMaze_Medium-v0").env_id == "wmcontrol/PointMaze_Medium-v0"


def test_wall_tells_where_wall_and_door_are(tmp_path: Path) -> None:
    tensors = write_wall(tmp_path)
    trajectory = DinoWM(tmp_path).trajectory(1)
    assert len(trajectory) == 6
    np.testing.assert_array_equal(trajectory.actions, tensors["actions"][1, :5].double())
    np.testing.assert_array_equal(trajectory.frames.read(range(6)), frames_of(1, 6))
    assert {name: value.tolist() for name, value in trajectory.variation.items()} == {
        "wall_position": [28],
        "door_position": [12],
    }
    env = gym.make("wmcontrol/Wall-v0", obs_type="state")
    env.reset(options={"state": trajectory.states[0], "variation": dict(trajectory.variation)})


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_how_far_actions_go_in_wall_is_found_in_the_data(tmp_path: Path, scale: float) -> None:
    write_wall(tmp_path)
    env = gym.make("wmcontrol/Wall-v0", obs_type="state", action_scale=scale, terminate_on_success=False).unwrapped
    states, actions = [], torch.from_numpy(RNG.uniform(-1, 1, (3, 6, 2))).float()
    for episode, wall, door in zip(actions.numpy(), (32, 28, 40), (30, 12, 50), strict=True):
        look = {"wall_position": wall, "door_position": door}
        env.reset(options={"state": [20, 20], "goal_state": [55, 55], "variation": look})
        states.append([env.get_state()])
        for action in episode[:-1]:
            env.step(action)
            states[-1].append(env.get_state())
    torch.save(torch.tensor(np.array(states)).float(), tmp_path / "states.pth")
    torch.save(actions, tmp_path / "actions.pth")
    dataset = DinoWM(tmp_path)
    assert dataset.env_settings == ({"action_scale": 1.0} if scale == 1 else {})
    made = gym.make(dataset.env_id, obs_type="state", **dataset.env_settings).unwrapped
    trajectory = dataset.trajectory(1)
    made.reset(options={"state": trajectory.states[0], "variation": dict(trajectory.variation)})
    for action in trajectory.actions:
        made.step(action)
    np.testing.assert_allclose(made.get_state(), trajectory.states[-1], atol=1e-3)


def test_an_environment_that_the_states_are_not_of_is_refused(tmp_path: Path) -> None:
    write_maze(tmp_path)
    with pytest.raises(ValueError, match=naming(tmp_path, 7, "agent x", 4)):
        DinoWM(tmp_path, env_id="wmcontrol/PushT-v0")
    with pytest.raises(ValueError, match=naming("env_id", "'PointMaze-v3'")):
        DinoWM(tmp_path, env_id="PointMaze-v3")


@pytest.mark.parametrize(("write", "name"), [(write_pusht, "rel_actions"), (write_maze, "actions")])
def test_actions_of_another_size_are_refused(tmp_path: Path, write: object, name: str) -> None:
    write(tmp_path)
    torch.save(torch.zeros(3, 6, 5), tmp_path / f"{name}.pth")
    with pytest.raises(ValueError, match=naming(f"{name}.pth", 2, 5)):
        DinoWM(tmp_path)


@pytest.mark.parametrize("write", [write_pusht, write_maze, write_wall])
def test_a_reader_goes_through_pickle_and_reads_again(tmp_path: Path, write: object) -> None:
    write(tmp_path)
    dataset = DinoWM(tmp_path)
    dataset.trajectory(0)
    message = pickle.dumps(dataset)
    assert len(message) < 5000, "tensors travelled"
    again = pickle.loads(message)
    assert again.fingerprint() == dataset.fingerprint()
    a, b = dataset.trajectory(1), again.trajectory(1)
    np.testing.assert_array_equal(a.states, b.states)
    np.testing.assert_array_equal(a.frames.read([0, 2]), pickle.loads(pickle.dumps(b.frames)).read([0, 2]))


def test_the_fingerprint_follows_files_and_settings(tmp_path: Path) -> None:
    write_maze(tmp_path)
    before = DinoWM(tmp_path).fingerprint()
    assert DinoWM(tmp_path).fingerprint() == before
    assert DinoWM(tmp_path, env_id="wmcontrol/PointMaze_Large-v0").fingerprint() != before
    torch.save(frames_of(7, 3), tmp_path / "obses" / "episode_001.pth")
    assert DinoWM(tmp_path).fingerprint() != before


@pytest.mark.parametrize("write", [write_pusht, write_maze, write_wall])
def test_each_missing_file_is_named(tmp_path: Path, write: object) -> None:
    write(tmp_path)
    names = [path.relative_to(tmp_path) for path in tmp_path.rglob("*.*") if path.stem not in {"abs_actions", "shapes"}]
    assert len(names) >= 6
    for name in names:
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).unlink()
        with pytest.raises(FileNotFoundError, match=name.name):
            DinoWM(tmp_path)
        (tmp_path / name).write_bytes(content)
    DinoWM(tmp_path)


def test_a_folder_of_neither_set_says_what_it_lacks(tmp_path: Path) -> None:
    (tmp_path / "obses").mkdir()
    torch.save(torch.zeros(1, 2, 3), tmp_path / "states.pth")
    with pytest.raises(FileNotFoundError, match=r"velocities\.pth"):
        DinoWM(tmp_path)


def test_the_folder_around_train_and_val_says_which_to_open(tmp_path: Path) -> None:
    write_maze(tmp_path / "train")
    with pytest.raises(ValueError, match="train"):
        DinoWM(tmp_path)


@pytest.mark.parametrize("name", ["states.pth", "seq_lengths.pth", "actions.pth"])
def test_a_truncated_tensor_is_refused_at_opening(tmp_path: Path, name: str) -> None:
    write_maze(tmp_path)
    content = (tmp_path / name).read_bytes()
    for kept in (0, 10, len(content) // 2, len(content) - 1):
        (tmp_path / name).write_bytes(content[:kept])
        with pytest.raises(ValueError, match=name):
            DinoWM(tmp_path)


def test_frames_that_are_broken_are_named_when_they_are_read(tmp_path: Path) -> None:
    write_maze(tmp_path)
    path = tmp_path / "obses" / "episode_000.pth"
    frames = DinoWM(tmp_path).trajectory(0).frames
    content = path.read_bytes()
    path.write_bytes(content[:300])
    with pytest.raises(ValueError, match=naming("episode_000.pth")):
        frames.read([0])
    torch.save(frames_of(0, 4), path)
    with pytest.raises(ValueError, match=naming("episode_000.pth", 5, 4)):
        frames.read([0])
    torch.save(frames_of(0, 5) + 0.5, path)
    with pytest.raises(ValueError, match=naming("episode_000.pth", "pixels")):
        frames.read([0])
    torch.save(frames_of(0, 5)[..., :2], path)
    with pytest.raises(ValueError, match=naming("episode_000.pth", (1, 8, 9, 2))):
        frames.read([0])
    with pytest.raises(IndexError, match="5 frames"):
        frames.read([5])
    with pytest.raises(IndexError, match="5 frames"):
        frames.read([-1])


def test_a_film_shorter_than_its_episode_is_named(tmp_path: Path) -> None:
    write_pusht(tmp_path)
    path = tmp_path / "obses" / "episode_002.mp4"
    content = path.read_bytes()
    write_film(path, GREYS[:4])
    with pytest.raises(ValueError, match=naming("episode_002.mp4", 6, 4)):
        DinoWM(tmp_path).trajectory(2).frames.read([0])
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises((ValueError, OSError), match=r"episode_002\.mp4"):
        DinoWM(tmp_path).trajectory(2).frames.read([5])


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["states", "velocities", "rel_actions"])
def test_what_is_not_finite_names_file_and_record(tmp_path: Path, name: str, value: float) -> None:
    tensors = write_pusht(tmp_path)
    tensors[name][0, 2, 1] = value
    tensors[name][1, 4:] = torch.nan  # beyond the episode's end: nobody reads it
    torch.save(tensors[name], tmp_path / f"{name}.pth")
    dataset = DinoWM(tmp_path)
    dataset.trajectory(1)
    with pytest.raises(ValueError, match=r"episode_000\).*(actions|states)\[2\]"):
        dataset.trajectory(0)


def test_the_action_at_the_last_frame_may_be_anything(tmp_path: Path) -> None:
    tensors = write_maze(tmp_path)
    tensors["actions"][:, -1] = torch.nan
    torch.save(tensors["actions"], tmp_path / "actions.pth")
    assert len(DinoWM(tmp_path).trajectory(2).actions) == 5


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ([5, 3], r".*3"),
        ([5, 0, 6], r"episode_1.* 0 "),
        ([5, 3, 7], r"episode_002.* 7 .*states\.pth.* 6"),
        ([5.0, 3, 6], ""),
        ([[5, 3, 6]], ""),
        ([], ""),
    ],
)
@pytest.mark.parametrize("write", [write_pusht, write_maze])
def test_lengths_that_disagree_are_refused(tmp_path: Path, write: object, lengths: list, message: str) -> None:
    write(tmp_path)
    if write is write_pusht:
        (tmp_path / "seq_lengths.pkl").write_bytes(pickle.dumps(lengths))
    else:
        torch.save(torch.tensor(lengths, dtype=None if lengths else torch.int64), tmp_path / "seq_lengths.pth")
    with pytest.raises(ValueError, match=f"seq_lengths.*{message}"):
        DinoWM(tmp_path)


@pytest.mark.parametrize("protocol", range(6))
def test_lengths_may_be_any_numbers_that_pickle_writes(tmp_path: Path, protocol: int) -> None:
    write_pusht(tmp_path)
    array = np.array(LENGTHS)
    for lengths in (LENGTHS, tuple(LENGTHS), array, list(array), array.astype(np.int32)):
        content = pickle.dumps(lengths, protocol)
        (tmp_path / "seq_lengths.pkl").write_bytes(content)
        assert DinoWM(tmp_path).lengths.tolist() == LENGTHS
        if protocol == 0:  # as NumPy 1 wrote it
            (tmp_path / "seq_lengths.pkl").write_bytes(content.replace(b"numpy._core", b"numpy.core"))
            assert DinoWM(tmp_path).lengths.tolist() == LENGTHS


class _Runs:
    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", ["seq_lengths.pkl", "states.pth", "obses/episode_000.pth"])
def test_nothing_that_a_file_names_is_run(tmp_path: Path, name: str) -> None:
    folder, touched = tmp_path / "set", tmp_path / "touched"
    (write_pusht if name.endswith("pkl") else write_maze)(folder)
    if name.endswith("pkl"):
        (folder / name).write_bytes(pickle.dumps(_Runs(touched)))
    else:
        torch.save(_Runs(touched), folder / name)
    with pytest.raises(ValueError, match=naming(Path(name).name)):
        DinoWM(folder).trajectory(0).frames.read([0])
    assert not touched.exists()
    if name.endswith("pkl"):  # the file does what it says where it is let
        pickle.loads((folder / name).read_bytes())
        assert touched.exists()


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (torch.zeros(3, 6, 2, dtype=torch.complex64), "expected numbers"),
        (torch.zeros(3, 6, 2, dtype=torch.bool), ""),
        (torch.zeros(3, 5, 2), r"3.* 6"),
        (torch.zeros(2, 6, 2), r"3.* 6"),
        (torch.zeros(3), ""),
        ({"actions": torch.zeros(3, 6, 2)}, "dict"),
        ([[1, 2], [3]], "list"),
        ([10**30], "64"),
        (torch.eye(3).to_sparse(), r"torch\._utils\._rebuild_sparse_tensor"),
        (torch.zeros(3, 6, 2, device="meta"), r"torch\._utils\._rebuild_meta"),
    ],
)
def test_tensors_of_another_kind_are_refused_at_opening(tmp_path: Path, tensor: object, message: str) -> None:
    write_maze(tmp_path)
    torch.save(tensor, tmp_path / "actions.pth")
    with pytest.raises(ValueError, match=rf"actions\.pth.*{message}"):
        DinoWM(tmp_path)


def test_a_door_that_moves_is_refused(tmp_path: Path) -> None:
    tensors = write_wall(tmp_path)
    tensors["door_locations"][2, 3] += 1
    torch.save(tensors["door_locations"], tmp_path / "door_locations.pth")
    dataset = DinoWM(tmp_path)
    dataset.trajectory(1)
    with pytest.raises(ValueError, match=naming("door_locations.pth", "episode_002")):
        dataset.trajectory(2)


def test_files_of_an_old_torch_are_refused_with_what_to_do(tmp_path: Path) -> None:
    tensors = write_maze(tmp_path)
    torch.save(tensors["states"], tmp_path / "states.pth", _use_new_zipfile_serialization=False)
    with pytest.raises(ValueError, match=naming("states.pth", "torch 1.6")):
        DinoWM(tmp_path)


def test_a_tensor_that_is_a_view_is_read_as_it_is_seen(tmp_path: Path) -> None:
    tensors = write_maze(tmp_path)
    torch.save(tensors["states"].flip(2).movedim(2, 0).contiguous().movedim(0, 2), tmp_path / "states.pth")
    np.testing.assert_array_equal(DinoWM(tmp_path).trajectory(2).states, tensors["states"][2].flip(1))


def test_a_checkpoint_that_was_packed_is_refused(tmp_path: Path) -> None:
    """13 MiB could become 13 GiB; torch packs nothing."""
    write_maze(tmp_path)
    with zipfile.ZipFile(tmp_path / "actions.pth") as file:
        records = {name: file.read(name) for name in file.namelist()}
    with zipfile.ZipFile(tmp_path / "actions.pth", "w", zipfile.ZIP_DEFLATED) as file:
        for name, record in records.items():
            file.writestr(name, record)
    with pytest.raises(ValueError, match=naming("actions.pth")):
        DinoWM(tmp_path)


def test_tensors_of_half_the_precision_are_read_too(tmp_path: Path) -> None:
    tensors = write_maze(tmp_path)
    for dtype in (torch.float16, torch.bfloat16):
        torch.save(tensors["states"].to(dtype), tmp_path / "states.pth")
        np.testing.assert_array_equal(DinoWM(tmp_path).trajectory(2).states, tensors["states"][2].to(dtype).double())


def test_a_number_beyond_the_last_trajectory_is_an_index_error(tmp_path: Path) -> None:
    write_maze(tmp_path)
    for number in (3, -1):
        with pytest.raises(IndexError, match=naming(3, number)):
            DinoWM(tmp_path).trajectory(number)


def test_opening_reads_no_frame_and_brings_in_no_decoder(tmp_path: Path) -> None:
    write_pusht(tmp_path)
    code = (
        "import sys; from wmcontrol.data.formats import open_dataset; "
        f"open_dataset({str(tmp_path)!r}).trajectory(0); "
        "print([m for m in ('av', 'h5py', 'zarr', 'pyarrow') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["states", "actions"])
def test_tensors_with_a_dimension_too_many_are_named(tmp_path: Path, name: str) -> None:
    tensors = write_wall(tmp_path)
    torch.save(tensors[name][..., None], tmp_path / f"{name}.pth")
    with pytest.raises(ValueError, match=naming(f"{name}.pth", (3, 6, 2, 1))):
        DinoWM(tmp_path)
