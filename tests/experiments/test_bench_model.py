"""``wmcontrol bench model``: every row is measured, and the cache pays."""

from io import StringIO

import pytest
import torch
from rich.console import Console

from wmcontrol.experiments import bench_model
from wmcontrol.experiments.bench_model import Subject, run


def test_every_size_number_type_and_way_has_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_model, "fast_dtype", lambda _: torch.float32)
    text = StringIO()
    run(Console(file=text, width=120), (Subject("tiny", 16, (2, 2), 3),))
    rows = [line.split() for line in text.getvalue().splitlines() if line.split()[:1] == ["tiny"]]
    assert [row[3] for row in rows[:2]] == ["recomputing", "cache"]
    assert all(float(row[4]) > 0 for row in rows[:2])
    assert "tiny was measured with 3 candidates" in text.getvalue()


def test_caching_does_less_than_recomputing() -> None:
    subject = Subject("tiny", 16, (2, 2), 3)
    cached, recomputed = (bench_model._measure(subject, way, torch.float32) for way in ("cache", "recomputing"))
    assert cached.flops < recomputed.flops
