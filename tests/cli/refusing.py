"""What is refused before anything is done."""

from pathlib import Path

import pytest

from wmcontrol.cli.main import main


def refused(words: list[str], out: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Run what cannot be, and return what is said: in one line, before a folder is made."""
    capsys.readouterr()
    assert main([*words, f"out={out}"]) == 2
    assert not out.exists()
    (line,) = capsys.readouterr().err.splitlines()
    return line


def error_line(capsys: pytest.CaptureFixture[str]) -> str:
    """Return the one line that was printed, on stderr."""
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    return line
