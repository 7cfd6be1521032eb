"""``python -m experiments.benchmarks.envs``: a row for every environment, with its peer where that is installed."""

import json
import os
from pathlib import Path

import pytest

from experiments.benchmarks import envs


def test_every_environment_is_measured_and_a_missing_peer_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(envs, "find_spec", lambda module: None)
    monkeypatch.setattr(envs, "NUM_ENVS", 4)
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    envs.main(["--seconds=0.01", f"--out={tmp_path}"])
    if cores is not None:
        assert os.sched_getaffinity(0) == cores, "the process is left on one core"
    for name in ("small", "large"):
        section = json.loads((tmp_path / f"{name}.json").read_text())
        rates = section["numbers"]
        assert set(rates) == {f"{env}, {way}" for env in envs.SUBJECTS for way in ("one", "many")}
        assert all(rate > 0 for rate in rates.values())
        assert [row[3].split()[0] for row in section["rows"]] == ["gym-pusht", "none", "gymnasium-robotics"]
    (verdict,) = json.loads((tmp_path / "small.json").read_text())["verdicts"]
    assert verdict["met"] == (json.loads((tmp_path / "small.json").read_text())["numbers"]["Wall, many"] >= 20_000)
