"""``metadata.json`` of Minari sets: what does not fit names the file and the field, also inside JSON in a text."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from minari_helpers import episodes, write
from test_minari import foreign, vectors

from wmcontrol.data.formats.minari import MinariTrajectories

h5py = pytest.importorskip("h5py")
BOX = {"type": "Box", "dtype": "float32", "shape": [2], "low": [-1.0, -1.0], "high": [1.0, 1.0]}


def changed(folder: Path, **fields: Any) -> Path:
    path = folder / "data" / "metadata.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))
    return folder


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"total_episodes": True}, r"total_episodes: .*True"),
        ({"total_episodes": -1}, "total_episodes: .*-1"),
        ({"total_episodes": 10**12}, "total_episodes: .*1000000000000"),
        ({"total_episodes": 3}, r"total_episodes: .*3.*main_data\.hdf5.*2"),
        ({"total_steps": "9"}, "total_steps: .*'9'"),
        ({"env_spec": 3}, "env_spec: .*3"),
        ({"env_spec": "{"}, "env_spec: "),
        ({"env_spec": "[" * 100_000}, "env_spec: "),
        ({"env_spec": "[]"}, "env_spec: "),
        ({"env_spec": '{"id": 3}'}, "env_spec: id: .*3"),
        ({"env_spec": '{"id": "a", "kwargs": []}'}, "env_spec: kwargs: "),
        ({"env_spec": '{"id": "a", "kwargs": {"a": NaN}}'}, r"env_spec: kwargs\.a: .*nan"),
        (
            {"env_spec": '{"id": "a", "additional_wrappers": [{}]}'},
            r"env_spec: additional_wrappers\[0\]: .*'name'",
        ),
        ({"env_spec": f'{{"kwargs": {{"a": {"1" * 5000}}}}}'}, "env_spec: "),
        ({"action_space": json.dumps({**BOX, "low": [float("nan"), 0]})}, r"action_space: low\[0\]: .*nan"),
        ({"action_space": json.dumps({**BOX, "low": [0]})}, r"action_space: low: .*2"),
        ({"action_space": json.dumps({**BOX, "low": [2, 0]})}, "action_space: low: "),
        ({"action_space": json.dumps({**BOX, "shape": [10**12]})}, r"action_space: shape\[0\]: "),
        ({"action_space": json.dumps({"type": "Box", "shape": [2]})}, "action_space: low: .*null"),
        (
            {"action_space": json.dumps({"type": "MultiBinary", "n": [2**16, 2**16]})},
            r"action_space: n: .*65536.*4294967296",
        ),
        ({"action_space": json.dumps({"type": "MultiDiscrete", "nvec": [2**16, 2]})}, r"action_space: nvec: .*65538"),
        ({"observation_space": '{"subspaces": {"a": 3}}'}, r"observation_space: subspaces\.a: "),
        ({"wmcontrol": {}}, "wmcontrol: "),
        ({"wmcontrol": []}, "wmcontrol: "),
    ],
)
def test_a_field_that_does_not_fit_is_named(tmp_path: Path, fields: dict[str, Any], says: str) -> None:
    changed(foreign(tmp_path, vectors()), **fields)
    with pytest.raises(ValueError, match=rf"metadata\.json: {says}"):
        MinariTrajectories(tmp_path, control_rate=10)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("env_id", 3),
        ("control_rate", "10"),
        ("control_rate", 0),
        ("settings", {"env_settings": []}),
        ("variation", {"agent_size": ["1"]}),
        ("lengths", [0, 4]),
        ("lengths", "4"),
    ],
)
def test_what_we_wrote_besides_is_checked_too(tmp_path: Path, field: str, value: Any) -> None:
    write(tmp_path, episodes(2))
    ours = json.loads((tmp_path / "data" / "metadata.json").read_text())["wmcontrol"]
    changed(tmp_path, wmcontrol={**ours, field: value})
    with pytest.raises(ValueError, match=rf"metadata\.json: wmcontrol\.{field}"):
        MinariTrajectories(tmp_path)


def rewrite(name: str, make: Any) -> Any:
    def change(file: Any) -> None:
        if name in file:
            del file[name]
        make(file)

    return change


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (rewrite("episode_1", lambda file: file.create_dataset("episode_1", data=[1.0])), ""),
        (
            rewrite("episode_1/observations", lambda f: f.__setitem__("episode_1/observations", h5py.SoftLink("/no"))),
            "observations",
        ),
        (
            lambda file: file.__setitem__("episode_1/observations/more", h5py.SoftLink("/nowhere")),
            "more",
        ),
        (lambda file: file.__setitem__("episode_1/observations/loop", h5py.SoftLink("/episode_1")), "loop"),
        (
            rewrite(
                "episode_1/actions",
                lambda f: f.create_dataset("episode_1/actions", (10**9, 2), "f8", chunks=(1000, 2)),
            ),
            "actions",
        ),
        (
            lambda file: file["episode_1"].attrs.__setitem__("options/variation/agent_size", "big"),
            r"agent_size.*'big'",
        ),
    ],
)
def test_a_broken_group_is_named(tmp_path: Path, change: Any, says: str) -> None:
    write(tmp_path, episodes(2))
    with h5py.File(tmp_path / "data" / "main_data.hdf5", "a") as file:
        change(file)
    read = MinariTrajectories(tmp_path)
    read.trajectory(0)
    with pytest.raises(ValueError, match=f"episode_1.*{says}"):
        read.trajectory(1)


def test_a_picture_that_is_none_names_its_episode(tmp_path: Path) -> None:
    space = {"type": "Box", "dtype": "uint8", "shape": [8, 8, 3], "low": 0, "high": 255}
    path = foreign(tmp_path, vectors(1), observation_space=json.dumps({"type": "Dict", "subspaces": {"camera": space}}))
    with h5py.File(path / "data" / "main_data.hdf5", "a") as file:
        states = file["episode_0/observations"][()]
        del file["episode_0/observations"]
        file["episode_0/observations/state"] = states
        kind = h5py.special_dtype(vlen=np.uint8)
        file.create_dataset("episode_0/observations/camera", (5,), kind)[:] = [np.arange(9, dtype=np.uint8)] * 5
    frames = MinariTrajectories(path, control_rate=10).trajectory(0).frames
    with pytest.raises(OSError, match=r"main_data\.hdf5, episode_0"):
        frames.read([2])
