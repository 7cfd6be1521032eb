"""``open_dataset`` finds the reader, or says what it saw and what it knows."""

import os
import pickle
import shutil
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from naming import naming

from wmcontrol.data import TrajectoryDataset
from wmcontrol.data.formats import LAYOUTS, Layout, open_dataset
from wmcontrol.data.formats.diffusion_policy import DiffusionPolicy
from wmcontrol.data.formats.dino_wm import DinoWM
from wmcontrol.data.formats.lewm import LeWM
from wmcontrol.data.formats.reading import fingerprint


def write_dino_wm(folder: Path) -> Path:
    (folder / "obses").mkdir(parents=True)
    torch.save(torch.zeros(1, 3, 4), folder / "states.pth")
    torch.save(torch.zeros(1, 3, 2), folder / "actions.pth")
    torch.save(torch.tensor([3]), folder / "seq_lengths.pth")
    torch.save(torch.zeros(3, 8, 8, 3, dtype=torch.uint8), folder / "obses" / "episode_000.pth")
    return folder


def write_lewm(path: Path) -> Path:
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        file["pixels"] = np.zeros((3, 8, 8, 3), np.uint8)
        file["action"] = np.zeros((3, 2))
        file["ep_len"], file["ep_offset"] = np.array([3]), np.array([0])
    return path


def write_diffusion_policy(path: Path) -> Path:
    zarr = pytest.importorskip("zarr")
    group = zarr.open_group(path, mode="w", zarr_format=2)
    for name, shape in {"img": (3, 8, 8, 3), "state": (3, 5), "action": (3, 2)}.items():
        group.create_array(f"data/{name}", data=np.ones(shape, np.float32))
    group.create_array("meta/episode_ends", data=np.array([3]))
    return path


def test_each_layout_is_known_by_what_is_in_it(tmp_path: Path) -> None:
    for path, reader in (
        (write_dino_wm(tmp_path / "a"), DinoWM),
        (write_lewm(tmp_path / "b"), LeWM),
        (write_diffusion_policy(tmp_path / "c"), DiffusionPolicy),
    ):
        settings = {"control_rate": 10} if reader is LeWM else {}
        for spelling in (path, str(path)):
            dataset = open_dataset(spelling, **settings)
            assert isinstance(dataset, reader)
            assert isinstance(dataset, TrajectoryDataset)
            assert dataset.lengths.tolist() == [3]
            assert len(dataset.windows(3)) == 1
        assert len(pickle.loads(pickle.dumps(dataset)).trajectory(0).frames) == 3


def test_a_lerobot_folder_is_known_by_its_metadata(tmp_path: Path) -> None:
    (tmp_path / "meta").mkdir()
    (tmp_path / "meta" / "info.json").write_text('{"codebase_version": "v1.6", "fps": 1, "total_episodes": 1}')
    with pytest.raises(ValueError, match=naming("info.json", "codebase_version", "v1.6")):
        open_dataset(tmp_path)


def test_the_demonstrations_are_opened_by_their_path(request: pytest.FixtureRequest, demonstrations: dict) -> None:
    dataset = open_dataset(request.config.getoption("--demonstrations"))
    assert isinstance(dataset, DiffusionPolicy)
    assert dataset.lengths.sum() == 25_650
    window = dataset.windows(4, frameskip=5)[1000]
    assert window.actions.shape == (3, 10)
    assert window.frames.shape == (4, 96, 96, 3)
    np.testing.assert_allclose(np.diff(window.times), 0.5)


def test_settings_reach_the_reader_and_others_are_refused(tmp_path: Path) -> None:
    path = write_lewm(tmp_path / "set.h5")
    assert open_dataset(path, control_rate=20).control_rate == 20
    with pytest.raises(TypeError, match=naming("LeWM", "'rate'", "'control_rate'", "'env_id'")):
        open_dataset(path, rate=20)


def test_an_unknown_layout_says_what_was_seen_and_what_is_known(tmp_path: Path) -> None:
    for name in "hgfedcba":
        (tmp_path / name).touch()
    (tmp_path / "aa").mkdir()
    with pytest.raises(ValueError, match=naming(tmp_path)) as error:
        open_dataset(tmp_path)
    message = str(error.value)
    assert "a, aa/, b, c, d, e and 3 more" in message
    assert all(layout.telltale in message for layout in LAYOUTS)


@pytest.mark.parametrize(
    ("content", "seen"), [(b"\x89PNG\r\n\x1a\nxxx", r"11 bytes that begins with b'\\x89PNG"), (b"", "0 bytes")]
)
def test_an_unknown_file_says_how_it_begins(tmp_path: Path, content: bytes, seen: str) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=seen):
        open_dataset(path)


def test_an_empty_folder_and_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=naming(tmp_path)):
        open_dataset(tmp_path)
    with pytest.raises(FileNotFoundError, match="absent"):
        open_dataset(tmp_path / "absent")


def test_two_layouts_in_one_folder_are_an_error(tmp_path: Path) -> None:
    write_dino_wm(tmp_path)
    (tmp_path / "meta").mkdir()
    (tmp_path / "meta" / "info.json").write_text("{}")
    with pytest.raises(ValueError, match=naming("dino_wm.DinoWM", "lerobot.LeRobot")):
        open_dataset(tmp_path)


def test_a_layout_of_last_resort_stands_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as a folder with films below it, which other layouts have too."""
    anything = types.ModuleType("wmcontrol.data.formats.anything")
    anything.recognises, anything.Anything = Path.is_dir, lambda path: ("anything", path)
    monkeypatch.setitem(sys.modules, anything.__name__, anything)
    last_resort = Layout("anything", "Anything", "a folder", fallback=True)
    monkeypatch.setattr("wmcontrol.data.formats.LAYOUTS", (last_resort, *LAYOUTS))
    assert isinstance(open_dataset(write_dino_wm(tmp_path / "set")), DinoWM)
    assert open_dataset(tmp_path) == ("anything", tmp_path)


@pytest.mark.parametrize("name", ["states.pth", "actions.pth", "seq_lengths.pth", "obses/episode_000.pth"])
def test_a_layout_that_lacks_a_file_is_still_known(tmp_path: Path, name: str) -> None:
    write_dino_wm(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(FileNotFoundError, match=name):
        open_dataset(tmp_path)


def test_an_hdf5_file_cut_short_is_no_unknown_layout(tmp_path: Path) -> None:
    path = write_lewm(tmp_path / "set.h5")
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(OSError, match=r"set\.h5.*"):
        open_dataset(path)


def write_named(*names: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(b"{}")
        return folder

    return write


FOLDERS: dict[str, Callable[[Path], Path]] = {
    "dino_wm": write_dino_wm,
    "zarr": write_diffusion_policy,
    "lerobot": write_named("meta/info.json"),
    "minari": write_named("data/metadata.json", "data/main_data.hdf5"),
    "videos": write_named("a.mp4"),
    "videos with actions": write_named("a.mp4", "a.csv"),
}


@pytest.mark.parametrize("layout", FOLDERS)
def test_nothing_is_read_that_a_link_has_outside_of_the_folder(layout: str, tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    folder, secret = FOLDERS[layout](tmp_path / "set"), tmp_path / "secret"
    secret.write_bytes(b"secret")
    link = next(path for path in sorted(folder.rglob("*")) if path.is_file()).with_name("link.mp4")
    link.symlink_to(secret)
    with pytest.raises(ValueError, match=naming(link, secret)):
        open_dataset(folder)


def test_layouts_that_are_registered_are_there() -> None:
    for layout in LAYOUTS:
        module = layout.load()
        assert TrajectoryDataset in getattr(module, layout.reader).__mro__
        assert module.recognises(Path("absent")) is False


def test_finding_a_reader_brings_in_only_what_it_needs(tmp_path: Path) -> None:
    write_dino_wm(tmp_path / "set")
    blocked = "for m in ('h5py', 'zarr', 'pyarrow', 'minari'): sys.modules[m] = None"
    code = (
        f"import sys\n{blocked}\nfrom wmcontrol.data.formats import open_dataset\nprint(open_dataset({{!r}}).lengths)"
    )

    def run(path: Path) -> subprocess.CompletedProcess:
        command = [sys.executable, "-c", code.format(str(path))]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    assert run(tmp_path / "set").stdout.strip() == "[3]"
    for path, library in (
        (write_lewm(tmp_path / "set.h5"), "h5py"),
        (write_diffusion_policy(tmp_path / "set.zarr"), "zarr"),
    ):
        error = run(path).stderr.splitlines()[-1]
        assert error.startswith("ImportError: ")
        assert library in error
        assert error.endswith('pip install "wmcontrol[data]"')


def test_fingerprints_tell_names_contents_layouts_and_settings_apart(tmp_path: Path) -> None:
    files = [tmp_path / "a" / "x", tmp_path / "a" / "b" / "y"]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"1234")
    before = fingerprint("layout", files, {"a": 1, "b": None})
    assert fingerprint("layout", files[::-1], {"b": None, "a": 1}) == before
    others = [fingerprint("other", files, {"a": 1, "b": None}), fingerprint("layout", files, {"a": 2, "b": None})]
    others.append(fingerprint("layout", files[:1], {"a": 1, "b": None}))
    files[1].rename(files[1].with_name("z"))
    others.append(fingerprint("layout", [files[0], files[1].with_name("z")], {"a": 1, "b": None}))
    files[1].with_name("z").rename(files[1])
    assert fingerprint("layout", files, {"a": 1, "b": None}) == before
    times = files[1].stat()
    files[1].write_bytes(b"1235")  # of the same size and time
    os.utime(files[1], ns=(times.st_atime_ns, times.st_mtime_ns))
    others.append(fingerprint("layout", files, {"a": 1, "b": None}))
    assert len({before, *others}) == 6
    moved = (tmp_path / "a").rename(tmp_path / "moved")
    assert fingerprint("layout", [moved / "x", moved / "b" / "y"], {"a": 1, "b": None}) == others[-1]
    shutil.copytree(moved, tmp_path / "copied", copy_function=shutil.copyfile)
    copied = [tmp_path / "copied" / "x", tmp_path / "copied" / "b" / "y"]
    assert fingerprint("layout", copied, {"a": 1, "b": None}) == others[-1]


def test_of_large_files_the_fingerprint_follows_size_time_and_three_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wmcontrol.data.formats.reading._WHOLE", 1000)
    file = tmp_path / "large"
    content = bytearray(2**20)
    file.write_bytes(content)
    times = file.stat()

    def changed(place: int, time: int = 0) -> str:
        new = content.copy()
        new[place] = 1
        file.write_bytes(new)
        os.utime(file, ns=(0, times.st_mtime_ns + time))
        return fingerprint("layout", [file], {})

    before = fingerprint("layout", [file], {})
    seen = {changed(0), changed(2**19), changed(2**20 - 1), changed(2**18, time=1)}
    assert len(seen | {before}) == 5
    assert changed(2**18) == before  # what its page says is not noticed
