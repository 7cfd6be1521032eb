"""Collecting, converting and showing data from the command line: killed anywhere, the end is the same."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest
import torch
from naming import naming

from wmcontrol.cli.main import main
from wmcontrol.data import LatentStore, Trajectory, collect, policies
from wmcontrol.data.formats import open_dataset
from wmcontrol.files import exclusive_lock

COLLECT = ["collect", "env=wall", "policy=door", "num_episodes=1500", "seed=3"]


def run(*words: str) -> int:
    return main(list(words))


def bytes_of(folder: Path) -> bytes:
    return (folder / "data" / "main_data.hdf5").read_bytes()


def killed(words: list[str], when: Path) -> bool:
    """Run a command in a process of its own and kill it once such a path is there; say if that came before its end."""
    command = [sys.executable, "-c", "import sys; from wmcontrol.cli.main import main; sys.exit(main())", *words]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not any(when.parent.glob(when.name)) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


def assert_same(a: Trajectory, b: Trajectory) -> None:
    assert np.array_equal(a.states, b.states)
    assert np.array_equal(a.actions, b.actions)
    assert a.frames is not None
    assert b.frames is not None
    assert np.array_equal(a.frames.read(range(len(a))), b.frames.read(range(len(b))))


@pytest.mark.long
def test_collecting_killed_twice_ends_with_the_same_bytes(tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert run(*COLLECT, f"out={whole}") == 0
    again = [*COLLECT, f"out={broken}"]
    assert killed(again, broken / "parts" / "*.hdf5")  # the first part is there
    assert killed(again, broken / "data.tmp" / "main_data.hdf5")  # all parts are there and are being merged
    assert not (broken / "data").exists()
    assert run(*again) == 0
    assert bytes_of(broken) == bytes_of(whole)
    assert run(*again) == 0  # finished already
    assert not (broken / "parts").exists()


def test_another_line_in_the_same_folder_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["collect", "env=wall", "num_episodes=20", f"out={tmp_path}"]
    assert run(*words) == 0
    before = bytes_of(tmp_path)
    assert run(*words, "seed=1") == 2
    assert re.search(naming("seed", 0, 1), capsys.readouterr().err)
    assert bytes_of(tmp_path) == before


def test_the_command_and_the_function_leave_the_same_record(tmp_path: Path) -> None:
    assert (
        run("collect", "env=wall", "policy=door", "policy.num_frames=[5,7]", "num_episodes=3", f"out={tmp_path}") == 0
    )
    before, wall = (tmp_path / "data" / "metadata.json").read_bytes(), "wmcontrol/Wall-v0"
    collect(wall, policies.door(wall, num_frames=[5, 7]), 3, folder=tmp_path)  # goes on with it, which is finished
    collect(wall, policies.door(wall, num_frames=(5, 7)), 3, folder=tmp_path / "again")
    assert (tmp_path / "again" / "data" / "metadata.json").read_bytes() == before


def test_collected_frames_are_kept_or_drawn_alike(tmp_path: Path) -> None:
    words = ["collect", "env=pointmaze", "policy=waypoint", "num_episodes=5", "policy.num_frames=[20,30]"]
    assert run(*words, f"out={tmp_path / 'kept'}", "keep_pixels=48") == 0
    assert run(*words, f"out={tmp_path / 'drawn'}") == 0
    kept, drawn = open_dataset(tmp_path / "kept"), open_dataset(tmp_path / "drawn", image_size=48)
    assert kept.lengths.tolist() == drawn.lengths.tolist()
    assert kept.lengths.min() >= 20
    assert kept.lengths.max() <= 30
    for i in range(5):
        assert_same(kept.trajectory(i), drawn.trajectory(i))


def test_settings_of_the_environment_reach_it_and_are_kept_with_the_data(tmp_path: Path) -> None:
    assert run("collect", "env=wall", "num_episodes=8", f"out={tmp_path}", "env.settings={layout:random}") == 0
    dataset = open_dataset(tmp_path)
    assert dict(dataset.env_settings) == {"layout": "random"}
    walls = {float(dataset.trajectory(i).variation["wall_position"][0]) for i in range(8)}
    assert len(walls) > 3


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["env=wal"], "'wall'"),
        (["env=wall", "policy=pushes"], naming("pushes", "'wmcontrol/Wall-v0'")),
        (["env=pusht", "policy=noisy_replay"], "policy.demonstrations"),
        (["env=wall", f"policy.demonstrations.path={__file__}"], naming("policy", "'demonstrations'")),
        (["env=wall", "policy.num_frames=[20,5]"], naming("num_frames", 20, 5)),
        (["env=pusht", "policy=pushes", "env.settings={action_mode:absolute}"], "action_mode='relative'"),
        (["env=wall", "policy.num_frames=1"], naming("num_frames", 2)),
        (["env=wall", "policy.num_frames=[10,20,30]"], "num_frames"),
        (["env=wall", "num_episodes=0"], "num_episodes"),
        (["env=wall", "seed=-1"], naming("seed", -1)),
    ],
)
def test_mistakes_are_told_in_one_line_and_leave_no_data(
    words: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("collect", *words, f"out={tmp_path / 'out'}") == 2
    error = capsys.readouterr().err.strip()
    assert re.search(says, error)
    assert "\n" not in error
    assert not list(tmp_path.iterdir())


def test_settings_that_the_environment_does_not_have_are_told_in_one_line_and_leave_no_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("collect", "env=wall", "env.settings={layot:random}", f"out={tmp_path / 'out'}") in (1, 2)
    error = capsys.readouterr().err.strip()
    assert "layot" in error
    assert "\n" not in error
    assert not list(tmp_path.iterdir())


@pytest.mark.long
def test_the_demonstrations_convert_without_loss_killed_or_not(
    demonstrations: dict, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    source, out = request.config.getoption("--demonstrations"), tmp_path / "human"
    words = ["convert", f"data.path={source}", f"out={out}"]
    assert killed(words, out / "parts" / "*.hdf5")
    assert run(*words) == 0
    original, converted = open_dataset(source), open_dataset(out)
    assert converted.lengths.tolist() == original.lengths.tolist()
    assert int(converted.lengths.sum()) == 25_650
    assert dict(converted.env_settings) == {"action_mode": "absolute"}
    for i in range(0, 206, 23):
        assert_same(original.trajectory(i), converted.trajectory(i))


def test_converting_our_own_set_keeps_states_only(tmp_path: Path) -> None:
    assert run("collect", "env=wall", "num_episodes=6", f"out={tmp_path / 'a'}") == 0
    assert run("convert", f"data.path={tmp_path / 'a'}", f"out={tmp_path / 'b'}") == 0
    assert (tmp_path / "b" / "data" / "main_data.hdf5").stat().st_size < 1e6  # 300 frames would take more
    a, b = (open_dataset(tmp_path / name).trajectory(5) for name in "ab")
    assert np.array_equal(a.states, b.states)


@pytest.mark.long
def test_encoding_killed_ends_with_the_same_bytes_and_one_encoder_for_all(tmp_path: Path) -> None:
    for env in ("wall", "pointmaze"):
        assert run("collect", f"env={env}", "num_episodes=150", "policy.num_frames=50", f"out={tmp_path / env}") == 0
    words = [
        "encode",
        f"data.path=[{tmp_path / 'wall'},{tmp_path / 'pointmaze'}]",
        "fit_frames=2000",
        "data.image_size=48",
    ]
    assert run(*words, f"out={tmp_path / 'whole'}") == 0
    broken = [*words, f"out={tmp_path / 'broken'}"]
    whole = {p.relative_to(tmp_path / "whole"): p for p in (tmp_path / "whole").glob("*/tokens.bin")}
    assert len(whole) == 2
    killed(broken, tmp_path / "broken" / next(iter(whole)))
    assert run(*broken) == 0
    for name, path in whole.items():
        assert (tmp_path / "broken" / name).read_bytes() == path.read_bytes()
    stores = [LatentStore.open(path.parent) for path in whole.values()]
    assert all(store.frame_size == (48, 48) for store in stores)
    frames = torch.randint(0, 256, (4, 48, 48, 3), dtype=torch.uint8)
    assert torch.equal(stores[0].encoder(frames), stores[1].encoder(frames))
    # Another set with the encoder of a store.
    assert (
        run(
            "encode",
            f"data.path={tmp_path / 'wall'}",
            "encoder=saved",
            f"encoder.path={stores[0].folder}",
            f"out={tmp_path / 'again'}",
        )
        == 0
    )
    (again,) = (tmp_path / "again").glob("*/tokens.bin")
    assert torch.equal(LatentStore.open(again.parent).encoder(frames), stores[0].encoder(frames))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["encoder=pyramyd"], "'pyramyd'"),
        (["encoder.num_component=3"], "'num_component'"),
        (["device=nowhere"], naming("device", "'nowhere'")),
        (["dtype=int8"], naming("dtype", "int8", "bfloat16")),
        (["data.path=nowhere"], "nowhere"),
    ],
)
def test_what_cannot_be_encoded_is_told(
    words: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("collect", "env=wall", "num_episodes=3", f"out={tmp_path / 'a'}") == 0
    capsys.readouterr()
    data = [] if words[0].startswith("data.path=") else [f"data.path={tmp_path / 'a'}"]
    assert run("encode", *data, *words, f"out={tmp_path / 'stores'}") == 2
    error = capsys.readouterr().err.strip()
    assert re.search(says, error)
    assert "\n" not in error
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_frames_of_different_sizes_do_not_go_into_one_encoder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for size in (32, 48):
        assert run("collect", "env=wall", "num_episodes=3", f"keep_pixels={size}", f"out={tmp_path / str(size)}") == 0
    capsys.readouterr()
    words = [
        "encode",
        f'data.path=["{tmp_path / "32"}","{tmp_path / "48"}"]',
        f"out={tmp_path / 'stores'}",
        "fit_frames=200",
    ]
    assert run(*words) == 1
    error = capsys.readouterr().err
    assert re.search(naming("32 x 32", "48 x 48"), error)
    assert "image_size" in error
    assert run(*words, "data.image_size=40") == 0
    sizes = [LatentStore.open(path.parent).frame_size for path in (tmp_path / "stores").glob("*/store.json")]
    assert sizes == [(40, 40)] * 2


def test_a_damaged_set_is_not_called_finished(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["collect", "env=wall", "num_episodes=20", f"out={tmp_path}"]
    assert run(*words) == 0
    file = tmp_path / "data" / "main_data.hdf5"
    file.write_bytes(file.read_bytes()[:5000])
    assert run(*words) == 1
    assert "main_data.hdf5" in capsys.readouterr().err


def test_two_at_once_in_one_folder_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with exclusive_lock(tmp_path):
        assert run("collect", "env=wall", "num_episodes=20", f"out={tmp_path}") == 1
    assert str(tmp_path) in capsys.readouterr().err


def test_showing_saves_a_sheet_and_says_where(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("collect", "env=wall", "num_episodes=10", f"out={tmp_path / 'a'}") == 0
    capsys.readouterr()
    assert run("show", f"data.path={tmp_path / 'a'}", f"out={tmp_path / 'sheet.png'}") == 0
    assert capsys.readouterr().out.split() == [str(tmp_path / "sheet.png")]
    picture = imageio.imread(tmp_path / "sheet.png")
    assert min(picture.shape[:2]) > 600
    assert picture.std() > 20


def test_what_cannot_be_read_is_told_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, says in (
        (["show", f"data.path={tmp_path / 'nowhere'}"], "nowhere"),
        (["show", f"data.path={tmp_path}"], naming(tmp_path)),
        (["show", f"data.path={tmp_path}", "out=sheet.jpg"], naming(".png")),
        (["convert", f"data.path={tmp_path}", f"out={tmp_path / 'out'}"], naming(tmp_path)),
    ):
        assert run(*words) in (1, 2)
        error = capsys.readouterr().err.strip()
        assert re.search(says, error)
        assert "\n" not in error
