"""``wmcontrol bench data`` measures what it says, on a small set."""

import re

import pytest

from wmcontrol.experiments.cli import main


def test_every_rate_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "data", "episodes=30", "seconds=0.1"]) == 0
    rows = re.findall(r"^\s*(\S.*?)\s{2,}([\d,]+) (frames|windows|clips)\s+([\d,]+) MiB", capsys.readouterr().out, re.M)
    assert [unit for _, _, unit, _ in rows] == ["frames", "frames", "windows", "clips", "clips"]
    for _, rate, _, memory in rows:
        assert int(rate.replace(",", "")) > 0
        assert 20 < int(memory.replace(",", "")) < 4000
