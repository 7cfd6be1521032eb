"""How progress is shown, with and without a terminal."""

import re
from io import StringIO
from time import sleep

import pytest
from rich.console import Console

from wmcontrol.cli.progress import progress_bar


def test_without_a_terminal_what_is_quickly_done_is_not_mentioned(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("collecting", "episodes") as progress:
        for done in range(1, 1001):
            progress(done, 1000)
    printed = capsys.readouterr()
    assert printed.out == printed.err == ""


def test_without_a_terminal_there_are_few_lines_on_stderr_and_a_last_one(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("collecting", "episodes", every=0.1) as progress:
        for done in range(1001, 1031):
            sleep(0.01)
            progress(done, 1030)
    printed = capsys.readouterr()
    assert printed.out == ""
    lines = printed.err.splitlines()
    assert 2 <= len(lines) <= 12
    for line in lines[:-1]:
        assert re.fullmatch(r"collecting: 1,0\d\d/1,030 episodes, \d+/s, 0:00:0\d left", line)
    assert re.fullmatch(r"collecting: 1,030/1,030 episodes, \d+/s, took 0:00:0\d", lines[-1])
    # Of the episodes made here, not of those before.
    assert 5 <= int(lines[-1].split("/s")[0].split()[-1]) <= 100


def test_nothing_to_do_and_no_call_are_fine(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("collecting", every=0) as progress:
        progress(0, 0)
    with progress_bar("collecting"):
        pass
    assert capsys.readouterr().err == "collecting: 0/0 steps\n"


def test_in_a_terminal_there_is_a_bar_with_rate_and_time_left() -> None:
    file = StringIO()
    console = Console(file=file, force_terminal=True, width=100)
    with progress_bar("encoding [x]", "frames", console=console) as progress:
        progress(0, 100)
        sleep(0.1)
        progress(50, 100)
        sleep(0.2)  # the bar is drawn ten times a second
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", file.getvalue())
    assert "encoding [x]" in shown
    assert re.search(r"50/100 frames, \d+/s, 0:00:0\d left", shown)


@pytest.mark.parametrize("terminal", [True, False])
def test_errors_and_interrupts_pass_through(terminal: bool) -> None:
    console = Console(file=StringIO(), force_terminal=terminal)

    def interrupted() -> None:
        with progress_bar("collecting", console=console) as progress:
            progress(1, 2)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()


@pytest.mark.parametrize(
    ("done", "seconds", "expected"),
    [
        (20, 2.0, "20/100 steps, 10/s, 0:00:08 left"),
        (2, 4.0, "2/100 steps, 0.5/s, 0:03:16 left"),
        (1, 3600.0, "1/100 steps, 3,600 s each, 4 days, 3:00:00 left"),
        (100, 50.0, "100/100 steps, 2/s, took 0:00:50"),
        (0, 3.0, "0/100 steps"),
    ],
)
def test_rates_and_times_are_right(
    done: int, seconds: float, expected: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 100.0
    monkeypatch.setattr("wmcontrol.cli.progress.monotonic", lambda: now)
    with progress_bar("x", every=0.5) as progress:
        progress(0, 100)
        now += seconds
        progress(done, 100)
    assert capsys.readouterr().err == f"x: {expected}\n"
