"""``wmcontrol bench training``: every row is measured, what is counted is right, and a store of one's own is taken."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from wmcontrol.experiments import bench_training
from wmcontrol.experiments.bench_training import Subject, _Training
from wmcontrol.experiments.bench_training_report import Row, save_report
from wmcontrol.experiments.bench_training_store import random_store
from wmcontrol.experiments.cli import main
from wmcontrol.experiments.speed.timing import product_rate
from wmcontrol.models import Predictor

ROW = Row("tiny", 1, 128, 256, "float32", 11.5, 1.0, 20.0, 0.25)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bench")
    assert main(["collect", "env=wall", "episodes=12", "frames=40", f"out={folder / 'wall'}"]) == 0
    words = ["image_size=32", "fit_frames=100", "settings={num_components:16}", f"out={folder / 'stores'}"]
    assert main(["encode", f"data={folder / 'wall'}", *words]) == 0
    return next((folder / "stores").glob("*/store.json")).parent


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A base that a test can train, and float32 alone, as on machines that are slow at bfloat16."""
    sizes = {"tiny": (24, 2, 2), "base": (32, 3, 2)}
    monkeypatch.setattr("wmcontrol.models.predictor.SIZES", sizes)
    monkeypatch.setattr(bench_training, "fast_dtype", lambda _: torch.float32)
    monkeypatch.setattr(bench_training, "ROUNDS", 2)


def test_without_a_store_random_ones_are_made_and_all_subjects_have_a_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("wmcontrol.experiments.bench_training_store._NUMBERS", 2**16)
    assert main(["bench", "training", "seconds=0.02", "compile=false", f"out={tmp_path / 'out'}"]) == 0
    found = json.loads((tmp_path / "out" / "training.json").read_text())
    shapes = [(row["size"], row["tokens"], row["dim"], row["batch_size"]) for row in found["rows"]]
    assert shapes == [("tiny", 1, 128, 256), ("tiny", 16, 128, 64), ("tiny", 64, 128, 16), ("base", 4, 768, 8)]
    for row in found["rows"]:
        assert row["steps_per_second"] > 0
        assert 0 < row["share_of_products"] < 1.5
        assert 0 < row["reading_ms"] < 1e3 / row["steps_per_second"]
    assert found["encoding_in_the_loop"]["store_is_faster_by"] > 1
    printed = capsys.readouterr().out
    assert printed.strip() == (tmp_path / "out" / "training.md").read_text().strip()
    assert "at least 12 steps/s asked on two cores" in printed
    assert (tmp_path / "out" / "run.yaml").exists()


def test_a_store_of_ones_own_is_measured_with_both_sizes(store: Path, tmp_path: Path) -> None:
    words = [f"store={store}", "seconds=0.02", "compile=false", f"out={tmp_path}"]
    assert main(["bench", "training", *words]) == 0
    found = json.loads((tmp_path / "training.json").read_text())
    assert [(row["size"], row["tokens"], row["dim"]) for row in found["rows"]] == [("tiny", 1, 16), ("base", 1, 16)]
    assert found["store"] == str(store)
    assert "asked on two cores" not in (tmp_path / "training.md").read_text()  # it was asked of other tokens


def test_a_store_without_actions_is_refused(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    for path in store.iterdir():
        (bare / path.name).symlink_to(path)
    arrays = np.load(store / "arrays.npz")
    (bare / "arrays.npz").unlink()
    np.savez(bare / "arrays.npz", **{name: arrays[name] for name in arrays if name != "actions"})
    assert main(["bench", "training", f"store={bare}", f"out={tmp_path / 'out'}"]) == 2
    assert "has no actions" in capsys.readouterr().err


def test_operations_are_those_of_the_products(tmp_path: Path) -> None:
    subject = Subject("tiny", (1, 2), 6)
    training = _Training(subject, random_store(tmp_path / "store", subject), None)
    width, depth, tokens = 24, 2, 256 * 3 * 2
    # Multiply and add; forward, back to the weights, and back to what came before.
    weights = 12 * width * width  # a block's query, keys, values, out and MLP
    attention = 2 * 6 * width  # scores and values, of a query to all keys
    action = sum(p.numel() for name, p in training.predictor.named_parameters() if "action" in name and p.ndim == 2)
    expected = 6 * tokens * (depth * (weights + attention) + 2 * 6 * width + action)
    assert 0.75 * expected < training.operations() < 1.25 * expected


def test_a_step_trains_and_so_does_one_that_encodes(tmp_path: Path) -> None:
    subject = Subject("tiny", (1, 1), 128)
    frames = torch.zeros(256, 4, 64, 64, 3, dtype=torch.uint8)
    training = _Training(subject, random_store(tmp_path / "store", subject), frames)
    for encode in (False, True):
        before = [p.clone() for p in training.predictor.parameters()]
        training.step(0, torch.float32, encode=encode)
        assert any(not torch.equal(a, b) for a, b in zip(before, training.predictor.parameters(), strict=True))


def test_a_compiled_step_trains(tmp_path: Path) -> None:
    subject = Subject("tiny", (1, 1), 8)
    training = _Training(subject, random_store(tmp_path / "store", subject), None)
    before = [p.clone() for p in training.predictor.parameters()]
    training.step(0, torch.float32, loss=torch.compile(training.loss, backend="eager"))
    assert any(not torch.equal(a, b) for a, b in zip(before, training.predictor.parameters(), strict=True))


def test_the_rate_of_products_is_that_of_the_best() -> None:
    assert product_rate(torch.float32, 0.0) > 1e9


def test_what_was_asked_stands_beside_what_was_measured(tmp_path: Path) -> None:
    encoding = {"steps_per_second": 5.0, "store_is_faster_by": 2.3}
    text = save_report(tmp_path, [ROW], encoding, None).read_text()
    assert "11.5 measured (float32): not met." in text
    assert "| tiny | 1 x 128 | 256 | float32 | 11.5 | 2,944 | 1.00 | 25% |" in text
    faster = replace(ROW, numbers="bfloat16, compiled", steps_per_second=12.04)
    text = save_report(tmp_path, [ROW, faster], encoding, None).read_text()
    assert "12.0 measured (bfloat16, compiled): met." in text
    assert "makes 5.00 steps/s; from the store it is 2.30 times as fast" in text


def test_batches_are_256_where_they_fit() -> None:
    assert [subject.batch_size for subject in bench_training.SUBJECTS] == [256, 64, 16, 8]
    assert Subject("base", (16, 16), 768).batch_size == 1
    assert Predictor.from_size("tiny", dim=4).width == 24  # the small sizes of these tests are in use
