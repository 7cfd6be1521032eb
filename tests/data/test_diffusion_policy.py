"""Diffusion Policy's zarr, as a folder and as a zip file, and people's 206 demonstrations."""

import json
import pickle
import shutil
import warnings
import zipfile
from functools import partial
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from naming import naming
from processes import read_elsewhere

import wmcontrol  # noqa: F401
from wmcontrol.data import open_dataset
from wmcontrol.data.formats.diffusion_policy import DiffusionPolicy

zarr = pytest.importorskip("zarr")
numcodecs = pytest.importorskip("numcodecs")
LENGTHS = [5, 1, 7]


def arrays_of(lengths: list[int] = LENGTHS) -> dict[str, np.ndarray]:
    """What the layout has; each episode is one that the environment went through."""
    env = gym.make("wmcontrol/PushT-v0", obs_type="state", action_mode="absolute")
    rng = np.random.default_rng(0)
    states, actions, velocities = [], [], []
    for length in lengths:
        env.reset(options={"state": [*rng.uniform(50, 450, 2), 250, 250, 1, *rng.normal(0, 30, 2)]})
        for _ in range(length):
            state = env.unwrapped.get_state()
            states.append(state[:5])
            velocities.append(state[5:])
            actions.append(np.clip(state[:2] + rng.normal(0, 40, 2), 0, 512))
            env.step(actions[-1].astype(np.float32))
    total = sum(lengths)
    return {
        "data/img": rng.integers(0, 256, (total, 6, 7, 3)).astype(np.float32),
        "data/state": np.array(states, np.float32),
        "data/action": np.array(actions, np.float32),
        "data/keypoint": np.zeros((total, 9, 2), np.float32),
        "data/n_contacts": np.zeros((total, 1), np.float32),
        "meta/episode_ends": np.cumsum(lengths),
        "velocities": np.array(velocities),
    }


def write(path: Path, arrays: dict[str, np.ndarray], zarr_format: int = 2, compressors: object = "auto") -> Path:
    group = zarr.open_group(path, mode="w", zarr_format=zarr_format)
    for name, array in arrays.items():
        if name != "velocities":
            group.create_array(name, data=array, chunks=(4, *array.shape[1:]), compressors=compressors)
    return path


def zipped(folder: Path) -> Path:
    path = folder.with_name(folder.name + ".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(folder).as_posix())
    return path


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("zip_it", [False, True])
def test_episodes_equal_what_was_written(tmp_path: Path, zip_it: bool, zarr_format: int) -> None:
    arrays = arrays_of()
    path = write(tmp_path / "set.zarr", arrays, zarr_format)
    dataset = DiffusionPolicy(zipped(path) if zip_it else path)
    assert dataset.lengths.tolist() == LENGTHS
    assert (dataset.env_id, dataset.control_rate) == ("wmcontrol/PushT-v0", 10)
    np.testing.assert_array_equal(dataset.action_bounds, [[0, 0], [512, 512]])
    for index, (length, end) in enumerate(zip(LENGTHS, np.cumsum(LENGTHS), strict=True)):
        trajectory, rows = dataset.trajectory(index), slice(end - length, end)
        np.testing.assert_array_equal(trajectory.states[:, :5], arrays["data/state"][rows])
        np.testing.assert_array_equal(trajectory.actions, arrays["data/action"][rows][:-1])
        np.testing.assert_allclose(trajectory.times, np.arange(length) / 10)
        frames = trajectory.frames.read([length - 1, 0, length - 1])
        assert frames.dtype == np.uint8
        np.testing.assert_array_equal(frames, arrays["data/img"][rows][[length - 1, 0, length - 1]])


def test_velocities_are_those_that_the_agent_had(tmp_path: Path) -> None:
    arrays = arrays_of([30, 30])
    dataset = DiffusionPolicy(write(tmp_path / "set.zarr", arrays))
    found = np.concatenate([dataset.trajectory(i).states[:, 5:] for i in range(2)])
    # Places have seven digits in float32, and 0.03 of a velocity is left of it after a step.
    np.testing.assert_allclose(found, arrays["velocities"], atol=5e-3)
    assert np.abs(arrays["velocities"]).max() > 50


def read_frames(dataset: DiffusionPolicy, index: int) -> np.ndarray:
    return dataset.trajectory(index).frames.read([1, 3])


@pytest.mark.parametrize("zip_it", [False, True])
def test_other_processes_read_the_same(tmp_path: Path, zip_it: bool) -> None:
    path = write(tmp_path / "set.zarr", arrays_of())
    dataset = DiffusionPolicy(zipped(path) if zip_it else path)
    here = [read_frames(dataset, index) for index in (2, 0)]
    frames = dataset.trajectory(2).frames
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(frames)).read([1, 3]), here[0])
    for there in read_elsewhere(partial(read_frames, dataset), (2, 0)).values():
        np.testing.assert_array_equal(there, here)


def test_without_ends_of_episodes_it_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "set.zarr", arrays_of())
    shutil.rmtree(path / "meta/episode_ends")
    for store in (path, zipped(path)):
        with pytest.raises(FileNotFoundError, match=naming("meta/episode_ends")):
            DiffusionPolicy(store)


@pytest.mark.parametrize("name", ["data/img", "data/state", "data/action"])
def test_what_lacks_an_array_of_push_t_is_another_task_whose_rate_is_asked_for(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "set.zarr", arrays_of())
    shutil.rmtree(path / name)
    with pytest.raises(ValueError, match=naming("set.zarr", "control_rate")):
        DiffusionPolicy(path)
    trajectory = DiffusionPolicy(path, control_rate=20)[0]
    assert (trajectory.frames is None, trajectory.states is None, trajectory.actions is None) == tuple(
        name == missing for missing in ("data/img", "data/state", "data/action")
    )


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_other_tasks_have_cameras_and_states_by_name(tmp_path: Path, zarr_format: int) -> None:
    rng = np.random.default_rng(0)
    arrays = {
        "data/camera_0": rng.integers(0, 256, (13, 4, 5, 3), dtype=np.uint8),
        "data/camera_1": rng.integers(0, 256, (13, 3, 4, 5), dtype=np.uint8),  # channels first
        "data/eef_pos": rng.normal(size=(13, 3)),
        "data/gripper": rng.normal(size=13),
        "data/action": rng.normal(size=(13, 7)),
        "meta/episode_ends": np.cumsum(LENGTHS),
    }
    path = write(tmp_path / "set.zarr", arrays, zarr_format)
    with pytest.raises(ValueError, match=naming("set.zarr", "camera", "camera_0", "camera_1")):
        DiffusionPolicy(path, control_rate=20)
    first, second = (DiffusionPolicy(path, camera, control_rate=20) for camera in ("camera_0", "camera_1"))
    assert (first.control_rate, first.env_id, first.action_bounds) == (20, None, None)
    np.testing.assert_array_equal(first[2].frames, arrays["data/camera_0"][6:])
    np.testing.assert_array_equal(second[2].frames[[1]], arrays["data/camera_1"][7:8].transpose(0, 2, 3, 1))
    np.testing.assert_array_equal(first[2].actions, arrays["data/action"][6:-1])
    assert first[0].states is None
    named = DiffusionPolicy(path, "camera_0", states=("eef_pos", "gripper"), control_rate=20)
    expected = np.concatenate([arrays["data/eef_pos"], arrays["data/gripper"][:, None]], 1)
    np.testing.assert_array_equal(named[2].states, expected[6:])
    for wrong, settings in (("camera_2", {"camera": "camera_2"}), ("pose", {"camera": "camera_0", "states": "pose"})):
        with pytest.raises(ValueError, match=naming("set.zarr", wrong)):
            DiffusionPolicy(path, control_rate=20, **settings)


def test_a_missing_chunk_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "set.zarr", arrays_of())
    (path / "data" / "img" / "1.0.0.0").unlink()
    with pytest.warns(UserWarning, match=naming("data/img", 1, 4)):
        DiffusionPolicy(path)
    for file in (path / "data" / "img").glob("*.*.*"):
        file.unlink()
    with pytest.raises(FileNotFoundError, match=naming("data/img", 4)):
        DiffusionPolicy(path)


@pytest.mark.parametrize("zip_it", [False, True])
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_chunks_of_the_fill_value_need_not_be_stored(tmp_path: Path, zarr_format: int, zip_it: bool) -> None:
    """As zarr 3 leaves them out by default: black frames, and an agent that stands at zero."""
    arrays = arrays_of([8, 8])
    arrays["data/img"][4:8], arrays["data/action"][4:8] = 0, 0
    path = write(tmp_path / "set.zarr", arrays, zarr_format)
    with pytest.warns(UserWarning, match=naming(1, 4)):
        dataset = DiffusionPolicy(zipped(path) if zip_it else path)
    np.testing.assert_array_equal(dataset.trajectory(0).frames.read(range(8)), arrays["data/img"][:8])
    np.testing.assert_array_equal(dataset.trajectory(0).actions, arrays["data/action"][:7])


def test_where_no_fill_value_is_known_a_missing_chunk_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "set.zarr", arrays_of())
    change(path / "data/img/.zarray", fill_value=None)
    (path / "data" / "img" / "1.0.0.0").unlink()
    with pytest.raises(FileNotFoundError, match=naming("data/img", 1, 4)):
        DiffusionPolicy(path)


def change(file: Path, **changes: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


HOSTILE_2: dict[str, dict] = {
    "objects": {"dtype": "|O", "filters": [{"id": "pickle", "protocol": 5}]},
    "objects as texts": {"dtype": "|O", "filters": [{"id": "vlen-utf8"}]},
    "a filter": {"filters": [{"id": "fixedscaleoffset", "offset": 0, "scale": 1, "dtype": "<f4"}]},
    "a codec of anybody's": {"compressor": {"id": "my_codec"}},
    "a codec that runs code": {"compressor": {"id": "pickle", "protocol": 5}},
    "fields": {"dtype": [["a", "<f4"]]},
    "texts": {"dtype": "<U8"},
    "dates": {"dtype": "<M8[s]"},
    "a chunk of 16 EiB": {"chunks": [2**32, 2**32]},
    "a chunk of 6 GiB": {"chunks": [2**30, 5]},
    "an array of 6 GiB": {"shape": [2**30, 5]},
    "a shape below zero": {"shape": [-13, 5]},
    "a shape of half a frame": {"shape": [12.5, 5]},
    "a shape of other dimensions": {"shape": [13]},
    "chunks of nothing": {"chunks": [0, 5]},
    "a fill value of any kind": {"fill_value": {"a": 1}},
    "an order of its own": {"order": "Z"},
    "another version": {"zarr_format": 3},
    "a truth for a number": {"shape": [True, 5]},
}


@pytest.mark.parametrize("zip_it", [False, True])
@pytest.mark.parametrize("kind", HOSTILE_2)
def test_metadata_that_could_run_code_or_take_the_memory_are_refused(kind: str, zip_it: bool, tmp_path: Path) -> None:
    path = write(tmp_path / "set.zarr", arrays_of())
    change(path / "data/state/.zarray", **HOSTILE_2[kind])
    with pytest.raises(ValueError, match=r"set\.zarr.*data/state"):
        DiffusionPolicy(zipped(path) if zip_it else path)


BYTES = {"name": "bytes", "configuration": {"endian": "little"}}
HOSTILE_3: dict[str, dict] = {
    "texts": {"data_type": "string"},
    "a codec for texts": {"codecs": [{"name": "vlen-utf8"}]},
    "a codec of numcodecs'": {"codecs": [BYTES, {"name": "numcodecs.pickle"}]},
    "two compressions": {"codecs": [BYTES, {"name": "zstd"}, {"name": "zstd"}]},
    "a compression and no bytes": {"codecs": [{"name": "zstd"}]},
    "chunks in chunks": {"codecs": [{"name": "sharding_indexed"}]},
    "a transformer": {"storage_transformers": [{"name": "x"}]},
    "a chunk of 6 GiB": {"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [2**30, 5]}}},
    "an array of 6 GiB": {"shape": [2**30, 5]},
    "a group": {"node_type": "group"},
}


@pytest.mark.parametrize("kind", HOSTILE_3)
def test_so_are_those_of_the_third_version(kind: str, tmp_path: Path) -> None:
    path = write(tmp_path / "set.zarr", arrays_of(), 3)
    change(path / "data/state/zarr.json", **HOSTILE_3[kind])
    with pytest.raises(ValueError, match=r"set\.zarr/data/state"):
        DiffusionPolicy(path)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_metadata_that_stand_elsewhere_too_are_not_believed(zarr_format: int, tmp_path: Path) -> None:
    path = write(tmp_path / "set.zarr", arrays_of(), zarr_format)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zarr warns that consolidated metadata are no part of version 3
        zarr.consolidate_metadata(path)
    file = path / (".zmetadata" if zarr_format == 2 else "zarr.json")
    text = file.read_text()
    file.write_text(text.replace("float32", "float64").replace("<f4", "<f8"))
    assert file.read_text() != text
    assert DiffusionPolicy(path).trajectory(0).states.shape == (5, 7)


@pytest.mark.parametrize("damage", ["directory", "version"])
def test_a_zip_file_that_is_damaged_is_recognised_by_nobody_and_named(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("meta/episode_ends/.zarray", "{}")
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02")  # the directory
    data[at : at + 8] = (
        b"PK\x09\x09" + data[at + 4 : at + 8] if damage == "directory" else b"PK\x01\x02\x14\x03\xff\x00"
    )
    path.write_bytes(data)
    with pytest.raises((ValueError, OSError), match=r"set\.zip"):
        open_dataset(path)


def test_a_frame_that_claims_more_than_is_stored_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "set.zarr", arrays_of())
    side = 2**15
    array = zarr.open_group(path, mode="a")["data"].create_array(
        "img", shape=(18, side, side, 3), dtype="u1", chunks=(1, 8, 8, 3), overwrite=True
    )
    array[0, :8, :8] = 7
    with pytest.raises(ValueError, match=naming(f"{path}/data/img", "frame", f"{3 * side * side:,}")):
        DiffusionPolicy(path)


def squeezed(codec: numcodecs.abc.Codec, size: int) -> bytes:
    return bytes(codec.encode(np.zeros(size, np.uint8)))


@pytest.mark.parametrize("name", ["Zstd", "LZ4", "GZip", "Zlib", "Blosc"])
def test_every_compression_that_is_allowed_is_read_and_its_bombs_are_refused(name: str, tmp_path: Path) -> None:
    codec = getattr(numcodecs, name)()
    arrays = arrays_of()
    path = write(tmp_path / "set.zarr", arrays, compressors=codec)
    np.testing.assert_array_equal(DiffusionPolicy(path).trajectory(2).frames.read([0]), arrays["data/img"][6:7])
    (path / "data/img/1.0.0.0").write_bytes(squeezed(codec, 2**27))
    for store in (path, zipped(path)):
        with pytest.raises((ValueError, OSError), match=r"set\.zarr.*data/img/1\.0\.0\.0"):
            DiffusionPolicy(store)


def test_ends_of_episodes_that_cannot_be_unpacked_are_named(tmp_path: Path) -> None:
    path = write(tmp_path / "set.zarr", arrays_of(), 3)
    file = path / "meta/episode_ends/c/0"
    content = bytearray(file.read_bytes())
    content[14:] = b"?" * len(content[14:])
    file.write_bytes(content)
    with pytest.raises(OSError, match=naming("set.zarr", "meta/episode_ends")):
        DiffusionPolicy(path)


@pytest.mark.parametrize("name", [".zattrs", "data/state/.zattrs", "data/.zgroup", "data/state/.zarray"])
def test_metadata_of_a_gibibyte_are_refused(name: str, tmp_path: Path) -> None:
    path = write(tmp_path / "set.zarr", arrays_of())
    with (path / name).open("r+b") as file:
        file.truncate(2**30)
    with pytest.raises(ValueError, match=naming(name, "1,048,576")):
        DiffusionPolicy(path)


def test_a_zip_file_cannot_be_a_bomb_either(tmp_path: Path) -> None:
    path = write(tmp_path / "set.zarr", arrays_of(), compressors=None)
    (path / "data/img/1.0.0.0").write_bytes(bytes(2**26))
    with zipfile.ZipFile(tmp_path / "set.zarr.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(path.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(path).as_posix())
    with pytest.raises(ValueError, match=naming("data/img/1.0.0.0")):
        DiffusionPolicy(tmp_path / "set.zarr.zip")


@pytest.mark.parametrize(
    ("zarr_format", "name"), [(2, "data/img/1.0.0.0"), (2, "data/state/1.0"), (3, "data/img/c/1/0/0/0")]
)
def test_a_chunk_that_blosc_would_read_beyond_is_refused_at_opening(
    tmp_path: Path, zarr_format: int, name: str
) -> None:
    compressors = numcodecs.Blosc(cname="lz4") if zarr_format == 2 else zarr.codecs.BloscCodec()
    path = write(tmp_path / "set.zarr", arrays_of(), zarr_format, compressors)
    content = (path / name).read_bytes()
    for kept in (0, 10, 20, len(content) - 1):
        (path / name).write_bytes(content[:kept])
        with pytest.raises(OSError, match=naming(name)):
            DiffusionPolicy(path)
    (path / name).write_bytes(content)
    DiffusionPolicy(path)


@pytest.mark.parametrize("compressor", ["Zstd", None])
def test_a_chunk_cut_short_is_named_when_it_is_read(tmp_path: Path, compressor: str | None) -> None:
    path = write(tmp_path / "set.zarr", arrays_of(), compressors=compressor and getattr(numcodecs, compressor)())
    for name in ("data/img/1.0.0.0", "data/state/1.0"):
        (path / name).write_bytes((path / name).read_bytes()[:20])
    dataset = DiffusionPolicy(path)
    with pytest.raises(OSError, match=r"set\.zarr .*episode_2\).*data/state"):
        dataset.trajectory(2)
    shutil.copy(path / "data/state/0.0", path / "data/state/1.0")
    frames = dataset.trajectory(2).frames
    frames.read([3])
    with pytest.raises(OSError, match=r"set\.zarr .*episode_2\).*data/img"):
        frames.read([0])


def test_a_zip_file_cut_short_is_refused(tmp_path: Path) -> None:
    path = zipped(write(tmp_path / "set.zarr", arrays_of()))
    content = path.read_bytes()
    for kept in (0, 100, len(content) - 1):
        path.write_bytes(content[:kept])
        with pytest.raises(OSError, match=naming("set.zarr.zip")):
            DiffusionPolicy(path)


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("meta/episode_ends", np.array([5, 5, 13]), "episode_1 .* 0 "),
        ("meta/episode_ends", np.array([5, 4, 13]), "episode_1 .* -1 "),
        ("meta/episode_ends", np.array([5, 6, 12]), "12 .*data/img .*13"),
        ("meta/episode_ends", np.array([5.0, 6, 13]), "whole number"),
        ("data/state", np.ones((12, 5)), "13 .*data/state .*12"),
        ("data/state", np.ones((13, 4)), "control_rate"),  # not Push-T's
        ("data/action", np.ones((13, 3)), "control_rate"),
        ("data/img", np.ones((13, 6, 7, 1)), "control_rate"),
    ],
)
def test_arrays_that_disagree_are_refused_at_opening(
    tmp_path: Path, name: str, array: np.ndarray, message: str
) -> None:
    path = write(tmp_path / "set.zarr", {**arrays_of(), name: array})
    with pytest.raises((ValueError, OSError), match=f"set.zarr.*{message}"):
        DiffusionPolicy(path)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_names_file_and_record(tmp_path: Path, value: float) -> None:
    arrays = arrays_of()
    arrays["data/action"][4] = value  # at the last frame of an episode: nobody saw what it did
    arrays["data/action"][8] = value
    dataset = DiffusionPolicy(write(tmp_path / "set.zarr", arrays))
    dataset.trajectory(0)
    with pytest.raises(ValueError, match=r"set\.zarr .*episode_2\).*(actions|states)\[2\]"):
        dataset.trajectory(2)


@pytest.mark.parametrize("value", [0.5, -1, 256, np.nan])
def test_pixels_that_are_no_bytes_are_refused(tmp_path: Path, value: float) -> None:
    arrays = arrays_of()
    arrays["data/img"][8, 1, 1, 1] = value
    frames = DiffusionPolicy(write(tmp_path / "set.zarr", arrays)).trajectory(2).frames
    frames.read([1, 3])
    with pytest.raises(ValueError, match=naming("episode_2", "pixels")):
        frames.read([2])


def test_frames_of_another_episode_cannot_be_reached(tmp_path: Path) -> None:
    frames = DiffusionPolicy(write(tmp_path / "set.zarr", arrays_of())).trajectory(0).frames
    for index in (5, -1):
        with pytest.raises(IndexError, match="5 frames"):
            frames.read([index])


def test_the_fingerprint_follows_every_file(tmp_path: Path) -> None:
    path = write(tmp_path / "set.zarr", arrays_of())
    before = DiffusionPolicy(path).fingerprint()
    moved = path.rename(tmp_path / "moved.zarr")
    assert DiffusionPolicy(moved).fingerprint() == before, "moved as a whole it is the same"
    chunk = moved / "data" / "img" / "1.0.0.0"
    chunk.write_bytes((moved / "data" / "img" / "0.0.0.0").read_bytes())
    assert DiffusionPolicy(moved).fingerprint() != before


@pytest.fixture(scope="module")
def demonstrated(request: pytest.FixtureRequest, demonstrations: dict) -> DiffusionPolicy:
    return DiffusionPolicy(request.config.getoption("--demonstrations"))


def test_peoples_demonstrations_equal_what_zarr_returns(demonstrated: DiffusionPolicy, demonstrations: dict) -> None:
    ends = demonstrations["episode_ends"]
    assert len(demonstrated) == 206
    assert demonstrated.lengths.sum() == 25_650
    np.testing.assert_array_equal(np.cumsum(demonstrated.lengths), ends)
    images = demonstrations["images"]
    for index, (start, end) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
        trajectory = demonstrated.trajectory(index)
        np.testing.assert_array_equal(trajectory.states[:, :5], demonstrations["state"][start:end])
        np.testing.assert_array_equal(trajectory.actions, demonstrations["action"][start : end - 1])
        picked = [frame for frame in images if start <= frame < end]
        if picked and index % 5 == 0:
            frames = trajectory.frames.read(np.array(picked) - start)
            np.testing.assert_array_equal(frames, [images[frame] for frame in picked])


def test_people_started_from_rest(demonstrated: DiffusionPolicy) -> None:
    first = np.array([demonstrated.trajectory(i).states[0, 5:] for i in range(206)])
    assert np.abs(first).max() < 1e-3
    fastest = max(np.abs(demonstrated.trajectory(i).states[:, 5:]).max() for i in range(0, 206, 10))
    assert fastest > 100


def test_peoples_demonstrations_are_replayed_from_a_state(demonstrated: DiffusionPolicy) -> None:
    """The state with its velocity puts our environment where the recorded one was."""
    env = gym.make(demonstrated.env_id, obs_type="state", **demonstrated.env_settings)
    errors = []
    for index in range(0, 206, 10):
        trajectory = demonstrated.trajectory(index)
        env.reset(options={"state": trajectory.states[20]})
        for action in trajectory.actions[20:30]:
            observation, *_ = env.step(action.astype(np.float32))
        errors.append(np.abs(observation["observation"][[0, 1, 5, 6]] - trajectory.states[30, [0, 1, 5, 6]]).max())
    assert max(errors) < 2e-3
