"""``python -m experiments.benchmarks.training``: all rows are measured, what is counted is right, one's own store."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from experiments.benchmarks import latents, training
from experiments.benchmarks.latents import noise, noise_store
from experiments.benchmarks.training import Subject, Training
from wmcontrol import Predictor
from wmcontrol.data import ArrayDataset, encode
from wmcontrol.encoders import PyramidEncoder


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A base that a test can train, and float32 alone, as on machines that are slow at bfloat16."""
    monkeypatch.setattr("wmcontrol.models.predictor.SIZES", {"tiny": (24, 2, 2), "base": (32, 3, 2)})
    monkeypatch.setattr(training, "fast_dtype", lambda _: torch.float32)
    monkeypatch.setattr(training, "ROUNDS", 2)
    monkeypatch.setattr(latents, "NUMBERS", 2**16)


def test_without_a_store_stores_of_noise_are_made_and_all_subjects_have_a_row(tmp_path: Path) -> None:
    training.main(["--seconds=0.02", f"--out={tmp_path}"])
    section = json.loads((tmp_path / "training.json").read_text())
    rows = section["numbers"]["rows"]
    shapes = [(row["size"], row["tokens"], row["dim"], row["batch_size"]) for row in rows]
    assert shapes == [("tiny", 1, 128, 256), ("tiny", 16, 128, 64), ("tiny", 64, 128, 16), ("base", 4, 768, 8)]
    for row in rows:
        assert row["steps_per_second"] > 0
        assert 0 < row["share_of_products"] < 1.5
        assert 0 < row["reading_ms"] < 1e3 / row["steps_per_second"]
    assert section["numbers"]["encoding_in_the_loop"]["store_is_faster_by"] > 1
    (verdict,) = section["verdicts"]
    assert verdict["met"] == (rows[0]["steps_per_second"] >= 12)
    assert Predictor.from_size("tiny", dim=4).width == 24  # the small sizes of these tests are in use


def test_a_store_of_ones_own_is_measured_with_both_sizes_and_one_without_actions_is_refused(tmp_path: Path) -> None:
    encoder = PyramidEncoder(16)
    encoder.fit(noise(100))
    actions = np.random.default_rng(0).uniform(-1, 1, (2, 39, 2))
    store = encode(ArrayDataset([noise(40).numpy()] * 2, list(actions), control_rate=10), encoder, tmp_path)
    section = training.training(0.02, store.folder)
    rows = section.numbers["rows"]
    assert [(row["size"], row["tokens"], row["dim"]) for row in rows] == [("tiny", 1, 16), ("base", 1, 16)]
    assert str(store.folder) in section.about
    assert section.verdicts == []  # what was asked was asked of other tokens
    arrays = np.load(store.folder / "arrays.npz")
    np.savez(store.folder / "arrays.npz", **{name: arrays[name] for name in arrays if name != "actions"})
    with pytest.raises(ValueError, match="no actions"):
        training.training(0.02, store.folder)


def test_operations_are_those_of_the_products(tmp_path: Path) -> None:
    found = Training(Subject("tiny", (1, 2), 6), noise_store(tmp_path, (1, 2), 6))
    width, depth, tokens = 24, 2, 256 * 3 * 2
    # Multiply and add; forward, back to the weights, and back to what came before.
    weights = 12 * width * width  # a block's query, keys, values, out and MLP
    attention = 2 * 6 * width  # scores and values, of a query to all keys
    action = sum(p.numel() for name, p in found.predictor.named_parameters() if "action" in name and p.ndim == 2)
    expected = 6 * tokens * (depth * (weights + attention) + 2 * 6 * width + action)
    assert 0.75 * expected < found.operations() < 1.25 * expected


def test_a_step_trains_and_so_does_one_that_encodes_or_is_compiled(tmp_path: Path) -> None:
    store = noise_store(tmp_path, (1, 1), 8)
    found = Training(Subject("tiny", (1, 1), 8), store)
    compiled = torch.compile(found.loss, backend="eager")
    for step in (
        lambda: found.step(0, torch.float32),
        lambda: found.step(0, torch.float32, loss=compiled),
        lambda: found.encoding_step(0, torch.float32, store.encoder, noise(256, 4)),
    ):
        before = [p.clone() for p in found.predictor.parameters()]
        step()
        assert any(not torch.equal(a, b) for a, b in zip(before, found.predictor.parameters(), strict=True))


def test_batches_are_256_where_they_fit() -> None:
    assert [subject.batch_size for subject in training.SUBJECTS] == [256, 64, 16, 8]
    assert Subject("base", (16, 16), 768).batch_size == 1
