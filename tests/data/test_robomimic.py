"""robomimic's HDF5 files, as its ``dataset_states_to_obs.py`` writes them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from naming import naming

from wmcontrol.data import open_dataset
from wmcontrol.data.formats.robomimic import Robomimic

h5py = pytest.importorskip("h5py")
LENGTHS = {0: 4, 1: 3, 2: 5, 10: 6}
ENV_ARGS: dict[str, Any] = {"env_name": "Lift", "type": 1, "env_kwargs": {"control_freq": 20, "robots": ["Panda"]}}


def arrays_of(number: int, side: int = 6) -> dict[str, np.ndarray]:
    rng, T = np.random.default_rng(number), LENGTHS[number]
    arrays = {"actions": rng.uniform(-1, 1, (T, 7)), "states": rng.normal(size=(T, 9)), "rewards": np.arange(T) / 2}
    for group in ("obs", "next_obs"):
        arrays[f"{group}/robot0_eef_pos"] = rng.normal(size=(T, 3))
        for camera in ("agentview", "robot0_eye_in_hand"):
            arrays[f"{group}/{camera}_image"] = rng.integers(0, 256, (T, side, side, 3), dtype=np.uint8)
    return arrays


def write(path: Path, side: int = 6, **changes: Any) -> Path:
    with h5py.File(path, "w") as file:
        for number, length in LENGTHS.items():
            for name, array in (arrays_of(number, side) | changes).items():
                file[f"data/demo_{number}/{name}"] = array
            file[f"data/demo_{number}"].attrs["num_samples"] = length
            file[f"data/demo_{number}"].attrs["model_file"] = "<mujoco/>"
        file["data"].attrs["env_args"] = json.dumps(ENV_ARGS)
        file["data"].attrs["total"] = sum(LENGTHS.values())
        file["mask/train"] = np.array([b"demo_10", b"demo_2"])
        file["mask/valid"] = np.array([b"demo_7"])
    return path


def test_demos_equal_what_was_written_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    dataset = open_dataset(write(tmp_path / "image.hdf5"), camera="agentview")
    assert isinstance(dataset, Robomimic)
    assert dataset.lengths.tolist() == list(LENGTHS.values())
    assert (dataset.control_rate, dataset.env_id, dataset.action_bounds) == (20, None, None)
    for trajectory, number in zip(dataset, LENGTHS, strict=True):
        arrays = arrays_of(number)
        assert trajectory.provenance.record == f"data/demo_{number}"
        np.testing.assert_array_equal(trajectory.frames, arrays["obs/agentview_image"])
        np.testing.assert_array_equal(trajectory.states, arrays["states"])
        np.testing.assert_array_equal(trajectory.actions, arrays["actions"][:-1])
        np.testing.assert_array_equal(trajectory.rewards, arrays["rewards"][:-1])


def test_cameras_states_and_demos_are_chosen(tmp_path: Path) -> None:
    path = write(tmp_path / "image.hdf5")
    with pytest.raises(
        ValueError, match=naming("image.hdf5", "camera", "obs/agentview_image", "obs/robot0_eye_in_hand_image")
    ):
        Robomimic(path)
    chosen = Robomimic(path, "robot0_eye_in_hand_image", states="obs/robot0_eef_pos", filter_key="train")
    assert chosen.lengths.tolist() == [5, 6]
    np.testing.assert_array_equal(chosen[0].frames, arrays_of(2)["obs/robot0_eye_in_hand_image"])
    np.testing.assert_array_equal(chosen[1].states, arrays_of(10)["obs/robot0_eef_pos"])
    for wrong, settings in (
        ("front", {"camera": "front"}),
        ("pose", {"camera": "agentview", "states": "pose"}),
        ("test", {"camera": "agentview", "filter_key": "test"}),
        ("demo_7", {"camera": "agentview", "filter_key": "valid"}),
    ):
        with pytest.raises(ValueError, match=naming("image.hdf5", wrong)):
            Robomimic(path, **settings)


def test_the_rate_is_given_where_the_file_does_not_say_it(tmp_path: Path) -> None:
    path = write(tmp_path / "image.hdf5")
    assert Robomimic(path, "agentview", control_rate=10).control_rate == 10
    with h5py.File(path, "a") as file:
        file["data"].attrs["env_args"] = json.dumps({"env_name": "Lift"})
    with pytest.raises(ValueError, match=naming("image.hdf5", "control_rate")):
        Robomimic(path, "agentview")
    with h5py.File(path, "a") as file:
        file["data"].attrs["env_args"] = json.dumps({"env_kwargs": {"control_freq": -1}})
    with pytest.raises(ValueError, match=naming("image.hdf5", "env_args", "control_freq")):
        Robomimic(path, "agentview")


def test_demos_that_disagree_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=naming("image.hdf5", "data/demo_1", "states", 4, 3)):
        Robomimic(write(tmp_path / "image.hdf5", states=np.zeros((4, 2))), "agentview")


def test_an_array_where_the_demos_should_be_is_named(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "set.hdf5", "w") as file:
        file["data"] = 3.0
    with pytest.raises(ValueError, match=naming("set.hdf5", "data")):
        Robomimic(tmp_path / "set.hdf5")
