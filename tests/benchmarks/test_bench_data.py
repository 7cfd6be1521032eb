"""``python -m experiments.benchmarks.data`` measures what it says, on a small set."""

import json
from pathlib import Path

import pytest

from experiments.benchmarks import data


def test_every_rate_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Processes of their own take longer to start than to measure this little.
    monkeypatch.setattr(data, "in_process", lambda function, *arguments: function(*arguments))
    data.main(["--episodes=12", "--seconds=0.05", f"--out={tmp_path}"])
    section = json.loads((tmp_path / "data.json").read_text())
    assert [row[1].split()[1] for row in section["rows"]] == ["frames", "frames", "windows", "clips", "clips"]
    for found in section["numbers"].values():
        assert found["per_second"] > 0
        assert 20 < found["peak_memory"] / 2**20 < 4000
