"""The fuzzer: half a minute of it, and whether it would notice; and commands that are killed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="cases run in forks, watched by inotify")
for _library in ("h5py", "zarr", "pyarrow", "minari"):
    pytest.importorskip(_library)


def run(*words: str) -> "subprocess.CompletedProcess[str]":
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *words], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the files that cases change."""
    folder = tmp_path_factory.mktemp("fuzz") / "sets"
    done = run("-m", "tests.fuzz", "--make", "--sets", str(folder))
    assert done.returncode == 0, done.stderr
    return folder


def fuzz(sets: Path, *words: str) -> list[dict]:
    done = run("-m", "tests.fuzz", "--sets", str(sets), *words)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_files_that_nobody_changed_are_read_and_calls_that_are_right_are_made(sets: Path) -> None:
    results = fuzz(sets, "--unchanged")
    assert len(results) > 20
    assert not [result for result in results if result["outcome"] != "ok"]


def test_changed_files_calls_and_lines_are_refused_in_words_or_read_as_what_they_are(sets: Path) -> None:
    results = fuzz(sets, "--cases", "200", "--seed", "17")
    assert len(results) == 200
    assert not [result for result in results if result["outcome"] not in ("ok", "clear")]
    assert sum(result["outcome"] == "clear" for result in results) > 60


def test_the_same_number_is_the_same_case(sets: Path) -> None:
    one, two = fuzz(sets, "--seed", "2", "--only", "5", "11", "5")[::2]
    assert (one["target"], one["change"], one["outcome"]) == (two["target"], two["change"], two["outcome"])


ENDINGS = """
import ctypes, os, sys
from pathlib import Path
import numpy as np
from tests.fuzz import child
from tests.fuzz.child import Task, run_case
outside = Path(sys.argv[1])
(outside / "canary.bin").write_bytes(b"x")
child.CPU_SECONDS = 1

def raises(error):
    def run():
        raise error
    return run

def spin():
    while True:
        pass

native = lambda: ctypes.CDLL(None).open(os.fsencode(outside / "canary.bin"), 0)
cases = {
    "ok": Task("", lambda: None, ("set",)),
    "clear": Task("", raises(ValueError("set/info.json: fps must be a number")), ("info.json",), ("fps",)),
    "raw": Task("", raises(KeyError("set")), ("set",)),
    "raw text": Task("", raises(UnicodeDecodeError("utf-8", b"set", 0, 1, "set")), ("set",)),
    "unnamed": Task("", raises(ValueError("bad")), ("set",)),
    "unnamed field": Task("", raises(ValueError("set/info.json is bad")), ("info.json",), ("fps",)),
    "wrong": Task("", raises(child.WrongError("NaN")), ("set",)),
    "wrong to take": Task("", lambda: None, ("set",), must_refuse=True),
    "hang": Task("", spin, ("set",)),
    "memory": Task("", lambda: np.ones(10**9), ("set",)),
    "memory told as another": Task("", raises(ValueError("set: Unable to allocate 9 GiB")), ("set",)),
    "crash": Task("", lambda: ctypes.string_at(0), ("set",)),
    "foreign": Task("", native, ("set",)),
    "code": Task("", lambda: os.system("true"), ("set",)),
    "code by name": Task("", child.run, ("set",)),
}
for expected, task in cases.items():
    print(expected, "->", run_case(0, "x", lambda task=task: task, outside).outcome)
"""


def test_every_ending_of_a_case_is_told_from_the_others(tmp_path: Path) -> None:
    done = run("-c", ENDINGS, str(tmp_path))
    lines = [line.split(" -> ") for line in done.stdout.splitlines()]
    assert len(lines) == 15, done.stderr
    assert [(expected, found) for expected, found in lines if expected.split()[0] != found] == []


def test_commands_that_are_killed_end_with_the_same_result() -> None:
    done = run("-m", "tests.fuzz.kills", "--kills", "1", "--commands", "collect")
    assert json.loads(done.stdout[done.stdout.index("{") :]) == {"wrong": []}, done.stdout + done.stderr
