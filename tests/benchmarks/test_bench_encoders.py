"""``python -m experiments.benchmarks.encoders``: a row for each encoder and baseline, on the same tasks."""

import json
from functools import partial
from pathlib import Path

import pytest
import torch

from experiments.benchmarks import encoders
from wmcontrol import PyramidEncoder


def test_every_encoder_is_trained_and_planned_with_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    torch.set_num_threads(1)
    small = {name: partial(PyramidEncoder, 4, tokens=grid) for name, grid in (("one", (1, 1)), ("four", (2, 2)))}
    monkeypatch.setattr(encoders, "ENCODERS", small)
    monkeypatch.setattr(encoders, "UNSEEN", 4)
    words = ["--envs=wall", "--encoders", "one", "four", "--image-size=16", "--episodes=6", "--steps=2", "--windows=2"]
    encoders.main([*words, "--tasks=2", f"--out={tmp_path}"])
    told = capsys.readouterr().out
    far = json.loads((tmp_path / "wall-distances.json").read_text())["numbers"]
    assert all(far[name]["agent, l2"] > 0.5 for name in small)  # nearer frames have nearer tokens
    rows = [line.split("|")[1].strip() for line in told.splitlines() if "% [" in line]
    assert rows == ["no-op", "random actions", "one", "four"]
    one, four = (json.loads((tmp_path / f"wall-{name}.json").read_text())["numbers"] for name in small)
    assert len(one["error"]) == 5
    assert one["success"].keys() == {"world model"}
    assert one["encoding_ms"] > 0
    assert four["training_s"] > 0
    assert four["plan_s"] > 0
    tasks = [next((tmp_path / f"Wall-v0, {name}" / "tasks").glob("*.jsonl")) for name in ("baselines", *small)]
    assert len({json.dumps(json.loads(file.read_text().splitlines()[0])["tasks"]) for file in tasks}) == 1

    (tmp_path / "wall-four.json").unlink()  # killed while the last one was measured
    encoders.main([*words, "--tasks=2", f"--out={tmp_path}"])
    again = json.loads((tmp_path / "wall-four.json").read_text())["numbers"]
    assert again["success"] == four["success"]
    assert again["training_s"] >= four["training_s"]
