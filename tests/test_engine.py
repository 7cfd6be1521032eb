"""Many items in processes: results in order, failures by name, nothing lost with a worker, nothing left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import toy_items

from wmcontrol.engine import ParallelError, run_parallel


@pytest.mark.parametrize("jobs", [1, 2])
def test_results_are_in_the_order_of_the_items_and_progress_counts_them(jobs: int) -> None:
    told: list[tuple[int, int]] = []
    found = run_parallel(toy_items.double, [5, 1, 2], jobs=jobs, progress=lambda *numbers: told.append(numbers))
    assert found == [10, 2, 4]
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert run_parallel(toy_items.double, [], jobs=jobs) == []


def test_one_at_a_time_is_in_this_process_and_several_have_one_thread_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    assert run_parallel(toy_items.threads, [0, 1], jobs=1) == [(os.getpid(), "4")] * 2
    others = run_parallel(toy_items.threads, [0], jobs=2)
    assert others[0][0] != os.getpid()
    assert others[0][1] == "1"


def test_workers_import_modules_of_the_users_own_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "toy_imports.py").write_text("import os; os.environ['TOY_IMPORTS'] = 'done'")
    monkeypatch.syspath_prepend(tmp_path)
    assert run_parallel(toy_items.spare, [0, 1], jobs=2, imports=["toy_imports"]) == ["done", "done"]
    assert toy_items.spare(0) is None


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_item_that_fails_is_named_and_stops_no_other(jobs: int) -> None:
    told: list[int] = []
    with pytest.raises(ParallelError, match=r"1 of 3 .* item-2: ValueError: the well is dry") as error:
        run_parallel(
            toy_items.fail_at_two,
            [2, 1, 3],
            jobs=jobs,
            name=lambda item: f"item-{item}",
            progress=lambda done, total: told.append(done),
        )
    assert list(error.value.failed) == [0]
    assert told == [1, 2, 3]
    assert "fail_at_two" in error.value.__notes__[0]


def test_what_ran_in_a_worker_that_died_runs_again(tmp_path: Path) -> None:
    assert run_parallel(toy_items.die_once, [(i, tmp_path / "mark") for i in range(4)], jobs=2) == [0, 1, 2, 3]
    assert (tmp_path / "calls_1").read_text() == "xx"


def test_an_item_that_kills_every_worker_is_found_and_the_others_are_done() -> None:
    done: list[int] = []
    with pytest.raises(ParallelError, match="1 of 4") as error:
        run_parallel(toy_items.die_always, range(4), jobs=2, progress=lambda count, total: done.append(count))
    assert list(error.value.failed) == [1]
    assert done == [1, 2, 3, 4]


PARENT = """
import signal
import sys
from pathlib import Path
import toy_items
from wmcontrol.engine import run_parallel
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background process ignores
run_parallel(toy_items.wait, [Path(sys.argv[1])] * 2, jobs=2)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_processes_end_with_who_asked_for_them(how: signal.Signals, tmp_path: Path) -> None:
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-c", PARENT, str(tmp_path)]
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path}, stderr=subprocess.DEVNULL) as parent:
        until(lambda: len(list(tmp_path.iterdir())) == 2)
        parent.send_signal(how)
    until(lambda: not any(alive(int(file.name)) for file in tmp_path.iterdir()))


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")  # one that has ended may wait for somebody to ask how
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize(("key", "value"), [("engine", "mpi"), ("jobs", 0)])
def test_engines_and_numbers_that_there_are_not_are_refused(key: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"{key}: .*{value}"):
        run_parallel(toy_items.double, [1], **{key: value})
