import os

import pytest

from wmcontrol.experiments import bench_envs
from wmcontrol.experiments.cli import main


def test_the_bench_prints_a_row_per_environment_and_frame_size_and_what_is_asked(
    capsys: pytest.CaptureFixture[str],
) -> None:
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    assert main(["bench", "envs", "seconds=0.05"]) == 0
    if cores is not None:
        assert os.sched_getaffinity(0) == cores, "the process is left on one core"
    printed = capsys.readouterr().out
    assert "…" not in printed, "the tables do not fit 80 columns"
    lines = printed.splitlines()
    small, large = (next(i for i, line in enumerate(lines) if f"frames of {size} px" in line) for size in (64, 224))
    for name in ("PushT", "Wall", "PointMaze_UMaze"):
        for table in (lines[small:large], lines[large:]):
            (row,) = (line.split() for line in table if line.split()[:1] == [name] and "at least" not in line)
            assert all(float(rate.replace(",", "")) > 0 for rate in row[1:3])
    assert any(line.startswith("Wall vector at least 20,000 steps/s: ") for line in lines)


def test_a_peer_that_is_not_installed_is_named_with_what_to_do(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench_envs, "find_spec", lambda module: None)
    bench_envs.run_bench(0.01)
    printed = capsys.readouterr().out
    assert printed.count("not installed") == 4  # two environments at two sizes
    assert 'gym-pusht and gymnasium-robotics: pip install "wmcontrol[oracle]"' in printed
    assert "PushT at least 8x its peer: not measured" in printed


def test_a_rate_counts_every_call_and_needs_at_least_one() -> None:
    calls = []
    rate = bench_envs._rate(lambda: calls.append(None), steps=64, seconds=0.02)
    assert 0.9 * rate <= 64 * len(calls) / 0.02
    assert bench_envs._rate(lambda: calls.clear(), steps=1, seconds=0) > 0
