"""Collecting and converting as one call: in memory, in a folder, resumed, and refused."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from naming import naming

from wmcontrol.data import collect, convert, open_dataset
from wmcontrol.data.policies import door, random
from wmcontrol.runs import read_run

WALL = "wmcontrol/Wall-v0"


def test_what_is_collected_is_the_same_in_memory_and_in_a_folder(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    policy = random(WALL, num_frames=(5, 9))
    saved = collect(WALL, policy, 6, folder=tmp_path, seed=3, progress=lambda done, total: told.append((done, total)))
    held = collect(WALL, policy, 6, seed=3)
    assert told[-1] == (6, 6)
    assert list(saved.lengths) == list(held.lengths)
    assert (saved.env_id, saved.control_rate, dict(saved.env_settings)) == (WALL, 10.0, dict(held.env_settings))
    for index in range(6):
        here, there = held.trajectory(index), saved.trajectory(index)
        np.testing.assert_array_equal(here.states, there.states)
        np.testing.assert_array_equal(here.actions, there.actions)
        assert here.frames is not None
        assert there.frames is not None
        np.testing.assert_array_equal(here.frames.read([0, 4]), there.frames.read([0, 4]))
    assert held.action_bounds is not None
    assert saved.action_bounds is not None
    np.testing.assert_array_equal(held.action_bounds, saved.action_bounds)


def test_a_fingerprint_in_memory_is_of_the_states_and_actions() -> None:
    policy = random(WALL, num_frames=5)
    first, again, other = (collect(WALL, policy, 2, seed=seed).fingerprint() for seed in (0, 0, 1))
    assert first == again
    assert first != other
    assert collect(WALL, policy, 2, keep_pixels=32).fingerprint() != first
    with pytest.raises(IndexError):
        collect(WALL, policy, 2).trajectory(2)


def test_kept_pixels_are_those_that_would_be_drawn(tmp_path: Path) -> None:
    policy = random(WALL, num_frames=5)
    kept = collect(WALL, policy, 2, folder=tmp_path / "kept", keep_pixels=32)
    drawn = collect(WALL, policy, 2, keep_pixels=32)
    for index in range(2):
        np.testing.assert_array_equal(*(d.trajectory(index).frames.read(range(5)) for d in (kept, drawn)))
    states = convert(kept, tmp_path / "states", keep_pixels=False)
    whole = convert(kept, tmp_path / "whole")
    with h5py.File(tmp_path / "states" / "data" / "main_data.hdf5") as file:
        assert list(file["episode_0/observations"]) == ["state"]
    np.testing.assert_array_equal(*(d.trajectory(1).frames.read([2]) for d in (kept, whole)))
    np.testing.assert_array_equal(kept.trajectory(1).states, states.trajectory(1).states)


def test_the_same_call_reads_what_is_there_and_another_is_refused(tmp_path: Path) -> None:
    policy = random(WALL, num_frames=5)
    collect(WALL, policy, 2, folder=tmp_path, about={"policy": "random"})
    before = (tmp_path / "data" / "main_data.hdf5").stat().st_mtime_ns
    assert len(collect(WALL, policy, 2, folder=tmp_path, about={"policy": "random"})) == 2
    assert (tmp_path / "data" / "main_data.hdf5").stat().st_mtime_ns == before
    for changed, named in (
        ({"seed": 1}, "seed"),
        ({"about": {"policy": "door"}}, "policy"),
        ({"keep_pixels": 8}, "pixels"),
    ):
        asked = {"about": {"policy": "random"}, **changed}
        with pytest.raises(ValueError, match=naming(named)):
            collect(WALL, policy, 2, folder=tmp_path, **asked)
    with pytest.raises(ValueError, match=naming("num_episodes", 2, 3)):
        collect(WALL, policy, 3, folder=tmp_path, about={"policy": "random"})


def test_a_policy_of_the_library_is_recorded_by_its_name_length_and_what_it_replays(tmp_path: Path) -> None:
    collect(WALL, random(WALL, num_frames=5), 2, folder=tmp_path)
    assert read_run(tmp_path)["settings"]["policy"] == {"name": "random", "num_frames": 5}
    for policy in (random(WALL, num_frames=6), door(WALL, num_frames=5)):
        with pytest.raises(ValueError, match=naming("policy")):
            collect(WALL, policy, 2, folder=tmp_path)


def test_a_setting_that_was_not_said_is_told_from_none(tmp_path: Path) -> None:
    policy = random(WALL, num_frames=5)
    collect(WALL, policy, 2, folder=tmp_path)
    with pytest.raises(ValueError, match="more is not said there and None here"):
        collect(WALL, policy, 2, folder=tmp_path, about={"more": None})


@pytest.mark.long
def test_a_killed_run_resumes_and_gives_the_same_bytes(tmp_path: Path) -> None:
    line = (
        "import sys; from wmcontrol.data import collect; from wmcontrol.data.policies import random\n"
        f"collect({WALL!r}, random({WALL!r}, num_frames=400), 400, folder=sys.argv[1])"
    )
    run = subprocess.Popen([sys.executable, "-c", line, str(tmp_path / "killed")])
    deadline = time.monotonic() + 120
    while not list((tmp_path / "killed").glob("parts/*.hdf5")) and run.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    run.send_signal(signal.SIGKILL)
    run.wait()
    policy = random(WALL, num_frames=400)
    for name in ("killed", "whole"):
        collect(WALL, policy, 400, folder=tmp_path / name)
    killed, whole = ((tmp_path / name / "data" / "main_data.hdf5").read_bytes() for name in ("killed", "whole"))
    assert killed == whole
    assert len(open_dataset(tmp_path / "killed")) == 400
