"""Writing Minari sets: what Minari reads of them, and what kills, other settings and full disks do."""

import errno
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from minari_helpers import SETTINGS, WALL, assert_equal, episodes, write
from naming import naming

from wmcontrol.data.formats.minari import MinariTrajectories
from wmcontrol.data.formats.minari_writer import MinariWriter
from wmcontrol.data.frames import ArrayFrames
from wmcontrol.data.trajectory import Provenance, Trajectory

h5py = pytest.importorskip("h5py")


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("frames", [True, False])
def test_sets_open_in_minari_and_equal_what_went_in(tmp_path: Path, frames: bool) -> None:
    minari = pytest.importorskip("minari")
    written = episodes(5, frames, variation="all")
    dataset = minari.MinariDataset(write(tmp_path / "set", written))
    assert len(dataset) == dataset.total_episodes == 5
    assert dataset.total_steps == sum(len(trajectory) - 1 for trajectory in written)
    assert dataset.id == "wmcontrol/Wall/trajectories-v0"
    assert dataset.env_spec.id == WALL
    assert dataset.spec.action_space == dataset.action_space
    np.testing.assert_array_equal(dataset.action_space.high, [1, 1])
    assert not dataset.storage.jpeg_encoding
    recovered = dataset.recover_environment(image_size=32).unwrapped
    for episode, trajectory in zip(dataset, written, strict=True):
        assert set(episode.observations) == ({"state", "pixels"} if frames else {"state"})
        np.testing.assert_array_equal(episode.observations["state"], trajectory.states)
        np.testing.assert_array_equal(episode.actions, trajectory.actions)
        if frames:
            assert episode.observations["pixels"].dtype == np.uint8
            np.testing.assert_array_equal(
                episode.observations["pixels"], trajectory.frames.read(range(len(trajectory)))
            )
        assert not episode.rewards.any()
        assert not episode.terminations.any()
        assert episode.truncations.tolist() == [False] * (len(episode) - 1) + [True]
        one = {name: values[0] for name, values in episode.observations.items()}
        assert dataset.observation_space.contains(one)
        metadata = next(iter(dataset.storage.get_episode_metadata([episode.id])))
        assert metadata["total_steps"] == len(trajectory) - 1
        assert metadata["provenance"] == str(trajectory.provenance)
        # What Minari keeps as the options of the reset, a reset takes.
        recovered.reset(options=metadata["options"])
        for name, value in trajectory.variation.items():
            np.testing.assert_array_equal(recovered.variation[name], value)


def test_minari_recovers_the_environment_with_its_settings(tmp_path: Path) -> None:
    minari = pytest.importorskip("minari")
    chosen = {"action_scale": 1.0, "obs_type": "pixels"}
    data = write(tmp_path, episodes(1), settings={"env_settings": chosen})
    assert minari.MinariDataset(data).env_spec.kwargs == chosen
    # How it was looked at is nothing that actions depend on.
    assert MinariTrajectories(data).env_settings == {"action_scale": 1.0}


def test_minari_can_add_episodes_to_a_set_of_ours(tmp_path: Path) -> None:
    minari = pytest.importorskip("minari")
    buffer = pytest.importorskip("minari.data_collector.episode_buffer")
    written = episodes(2, frames=False)
    data = write(tmp_path, written)
    added = minari.MinariDataset(data)
    steps = {"rewards": np.zeros(2), "terminations": np.zeros(2, bool), "truncations": np.array([False, True])}
    observations, actions = {"state": np.full((3, 2), 20.0)}, np.zeros((2, 2))
    added.update_dataset_from_buffer([buffer.EpisodeBuffer(observations=observations, actions=actions, **steps)])
    read = MinariTrajectories(data)
    assert read.lengths.tolist() == [4, 5, 3]
    np.testing.assert_array_equal(read.trajectory(2).states, observations["state"])
    assert_equal(read.trajectory(1), written[1], frames=False)


@pytest.mark.parametrize("missing", ["states", "actions", "frames", "actions and states"])
def test_what_trajectories_lack_the_set_lacks(tmp_path: Path, missing: str) -> None:
    written = [replace(t, **dict.fromkeys(missing.split(" and "))) for t in episodes(3)]
    bounds = None if "actions" in missing else SETTINGS["action_bounds"]
    data = write(tmp_path, written, action_bounds=bounds)
    read = MinariTrajectories(data, image_size=32)
    for index, trajectory in enumerate(written):
        assert_equal(read.trajectory(index), trajectory, frames="frames" not in missing)
    minari = pytest.importorskip("minari")
    assert len(list(minari.MinariDataset(data))) == 3


@pytest.mark.parametrize("rate", [10.0, None])
def test_times_that_are_not_regular_are_kept(tmp_path: Path, rate: float | None) -> None:
    written = [replace(t, times=np.cumsum(np.linspace(0.1, 0.3, len(t)))) for t in episodes(2)] + episodes(1)
    data = write(tmp_path, written, control_rate=rate)
    read = MinariTrajectories(data)
    assert read.control_rate == rate
    for index, trajectory in enumerate(written):
        np.testing.assert_array_equal(read.trajectory(index).times, trajectory.times)
        assert_equal(read.trajectory(index), trajectory)
    minari = pytest.importorskip("minari")
    np.testing.assert_array_equal(minari.MinariDataset(data)[1].observations["time"], written[1].times)


def test_a_single_frame_is_an_episode(tmp_path: Path) -> None:
    provenance = Provenance("test", Path("x"), "one")
    written = [Trajectory(times=np.zeros(1), provenance=provenance, states=np.ones((1, 2)), actions=np.zeros((0, 2)))]
    assert_equal(MinariTrajectories(write(tmp_path, written)).trajectory(0), written[0], frames=False)


def test_bytes_do_not_depend_on_batches_or_on_when_it_was(tmp_path: Path) -> None:
    written = episodes(5, variation="all")
    first = digests(write(tmp_path / "a", written, batch=1))
    time.sleep(1.1)  # HDF5's own times are whole seconds
    assert digests(write(tmp_path / "b" / "c", written, batch=4)) == first
    assert set(first) == {"main_data.hdf5", "metadata.json"}
    other = [*written[:-1], replace(written[-1], actions=written[-1].actions + 1e-9)]
    assert digests(write(tmp_path / "d", other))["main_data.hdf5"] != first["main_data.hdf5"]


def test_an_unfinished_set_goes_on_where_it_stopped(tmp_path: Path) -> None:
    written = episodes(5)
    writer = MinariWriter(tmp_path / "a", **SETTINGS)
    writer.add(written[:2])
    writer.add([])
    writer.add(written[2:3])
    assert writer.written == 3
    again = MinariWriter(tmp_path / "a", **SETTINGS)
    assert again.written == 3
    again.add(written[3:])
    calls: list[tuple[int, int]] = []
    again.finish(lambda done, total: calls.append((done, total)))
    assert calls == [(n, 5) for n in range(1, 6)]
    assert digests(tmp_path / "a" / "data") == digests(write(tmp_path / "b", written))
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["data"]


WORKER = """
import sys, time
sys.path.insert(0, sys.argv[2])
from minari_helpers import SETTINGS, episodes
from wmcontrol.data.formats.minari_writer import MinariWriter

def say(line):
    print(line, flush=True)
    if line == sys.argv[3]:
        time.sleep(100)  # to be killed here

written = episodes(60, size=32)
writer = MinariWriter(sys.argv[1], **SETTINGS)
say(f"found {writer.written}")
for start in range(writer.written, 60, 5):
    writer.add(written[start : start + 5])
    say(f"added {writer.written}")
say("merging")
writer.finish(lambda done, total: say(f"merged {done}"))
"""


def worker(folder: Path, hold: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WORKER, str(folder), str(Path(__file__).parent), hold]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def kill_at(folder: Path, line: str, hold: str, seconds: float = 0.0) -> None:
    """Kill a run some time after it said a line; it goes no further than ``hold``."""
    with worker(folder, hold) as process:
        assert process.stdout is not None
        assert any(said.strip() == line for said in process.stdout)
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_kills_at_any_moment_change_no_byte(tmp_path: Path) -> None:
    expected = digests(write(tmp_path / "whole", episodes(60), batch=64))
    folder = tmp_path / "killed"
    written = []
    for line, hold, seconds in [
        ("found 0", "found 0", 0.0),
        ("added 20", "added 20", 0.0),
        ("added 40", "merging", 0.003),  # wherever that is
        ("merging", "merging", 0.0),
        ("merged 20", "merged 20", 0.0),
        ("merged 59", "merged 59", 0.0),
        ("merged 30", "merged 60", 0.003),
    ]:
        kill_at(folder, line, hold, seconds)
        assert not (folder / "data").exists()
        with pytest.raises(ValueError, match="unfinished"):
            MinariTrajectories(folder)
        written.append(MinariWriter(folder, **SETTINGS).written)
    assert written[:2] == [0, 20]
    assert 40 <= written[2] <= 60
    assert written[3:] == [60] * 4
    with worker(folder, "never") as process:
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "found 60" in output
    assert digests(folder / "data") == expected
    assert [path.name for path in folder.iterdir()] == ["data"]


def test_a_kill_between_merge_and_tidying_is_tidied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = MinariWriter(tmp_path, **SETTINGS)
    writer.add(episodes(3))
    monkeypatch.setattr(shutil, "rmtree", lambda path, **_: None)  # as if killed just before
    expected = digests(writer.finish())
    monkeypatch.undo()
    assert (tmp_path / "parts").exists()
    with pytest.raises(FileExistsError, match=naming(tmp_path)):
        MinariWriter(tmp_path, **SETTINGS)
    assert digests(tmp_path / "data") == expected
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_finished_set_is_not_written_over(tmp_path: Path) -> None:
    before = digests(write(tmp_path, episodes(2)))
    with pytest.raises(FileExistsError, match=naming(tmp_path)):
        MinariWriter(tmp_path, **SETTINGS)
    assert digests(tmp_path / "data") == before


def _uneven(t: Trajectory) -> Trajectory:
    grown = [np.zeros((33, 32, 3), np.uint8) if i == 2 else np.zeros((32, 32, 3), np.uint8) for i in range(len(t))]

    class Grown(ArrayFrames):
        def read(self, indices: Any) -> Any:
            return np.stack([grown[i] for i in indices])

    return replace(t, frames=Grown(grown))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: replace(t, frames=None), naming("image", (32, 32, 3), None)),
        (lambda t: replace(t, states=np.zeros((len(t), 3))), "state=3"),
        (lambda t: replace(t, actions=None), "action=None"),
        (lambda t: replace(t, states=np.zeros(len(t))), "states"),
        (lambda t: replace(t, frames=ArrayFrames(np.zeros((len(t), 8, 8, 3), np.float32))), "uint8"),
        (lambda t: replace(t, frames=ArrayFrames(np.zeros((len(t), 8, 8), np.uint8))), "uint8"),
        (lambda t: replace(t, frames=None, states=None), "states"),
        (_uneven, "all input arrays|must be uint8"),
    ],
)
def test_a_trajectory_that_does_not_fit_is_refused_with_its_batch(tmp_path: Path, change: Any, says: str) -> None:
    written = episodes(3)
    writer = MinariWriter(tmp_path, **SETTINGS)
    writer.add(written[:1])
    with pytest.raises(ValueError, match=says):
        writer.add([written[1], change(written[2])])
    assert writer.written == 1
    writer.add(written[1:])
    assert_equal(MinariTrajectories(writer.finish()).trajectory(2), written[2])


def test_settings_are_checked_before_work_starts(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="JSON"):
        MinariWriter(tmp_path / "a", **{**SETTINGS, "settings": {"policy": object()}})
    for rate in (0, -1.0, np.nan):
        with pytest.raises(ValueError, match="control_rate"):
            MinariWriter(tmp_path / "a", **{**SETTINGS, "control_rate": rate})
    assert not (tmp_path / "a").exists()
    with pytest.raises(ValueError, match=naming(3, 2)):
        MinariWriter(tmp_path / "b", **{**SETTINGS, "action_bounds": ([-1] * 3, [1] * 3)}).add(episodes(1))
    with pytest.raises(ValueError, match="episodes"):
        MinariWriter(tmp_path / "c", **SETTINGS).finish()


def test_a_broken_or_missing_part_is_named(tmp_path: Path) -> None:
    written = episodes(4)
    for batch in range(3):
        writer = MinariWriter(tmp_path, **SETTINGS)
        writer.add(written[batch : batch + 1])
    part = tmp_path / "parts" / "000000001-000000002.hdf5"
    whole = part.read_bytes()
    part.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=naming("000000001-000000002.hdf5")):
        MinariWriter(tmp_path, **SETTINGS).finish()
    assert not (tmp_path / "data").exists()
    part.unlink()
    with pytest.raises(ValueError, match=naming("000000002-000000003.hdf5")):
        MinariWriter(tmp_path, **SETTINGS)
    part.write_bytes(whole)
    MinariWriter(tmp_path, **SETTINGS).finish()


def test_a_read_only_target_is_an_error_at_once(tmp_path: Path) -> None:
    target = tmp_path / "locked"
    target.mkdir()
    target.chmod(0o500)
    if os.access(target, os.W_OK):  # the administrator may write anywhere but in the kernel's own folders
        target = Path("/proc/sys/kernel") if sys.platform == "linux" else pytest.skip("nothing is read-only here")
    with pytest.raises(OSError, match=str(target)):
        MinariWriter(target / "set", **SETTINGS)
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        MinariWriter(tmp_path / "file", **SETTINGS)


def test_a_disk_that_fills_up_in_a_batch_leaves_nothing_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = episodes(3)
    writer = MinariWriter(tmp_path, **SETTINGS)
    writer.add(written[:1])

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=naming("000000001-000000003.hdf5", "No space left")) as raised:
        writer.add(written[1:])
    assert raised.value.errno == errno.ENOSPC
    monkeypatch.undo()
    assert not list((tmp_path / "parts").glob("*.tmp"))
    assert writer.written == MinariWriter(tmp_path, **SETTINGS).written == 1
    writer.add(written[1:])
    assert digests(writer.finish()) == digests(write(tmp_path / "b", written))


LIMITED = """
import resource, signal, sys
sys.path.insert(0, sys.argv[2])
from minari_helpers import SETTINGS, episodes
from wmcontrol.data.formats.minari_writer import MinariWriter
writer = MinariWriter(sys.argv[1], **SETTINGS)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
try:
    if sys.argv[4] == "add":
        writer.add(episodes(40))
    else:
        writer.finish()
except OSError as error:
    print("OSError", error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits of the size of files")
@pytest.mark.parametrize("stage", ["add", "merge"])
def test_files_that_cannot_grow_leave_nothing_that_looks_good(tmp_path: Path, stage: str) -> None:
    written = episodes(40)
    writer = MinariWriter(tmp_path, **SETTINGS)
    if stage == "merge":
        for first in range(0, 40, 4):
            writer.add(written[first : first + 4])
    root, limit = str(Path(__file__).parent), "60000"
    command = [sys.executable, "-c", LIMITED, str(tmp_path), root, limit, stage]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("OSError"), (done.stdout, done.stderr)
    assert str(tmp_path) in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["parts"]
    assert not list(tmp_path.rglob("*.tmp"))
    again = MinariWriter(tmp_path, **SETTINGS)
    assert again.written == (40 if stage == "merge" else 0)
    again.add(written[again.written :])
    assert digests(again.finish()) == digests(write(tmp_path / "b", written))


def test_no_room_for_the_merge_is_said_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = MinariWriter(tmp_path, **SETTINGS)
    writer.add(episodes(1))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: type("Usage", (), {"free": 10})())
    with pytest.raises(OSError, match=naming(tmp_path)):
        writer.finish()
    monkeypatch.undo()
    writer.finish()


@pytest.mark.parametrize("broken", [b"", b"\x89HDF\r\n\x1a\n", b"no HDF5 at all"])
def test_what_a_stopped_run_left_is_named_where_it_is_broken(tmp_path: Path, broken: bytes) -> None:
    MinariWriter(tmp_path, **SETTINGS).add(episodes(2))
    part = tmp_path / "parts" / "000000000-000000002.hdf5"
    part.write_bytes(broken)
    with pytest.raises(ValueError, match=naming(part)):
        MinariWriter(tmp_path, **SETTINGS)
