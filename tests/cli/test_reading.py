"""Whatever reads data takes all that says how: camera, control rate, size of frames, and the reader's own settings."""

import re
from pathlib import Path
from typing import Any

import av
import gymnasium as gym
import numpy as np
import pytest
from naming import naming

from wmcontrol.cli.commands import compare
from wmcontrol.cli.main import main
from wmcontrol.compare.plan import plan
from wmcontrol.data import ArrayFrames, LatentStore, Provenance, Trajectory, open_dataset
from wmcontrol.evaluation import Evaluation

h5py = pytest.importorskip("h5py")
WALL = "wmcontrol/Wall-v0"
READER = [f"+data.env_id={WALL}", "+data.env_settings={action_scale:1.0}"]


def run(*words: str) -> int:
    return main(list(words))


@pytest.fixture
def walls(tmp_path: Path) -> Path:
    """A file of LeWM's layout with what happened in Wall, as far as it goes: it says neither environment nor rate."""
    env = gym.make(WALL, image_size=48, terminate_on_success=False, action_scale=1.0)
    env.action_space.seed(0)
    columns: dict[str, list[Any]] = {"pixels": [], "state": [], "action": []}
    for number in range(12):
        observation, _ = env.reset(seed=number, options={"state": [10, 30 + number % 4]})
        push = env.action_space.sample() / 4
        for _ in range(31):
            columns["pixels"].append(observation["pixels"])
            columns["state"].append(env.unwrapped.get_state())
            columns["action"].append(np.array([0.5, 0], np.float32) + push)
            observation, *_ = env.step(columns["action"][-1])
    path = tmp_path / "walls.h5"
    with h5py.File(path, "w") as file:
        for name, values in columns.items():
            file[name] = np.array(values)
        file["ep_len"], file["ep_offset"] = np.full(12, 31), 31 * np.arange(12)
    return path


def two_cameras(folder: Path) -> Path:
    """A Minari set with the images of two cameras, one light and one dark."""
    from wmcontrol.data.formats.minari_writer import MinariWriter

    bounds = ([-1, -1], [1, 1])
    writer = MinariWriter(folder, env_id=None, control_rate=10.0, action_bounds=bounds, settings={})
    writer.add([lights(index) for index in range(3)])
    data = writer.finish()
    with h5py.File(data / "main_data.hdf5", "a") as file:
        for episode in file.values():
            episode["observations"].move("pixels", "light")
            episode["observations"]["dark"] = 255 - episode["observations/light"][()]
    return folder


def lights(index: int) -> Trajectory:
    rng = np.random.default_rng(index)
    return Trajectory(
        times=np.arange(6) / 10,
        provenance=Provenance("lights", Path("lights"), f"episode_{index}"),
        frames=ArrayFrames(rng.integers(200, 256, (6, 32, 32, 3), dtype=np.uint8)),
        actions=rng.uniform(-1, 1, (5, 2)),
    )


def stores(folder: Path) -> list[LatentStore]:
    return [LatentStore.open(path.parent) for path in sorted(folder.glob("*/store.json"))]


def test_encode_takes_all_settings_of_the_reader(walls: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    words = ["encode", f"data.path={walls}", "fit_frames=50", "encoder.num_components=4", f"out={tmp_path / 's'}"]
    assert run(*words) == 2
    assert not (tmp_path / "s").exists()
    assert "control_rate=" in capsys.readouterr().err
    assert run(*words, "data.control_rate=50", "data.image_size=24") == 0
    (store,) = stores(tmp_path / "s")
    assert (store.control_rate, store.env_id, store.frame_size) == (50.0, None, (24, 24))
    np.testing.assert_allclose(store.times[:31], np.arange(31) / 50)
    assert run(*words, *READER) == 0
    (known,) = (one for one in stores(tmp_path / "s") if one.env_id == WALL)
    assert (known.control_rate, known.frame_size) == (10.0, (48, 48))
    assert known.env_settings == {"action_scale": 1.0}
    np.testing.assert_array_equal(known.action_bounds, [[-1, -1], [1, 1]])
    assert run(*words, "data.control_rate=10", "data.camera=top") == 2
    assert "LeWM, which reads" in capsys.readouterr().err


@pytest.mark.parametrize("camera", ["light", "dark"])
def test_encode_show_and_convert_take_a_camera(tmp_path: Path, camera: str, capsys: pytest.CaptureFixture) -> None:
    data = two_cameras(tmp_path / "two")
    out = {"encode": tmp_path / "s", "show": tmp_path / "sheet.png", "convert": tmp_path / "c"}
    encoder = ["fit_frames=18", "encoder.num_components=4"]
    for command, place in out.items():
        words = [command, f"data.path={data}", f"out={place}", *(encoder if command == "encode" else [])]
        assert run(*words) == 2
        assert "give camera=, one of ['dark', 'light']" in capsys.readouterr().err
        assert run(*words, f"data.camera={camera}") == 0
    converted = open_dataset(out["convert"]).trajectory(2).frames.read([5])
    assert (converted.mean() > 128) == (camera == "light")
    (store,) = stores(out["encode"])
    assert store.frame_size == (32, 32)


def test_show_and_convert_take_a_control_rate_and_a_size(walls: Path, tmp_path: Path) -> None:
    words = ["data.control_rate=50", "data.image_size=16"]
    assert run("convert", f"data.path={walls}", f"out={tmp_path / 'c'}", *words) == 0
    assert run("show", f"data.path={walls}", f"out={tmp_path / 'sheet.png'}", *words) == 0
    converted = open_dataset(tmp_path / "c")
    assert converted.control_rate == 50
    assert converted.trajectory(0).frames.read([0]).shape == (1, 16, 16, 3)


@pytest.mark.parametrize("reader", [READER, ["data=lewm", *(word.lstrip("+") for word in READER)]])
def test_tasks_are_drawn_of_data_that_the_keys_say_how_to_read(walls: Path, tmp_path: Path, reader: list[str]) -> None:
    words = ["evaluate", "agent=noop", f"data.path={walls}", "videos=0", "split=all", "goal_offset=20", "num_tasks=3"]
    assert run(*words, *reader, f"out={tmp_path / 'out'}") == 0
    tasks = Evaluation.read(tmp_path / "out" / "tasks.jsonl").header["tasks"]
    assert (tasks["env_id"], tasks["env_settings"], tasks["num_tasks"]) == (WALL, {"action_scale": 1.0}, 3)


@pytest.mark.parametrize(
    ("reader", "named"),
    [([], "control_rate"), (["data.control_rate=50"], "environment"), ([*READER, "data.control_rate=50"], "50")],
)
def test_tasks_are_not_drawn_of_data_that_do_not_say_enough(
    walls: Path, tmp_path: Path, capsys: pytest.CaptureFixture, reader: list[str], named: str
) -> None:
    out = tmp_path / "out"
    words = ["evaluate", "agent=noop", f"data.path={walls}", "goal_offset=20", "num_tasks=1", f"out={out}"]
    assert run(*words, *reader) == 2
    assert re.search(naming("data", named), capsys.readouterr().err)
    assert not out.exists()


def test_comparisons_read_data_as_the_keys_say(
    walls: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    found: list[Any] = []
    monkeypatch.setattr(compare, "show_comparison", lambda asked, *_, **__: found.append(asked))
    words = ["compare", "envs=[wall]", "num_train_trajectories=null", "num_tasks=1", "goal_offset=20"]
    assert run(*words, f"data.path={walls}", *READER) == 0
    (asked,) = found
    assert (asked.own["wall"].env_id, asked.own["wall"].control_rate) == (WALL, 10)
    assert asked.own["wall"].trajectory(0).frames.read([0]).shape == (1, 64, 64, 3)
    encoding = {need.name: need for last in plan(asked).stages for need in last.all_needs()}["encode wall"]
    encoding.folder(tmp_path).mkdir()
    encoding.work(encoding, tmp_path)
    (store,) = stores(encoding.folder(tmp_path) / "stores")
    assert (store.env_id, store.frame_size, store.env_settings) == (WALL, (64, 64), {"action_scale": 1.0})
    assert run(*words, "data.control_rate=10") == 2
    assert "data.control_rate" in capsys.readouterr().err


def test_settings_of_demonstrations_are_those_of_a_policy_that_replays_them(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert run("collect", "env=wall", "policy.demonstrations.camera=top", f"out={tmp_path}") == 2
    assert "demonstrations" in capsys.readouterr().err


def test_films_of_any_size_are_shrunk_to_what_is_asked(tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    with av.open(str(tmp_path / "films" / "a.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(6):
            picture = np.random.default_rng(number).integers(0, 256, (48, 64, 3), dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    words = ["fit_frames=6", "encoder.num_components=4", f"out={tmp_path / 's'}"]
    assert run("encode", f"data.path={tmp_path / 'films'}", "data.image_size=20", *words) == 0
    assert stores(tmp_path / "s")[0].frame_size == (20, 20)
