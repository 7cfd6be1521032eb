"""Data sets on the Hugging Face Hub: real huggingface_hub, against a stand-in server."""

import json
from pathlib import Path

import numpy as np
import pytest
from hub_server import Hub
from naming import naming
from test_lerobot import SIDE, TOP, change_info, write_set

from wmcontrol.cli.main import main
from wmcontrol.data import collect, open_dataset, policies
from wmcontrol.data.formats.lerobot import LeRobot

WALL = "wmcontrol/Wall-v0"


def as_files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_of_a_lerobot_set_only_tables_and_the_films_of_the_camera_are_fetched(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    folder = write_set(tmp_path / "set")
    features = json.loads((folder / "meta" / "info.json").read_text())["features"]
    change_info(folder, features={**features, SIDE: features[TOP]})
    films = {f"videos/{SIDE}/chunk-000/file-000.mp4": b"another film", "README.md": b"a card"}
    hub.commit("datasets/someone/pushes", as_files(folder) | films)
    with pytest.raises(ValueError, match=naming("camera", SIDE, TOP)):
        open_dataset("hf://datasets/someone/pushes")
    assert {file.partition("/")[0] for file in hub.fetched} == {"meta"}  # it is told before the large files come
    found, here = open_dataset("hf://datasets/someone/pushes", camera=TOP), LeRobot(folder, TOP)
    assert found.fingerprint() == here.fingerprint()
    np.testing.assert_array_equal(found.trajectory(1).frames.read([0]), here.trajectory(1).frames.read([0]))
    assert set(hub.fetched) == {name for name in as_files(folder) if SIDE not in name}
    with pytest.raises(ValueError, match=naming("hf://datasets/owner/name", "hf://someone/pushes")):
        open_dataset("hf://someone/pushes")


def test_a_minari_set_in_a_folder_of_a_repository_is_read_by_commands_too(
    hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    collect(WALL, policies.random(WALL, num_frames=6), 3, folder=tmp_path / "set")
    hub.commit("datasets/someone/walks", {f"short/{name}": data for name, data in as_files(tmp_path / "set").items()})
    name = "hf://datasets/someone/walks@main/short"
    assert open_dataset(name).fingerprint() == open_dataset(tmp_path / "set").fingerprint()
    assert all(file.startswith("short/data/") for file in hub.fetched)
    out = tmp_path / "sheet.png"
    assert main(["show", "data=minari", f"data.path={name}", f"out={out}"]) == 0
    assert out.exists()
    assert main(["show", "data.path=hf://datasets/someone/nothing"]) != 0
    assert "data.path" in capsys.readouterr().err
