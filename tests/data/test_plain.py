"""Plain HDF5, zarr and npz files: the arrays that docs/data.md names, in groups or with ends of episodes."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from naming import naming

from wmcontrol.actions import ActionLayout
from wmcontrol.data import open_dataset
from wmcontrol.data.formats.plain import PlainArrays
from wmcontrol.data.formats.reading import checked_lengths

h5py = pytest.importorskip("h5py")
zarr = pytest.importorskip("zarr")
LENGTHS = [4, 3, 5]
Arrays = dict[str, Any]


def write_hdf5(path: Path, arrays: Arrays, attributes: Arrays) -> Path:
    with h5py.File(path.with_suffix(".h5"), "w") as file:
        for name, array in arrays.items():
            file[name] = array
        file.attrs.update(attributes)
    return path.with_suffix(".h5")


def write_zarr(path: Path, arrays: Arrays, attributes: Arrays) -> Path:
    group = zarr.open_group(path.with_suffix(".zarr"), mode="w", zarr_format=2)
    for name, array in arrays.items():
        group.create_array(name, data=np.asarray(array), chunks=np.maximum(1, np.minimum(2, np.shape(array))).tolist())
    group.attrs.update(attributes)
    return path.with_suffix(".zarr")


def write_npz(path: Path, arrays: Arrays, attributes: Arrays) -> Path:
    np.savez_compressed(path.with_suffix(".npz"), **arrays, **attributes)
    return path.with_suffix(".npz")


WRITERS: dict[str, Callable[[Path, Arrays, Arrays], Path]] = {
    "hdf5": write_hdf5,
    "zarr": write_zarr,
    "npz": write_npz,
}


def flat() -> Arrays:
    rng, F = np.random.default_rng(0), sum(LENGTHS)
    return {
        "pixels": rng.integers(1, 256, (F, 6, 8, 3), dtype=np.uint8),
        "actions": rng.normal(size=(F, 2)),
        "states": rng.normal(size=(F, 3)),
        "rewards": rng.normal(size=F),
        "episode_ends": np.cumsum(LENGTHS),
    }


def grouped() -> Arrays:
    """As above, with one action less than frames, and a tenth episode that comes after the second."""
    whole, ends = flat(), np.cumsum(LENGTHS)
    return {
        f"episode_{number}/{name}": array[end - T : end - (name in ("actions", "rewards"))]
        for number, T, end in zip((1, 2, 10), LENGTHS, ends, strict=True)
        for name, array in whole.items()
        if name != "episode_ends"
    }


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("arranged", [flat, grouped])
def test_episodes_equal_what_was_written(tmp_path: Path, writer: str, arranged: Callable[[], Arrays]) -> None:
    path = WRITERS[writer](tmp_path / "set", arranged(), {"control_rate": 20.0})
    dataset, whole = open_dataset(path), flat()
    assert isinstance(dataset, PlainArrays)
    assert (dataset.control_rate, dataset.env_id, dataset.action_bounds) == (20, None, None)
    assert dataset.lengths.tolist() == LENGTHS
    for index, (T, end) in enumerate(zip(LENGTHS, np.cumsum(LENGTHS), strict=True)):
        trajectory = dataset[index]
        np.testing.assert_array_equal(trajectory.frames, whole["pixels"][end - T : end])
        np.testing.assert_array_equal(trajectory.states, whole["states"][end - T : end])
        np.testing.assert_array_equal(trajectory.actions, whole["actions"][end - T : end - 1])
        np.testing.assert_array_equal(trajectory.rewards, whole["rewards"][end - T : end - 1])
        np.testing.assert_allclose(trajectory.times, np.arange(T) / 20)
    assert open_dataset(path, control_rate=10).control_rate == 10  # a setting prevails
    assert (
        open_dataset(path, control_rate=10).fingerprint() != dataset.fingerprint() == open_dataset(path).fingerprint()
    )


@pytest.mark.parametrize("writer", WRITERS)
def test_the_environment_that_a_file_names_says_rate_and_bounds_and_draws(tmp_path: Path, writer: str) -> None:
    states = 100 + np.arange(21.0).reshape(3, 7)
    attributes = {"env_id": "wmcontrol/PushT-v0", "env_settings": '{"action_mode": "absolute"}'}
    path = WRITERS[writer](tmp_path / "set", {"states": states, "actions": np.ones((2, 2))}, attributes)
    dataset = open_dataset(path, image_size=16)
    assert (dataset.env_id, dataset.env_settings) == ("wmcontrol/PushT-v0", {"action_mode": "absolute"})
    assert dataset.control_rate == 10
    np.testing.assert_array_equal(dataset.action_bounds, [[0, 0], [512, 512]])
    assert dataset[0].frames[2].shape == (16, 16, 3)
    with pytest.raises(ValueError, match=naming(path.with_stem("other").name, "states", 7, 3)):
        open_dataset(
            WRITERS[writer](tmp_path / "other", {"states": states[:, :3], "actions": np.ones((2, 2))}, attributes)
        )


def test_times_say_the_rate_and_flags_where_episodes_end(tmp_path: Path) -> None:
    arrays = flat()
    del arrays["episode_ends"], arrays["states"]
    times = np.concatenate([np.arange(T) * 0.05 for T in LENGTHS])
    terminals, timeouts = np.zeros(12, bool), np.zeros(12)
    terminals[3], timeouts[6] = True, 1
    path = write_hdf5(tmp_path / "set", {**arrays, "times": times, "terminals": terminals, "timeouts": timeouts}, {})
    dataset = open_dataset(path)
    assert dataset.lengths.tolist() == LENGTHS
    assert dataset.control_rate == pytest.approx(20)
    np.testing.assert_allclose(dataset[2].times, times[7:])
    assert dataset[0].states is None


def test_arrays_alone_are_one_episode_and_may_have_other_names_and_axes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arrays = {
        "top": rng.integers(0, 256, (6, 3, 4, 4), dtype=np.uint8),
        "wrist": rng.integers(0, 256, (6, 4, 4, 3), dtype=np.uint8),
        "joints": rng.normal(size=(6, 2, 3)),
        "force": rng.normal(size=6),
        "action": rng.normal(size=6),
    }
    path = write_npz(tmp_path / "set", arrays, {"control_rate": 5})
    with pytest.raises(ValueError, match=naming("set.npz", "camera", "top", "wrist")):
        open_dataset(path)
    dataset = open_dataset(path, camera="top", states=("joints", "force"), image_size=(2, 4))
    trajectory = dataset[0]
    assert dataset.lengths.tolist() == [6]
    assert np.asarray(trajectory.frames).shape == (6, 2, 4, 3)
    np.testing.assert_array_equal(
        trajectory.states, np.concatenate([arrays["joints"].reshape(6, 6), arrays["force"][:, None]], 1)
    )
    np.testing.assert_array_equal(trajectory.actions, arrays["action"][:-1, None])


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"pixels": None, "states": None}, naming("set", "states", "actions")),
        ({"actions": np.ones((11, 2))}, naming("set", 12, "actions", 11)),
        ({"states": np.ones((13, 2))}, naming("set", 12, "states", 13)),
        ({"episode_ends": np.array([4, 4, 12])}, naming("set", "episode_ends", "episode_1", 0)),
        ({"episode_ends": np.array([4.0, 12])}, naming("set", "episode_ends")),
        ({"episode_ends": np.zeros(0, int)}, naming("set", "episode_ends")),
        ({"pixels": np.full((12, 6, 8, 3), 0.5)}, naming("set", "episode_0", "pixels")),
        ({"actions": np.full((12, 2), np.nan)}, naming("set", "episode_0", "actions")),
        ({"rewards": np.ones((12, 2))}, naming("set", "episode_0", "rewards", (3, 2))),
        ({"times": np.ones((12, 0))}, naming("set", "times")),
        ({"times": np.ones((12, 2))}, naming("set", "episode_0", "times", 2)),
        ({"actions": np.full(12, b"a")}, naming("set", "actions")),
    ],
)
def test_arrays_that_disagree_name_the_file_and_themselves(
    tmp_path: Path, writer: str, change: Arrays, says: str
) -> None:
    arrays = {name: array for name, array in (flat() | change).items() if array is not None}
    path = WRITERS[writer](tmp_path / "set", arrays, {"control_rate": 20})
    with pytest.raises(ValueError, match=says):
        np.asarray(open_dataset(path)[0].frames)


@pytest.mark.parametrize("writer", WRITERS)
def test_choices_are_told_by_how_many_there_are(tmp_path: Path, writer: str) -> None:
    chosen = np.array([3, 1, 0, 2, 1, 1, 3, 0, 2, 3, 1, 9])  # nobody saw what the last did
    path = WRITERS[writer](tmp_path / "set", flat() | {"actions": chosen}, {"control_rate": 10.0, "num_choices": 4})
    dataset = open_dataset(path)
    np.testing.assert_array_equal(dataset[1].actions, np.eye(4)[[1, 1]])
    assert dataset.action_layout == ActionLayout((), (4,))
    np.testing.assert_array_equal(dataset.action_bounds, [np.zeros(4), np.ones(4)])
    with pytest.raises(ValueError, match=naming("set", "episode_0", "actions", 3)):
        open_dataset(path, num_choices=3)[0]
    for wrong in (1, 2.5, True):
        with pytest.raises(ValueError, match="num_choices"):
            open_dataset(path, num_choices=wrong)
    if writer == "hdf5":  # the others have no bytes
        arrays = flat() | {"actions": np.full(12, b"1")}
        with pytest.raises(ValueError, match=naming("bytes", "episode_0", "actions", "S1")):
            open_dataset(write_hdf5(tmp_path / "bytes", arrays, {"control_rate": 10.0, "num_choices": 4}))[0]


def test_groups_that_disagree_are_named(tmp_path: Path) -> None:
    for change, says in (
        ({"episode_2/actions": np.zeros((5, 2))}, naming("episode_2", "actions", 5, 3)),
        ({"episode_2/pixels": None}, naming("episode_2", "pixels")),
        (dict.fromkeys(grouped()) | {"a/x": np.zeros(3)}, naming("states", "x", (3,))),
    ):
        arrays = {name: array for name, array in (grouped() | change).items() if array is not None}
        with pytest.raises(ValueError, match=says):
            open_dataset(write_hdf5(tmp_path / "set", arrays, {"control_rate": 20}))


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize(
    ("attributes", "says"),
    [
        ({}, "control_rate"),
        ({"control_rate": -1.0}, "control_rate"),
        ({"control_rate": "10"}, "control_rate"),
        ({"env_id": "os:Env-v0", "control_rate": 10.0}, "env_id"),  # Gymnasium would import it
        ({"env_settings": "[1]", "control_rate": 10.0}, "env_settings"),
    ],
)
def test_attributes_are_checked(tmp_path: Path, writer: str, attributes: Arrays, says: str) -> None:
    with pytest.raises(ValueError, match=naming("set", says)):
        open_dataset(WRITERS[writer](tmp_path / "set", flat(), attributes))


def npy(dtype: str, shape: tuple[int, ...], content: bytes) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
    return file.getvalue() + content


@pytest.mark.parametrize(
    ("header", "content", "says"),
    [
        pytest.param(("|O", (12,)), b"x" * 96, "actions", id="pickled"),
        pytest.param(("<f8", (2**40,)), b"x" * 96, "actions", id="claims a lot"),
        pytest.param(("<f8", (-12,)), b"x" * 96, "actions", id="fewer than none"),
        pytest.param(None, b"\x93NUMPY\x01\x00\x05\x00{{{{{", "set.npz", id="no header"),
        pytest.param(None, b"no array", "set.npz", id="no array"),
        # 256 MiB of zeros, and a header, in 1 MiB.
        pytest.param(("|u1", (2**28,)), 2**28, "actions", id="a lot in little"),
    ],
)
def test_an_npz_file_runs_nothing_and_claims_no_more_than_it_has(
    tmp_path: Path, header: tuple[str, tuple[int, ...]] | None, content: bytes | int, says: str
) -> None:
    path = write_npz(tmp_path / "set", {"states": np.zeros((12, 2))}, {"control_rate": 10})
    member = npy(*header, bytes(content)) if header else bytes(content)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("actions.npy", member, compresslevel=1)
    with pytest.raises((ValueError, OSError), match=naming("set.npz", says)):
        open_dataset(path)


def test_a_single_number_is_no_array_of_steps(tmp_path: Path) -> None:
    for name in ("states", "actions"):
        arrays = {"states": np.zeros((12, 2)), "actions": np.zeros((12, 2)), name: np.array(3.0)}
        with pytest.raises(ValueError, match=naming("set.npz", name)):
            PlainArrays(write_npz(tmp_path / "set", arrays, {"control_rate": 10}))


def test_an_npz_file_that_is_damaged_is_named(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "set", flat(), {"control_rate": 10})
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(OSError, match=r"set\.npz"):
        PlainArrays(path)
    damaged = bytearray(content)
    damaged[300:400] = bytes(100)  # in the pixels, which come first
    path.write_bytes(damaged)
    with pytest.raises((OSError, ValueError), match=r"set\.npz"):
        np.asarray(PlainArrays(path)[0].frames)


def test_an_array_that_is_not_read_stands_in_nobodys_way(tmp_path: Path) -> None:
    path = write_hdf5(tmp_path / "set", flat() | {"language": np.array([b"push"], object)}, {"control_rate": 10})
    with h5py.File(path, "a") as file:
        file["elsewhere"] = h5py.ExternalLink("other.h5", "/")
    assert len(open_dataset(path)) == 3


def test_an_episode_that_is_a_link_is_not_left_out(tmp_path: Path) -> None:
    path = tmp_path / "set.hdf5"
    with h5py.File(path, "w") as file:
        for number in range(2):
            file[f"episode_{number}/states"], file[f"episode_{number}/actions"] = np.zeros((5, 2)), np.zeros((4, 2))
        file.attrs["control_rate"] = 10
    assert len(open_dataset(path)) == 2
    with h5py.File(path, "a") as file:
        file["episode_2"] = h5py.SoftLink("/episode_0")
    with pytest.raises(ValueError, match=naming("set.hdf5", "episode_2")):
        open_dataset(path)


def test_more_frames_than_can_be_read_are_refused() -> None:
    assert checked_lengths(Path("set"), [3, 10**8]).tolist() == [3, 10**8]
    with pytest.raises(ValueError, match=naming("set", "episode_1", 10**8 + 1)):
        checked_lengths(Path("set"), [3, 10**8 + 1])


@pytest.mark.parametrize("flags", [np.full(12, np.nan), np.array(["False"] * 12), np.full(12, 2)])
def test_flags_that_are_neither_true_nor_false_are_refused(tmp_path: Path, flags: np.ndarray) -> None:
    path = write_npz(tmp_path / "set", {"states": np.zeros((12, 2)), "dones": flags}, {"control_rate": 10})
    with pytest.raises(ValueError, match=naming("set.npz", "dones")):
        open_dataset(path)
