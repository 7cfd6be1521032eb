"""``python -m experiments.benchmarks.gpu --small``: every part runs on the CPU, and errors would be seen."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from experiments.benchmarks import gpu
from experiments.benchmarks.gpu import SMALL, Bench

pytest.importorskip("transformers")


@pytest.fixture
def bench() -> Bench:
    return Bench(SMALL, torch.device("cpu"), compiled=False, until=float("inf"))


def test_all_parts_are_measured_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modes: list[dict[str, Any]] = []
    monkeypatch.setattr(torch, "compile", lambda module, **mode: (modes.append(mode), module)[1])
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module: None)
    gpu.main(["--small", "--device=cpu", "--compile", f"--out={tmp_path}"])
    found = {part: json.loads((tmp_path / f"{part}.json").read_text()) for part in gpu.PARTS}
    (verdict,) = found["correctness"]["verdicts"]
    assert verdict["met"], verdict
    kinds = {(row["what"], row["dtype"]) for row in found["correctness"]["numbers"]["rows"]}
    assert kinds == {(what, dtype) for what in ("rollouts", "gradients", "tokens") for dtype in ("float32", "bfloat16")}
    ways = {"planning": {"cache", "folded", "cache, compiled"}}
    for part in ("encoding", "training", "planning"):
        rows = found[part]["numbers"]["rows"]
        assert {row["way"] for row in rows} == ways.get(part, {"plain", "compiled"})
        for row in rows:
            assert row["share"] == pytest.approx(row["operations"] / row["seconds"] / row["rate"])
    assert modes == [{}, {}]  # of the encoder and of the loss
    assert found["packaged"]["numbers"]["steps_per_second"] > 0
    assert "| rollouts folded | cpu | bfloat16 |" in (tmp_path / "report.md").read_text()


def test_what_is_wrong_is_not_met(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    right = gpu._gradients
    monkeypatch.setattr(gpu, "_gradients", lambda *given: right(*given) * (1.01 if given[2] == torch.float32 else 1))
    (verdict,) = gpu.correctness(bench).verdicts
    assert not verdict.met
    assert "gradients in float32 0.01" in verdict.found


def test_a_way_that_fails_is_told_and_the_others_are_measured(bench: Bench) -> None:
    def fails() -> Any:
        raise RuntimeError("cannot be\ncaptured")

    found = bench.seconds_of({"one": lambda: lambda: None, "other": fails})
    assert found["other"] == "RuntimeError: cannot be captured"
    assert isinstance(found["one"], float)
    late = Bench(SMALL, bench.device, compiled=False, until=0.0)
    assert late.seconds_of({"one": fails}) == {"one": "no time was left"}


def test_operations_of_fused_attention_are_counted() -> None:
    q = torch.ones(1, 2, 8, 4)
    attend = torch.nn.functional.scaled_dot_product_attention
    assert gpu._operations(lambda: attend(q, q, q)) == 2 * 2 * 2 * 8 * 8 * 4
