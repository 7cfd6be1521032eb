"""Every command line in the README and on the pages of the documentation is accepted."""

import re
import shlex
from pathlib import Path

import pytest

from wmcontrol.cli.commands import COMMANDS
from wmcontrol.cli.main import main

ROOT = Path(__file__).resolve().parents[2]
NAMES = sorted(COMMANDS, key=len, reverse=True)


def lines() -> list[str]:
    found = []
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        text = page.read_text(encoding="utf-8").replace("\\\n", " ")
        for line in re.findall(rf"(?<![\w/])wmcontrol ((?:{'|'.join(NAMES)})(?: [^\n`#&|]*)?)", text):
            said = line.split('", shell')[0].strip()
            if "=" in said and not any(part in said for part in ("…", "{store}", "--config-dir")):
                found.append(said)
    return found


def test_there_are_lines() -> None:
    assert len(lines()) > 30


@pytest.mark.parametrize("line", sorted(set(lines())))
def test_a_line_of_the_pages_is_accepted(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = [word for word in shlex.split(line) if word not in ("-m", "--multirun", "--help")]
    words = [word for word in words if not word.startswith("hydra/launcher=")]  # they are tested by themselves
    swept = [word for word in words if "," in word.partition("=")[2] and "[" not in word and "{" not in word]
    single = [word.partition(",")[0] if word in swept else word for word in words]
    assert main([*single, "--cfg", "job"]) == 0, capsys.readouterr().err
