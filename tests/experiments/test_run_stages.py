"""Stages side by side in processes: in order, once each, and none left behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import toy_stages
from naming import naming

from wmcontrol.experiments.run_stages import run_stages, unfinished
from wmcontrol.experiments.stages import Stage


@pytest.fixture(autouse=True)
def children_find_the_toys(monkeypatch: pytest.MonkeyPatch) -> None:
    known = [str(Path(__file__).parent), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(known))


def toy(name: str, *needs: Stage, work: object = toy_stages.write) -> Stage:
    return Stage(name, {}, needs, work)


def test_each_stage_is_done_once_after_what_it_needs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = toy("first")
    left, right = toy("left", first), toy("right", first)
    last = toy("last", left, right)
    run_stages([last, left], tmp_path, jobs=2)
    assert (last.folder(tmp_path) / "text").read_text() == "last(left(first()) right(first()))"
    assert capsys.readouterr().out.splitlines() == ["[1/4] first", "[2/4] left", "[3/4] right", "[4/4] last"]
    attempt = last.record(tmp_path)["attempts"][0]
    assert attempt["threads"] == 1
    assert attempt["core_seconds"] >= 0
    run_stages([last, left], tmp_path, jobs=2)
    assert capsys.readouterr().out == ""


def test_what_finished_stages_were_made_of_may_be_gone(tmp_path: Path) -> None:
    first = toy("first")
    middle = toy("middle", first)
    middle.folder(tmp_path).mkdir()
    (middle.folder(tmp_path) / "stage.json").write_text(
        '{"name": "middle", "digest": "", "settings": {}, "attempts": [], "facts": {}}'
    )
    assert [stage.name for stage in unfinished([toy("last", middle)], tmp_path).values()] == ["last"]
    assert [stage.name for stage in unfinished([toy("other", first)], tmp_path).values()] == ["first", "other"]


def test_a_stage_that_fails_is_named_and_stops_only_what_needs_it(tmp_path: Path) -> None:
    broken, good = toy("broken well", work=toy_stages.fail), toy("good")
    after = toy("after", broken)
    with pytest.raises(ValueError, match=naming(2, 3, "broken well", "after")) as error:
        run_stages([after, good], tmp_path, jobs=1)
    output = broken.folder(tmp_path) / "output.txt"
    assert f"{output} ends: ValueError: the well is dry" in str(error.value)
    assert "Traceback" in output.read_text()
    assert good.record(tmp_path) is not None
    assert not after.folder(tmp_path).exists()


PARENT = """
import sys
from pathlib import Path
import toy_stages
from wmcontrol.experiments.run_stages import run_stages
from wmcontrol.experiments.stages import Stage
run_stages([Stage("long", {}, (), toy_stages.wait)], Path(sys.argv[1]), 1)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_processes_end_with_who_asked_for_them(how: signal.Signals, tmp_path: Path) -> None:
    from wmcontrol.files import exclusive_lock

    folder = toy("long", work=toy_stages.wait).folder(tmp_path)
    with subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)]) as parent:
        until(lambda: (folder / "began").exists())
        os.kill(parent.pid, how)
        parent.wait()

    def free() -> bool:
        try:
            with exclusive_lock(folder):
                return True
        except OSError:
            return False

    until(free)
    assert not (folder / "stage.json").exists()


def until(holds: object) -> None:
    deadline = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)
