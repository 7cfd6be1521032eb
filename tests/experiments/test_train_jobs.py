"""Pretraining and fine-tuning from the command line, on a small set of real frames."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from naming import naming
from safetensors.torch import load_file
from wmcontrol.experiments.train_jobs import split

from wmcontrol import WorldModel
from wmcontrol.data import LatentStore
from wmcontrol.data.dataset import split_order
from wmcontrol.experiments.cli import main
from wmcontrol.files import exclusive_lock

SMALL = ["batch_size=16", "warmup_steps=2", "device=cpu"]


def run(*words: str) -> int:
    return main(list(words))


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("data")
    for env in ("wall", "pointmaze"):
        assert run("collect", f"env={env}", "episodes=20", "frames=40", f"out={folder / env}") == 0
    data = f"data={folder / 'wall'},{folder / 'pointmaze'}"
    assert run("encode", data, "fit_frames=400", "settings={num_components:16}", f"out={folder / 'stores'}") == 0
    found = [path.parent for path in (folder / "stores").glob("*/store.json")]
    return sorted(found, key=lambda path: LatentStore.open(path).env_id or "", reverse=True)  # Wall first


@pytest.fixture(scope="module")
def base(stores: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("base") / "run"
    words = [f"stores={stores[0]},{stores[1]}", "weights=1,2", "num_steps=6", "num_frames=4", f"out={out}"]
    assert run("pretrain", *words, *SMALL) == 0
    return out / "model"


def weights(model: Path) -> dict[str, torch.Tensor]:
    return load_file(model / "model.safetensors")


def test_a_base_is_a_model_without_actions(base: Path) -> None:
    model = WorldModel.load(base)
    assert model.normalizer is None
    assert model.frame_size == (64, 64)
    assert (base.parent / "run.yaml").exists()


@pytest.mark.parametrize("mode", ["scratch", "action_only", "full"])
def test_each_mode_gives_a_model_that_acts(mode: str, stores: list[Path], base: Path, tmp_path: Path) -> None:
    words = [f"store={stores[0]}", f"base={base}", f"mode={mode}", "num_steps=5", f"out={tmp_path / 'run'}"]
    assert run("finetune", *words, *SMALL) == 0
    model = WorldModel.load(tmp_path / "run" / "model", dtype=torch.float32)
    assert model.normalizer is not None
    assert model.normalizer.action_dim == 10
    assert model.control_rate == 10.0
    before, after = weights(base), weights(tmp_path / "run" / "model")
    shared = [name for name in before if name.startswith("predictor.") and "predictor." + name in after]
    kept = [torch.equal(before[name], after["predictor." + name]) for name in shared]
    assert len(kept) > 20
    assert all(kept) == (mode == "action_only")
    logged = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert len(logged[-1].get("relative_error", logged[0].get("relative_error"))) == 5


def test_the_result_is_in_a_file_and_the_same_after_a_rerun(stores: list[Path], tmp_path: Path) -> None:
    words = [f"store={stores[0]}", "mode=scratch", "num_steps=3", f"out={tmp_path / 'run'}"]
    assert run("finetune", *words, *SMALL) == 0
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert len(result["error"]) == len(result["persistence_error"]) == 5
    assert 0 < result["persistence_error"][0] < result["persistence_error"][4]
    assert result["seconds_ahead"] == pytest.approx([0.5, 1.0, 1.5, 2.0, 2.5])
    context = result["context_frames"]
    assert context == max(1, result["settings"]["num_frames"] - 5)
    assert result["windows"] == 2 * (40 - 5 * (4 + context))  # of the two trajectories held out
    assert result["settings"]["mode"] == "scratch"
    assert result["steps_per_second"] == pytest.approx(3 / result["seconds"])
    assert run("finetune", *words, *SMALL) == 0
    again = json.loads((tmp_path / "run" / "result.json").read_text())
    assert again["error"] == result["error"]


def test_a_model_of_another_frameskip_is_measured_as_far_ahead_and_a_bad_one_is_warned_of(
    stores: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [f"store={stores[0]}", "mode=scratch", "frameskip=12", "num_frames=3", "num_steps=3", "learning_rate=1"]
    assert run("finetune", *words, *SMALL, f"out={tmp_path / 'run'}") == 0
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["seconds_ahead"] == pytest.approx([1.2, 2.4])
    assert result["context_frames"] == 1  # trajectories of 40 frames have no place for more
    captured = capsys.readouterr()
    worse = [e > p for e, p in zip(result["error"], result["persistence_error"], strict=True)]
    assert any(worse)
    assert "worse than the persistence baseline" in captured.err
    assert "1.2 s" in captured.out


def test_statistics_are_those_of_the_labelled_trajectories(stores: list[Path], tmp_path: Path) -> None:
    words = [f"store={stores[0]}", "mode=scratch", "num_train_trajectories=3", "num_steps=2", f"out={tmp_path / 'run'}"]
    assert run("finetune", *words, *SMALL) == 0
    store, model = LatentStore.open(stores[0]), WorldModel.load(tmp_path / "run" / "model")
    train, _ = split(20, 0)
    expected = store.action_statistics(train[:3].tolist())
    torch.testing.assert_close(model.normalizer.mean, torch.tensor(expected.mean, dtype=torch.float32))


def test_the_split_is_that_of_data_sets_and_fewer_labels_are_some_of_more() -> None:
    train, held_out = split(20, 4)
    assert sorted([*train.tolist(), *held_out.tolist()]) == list(range(20))
    assert len(held_out) == 2
    assert train.tolist() == split_order(20, 4)[:18]
    with pytest.raises(ValueError, match="leaves none to hold out"):
        split(1, 0)


def test_killed_it_ends_with_the_same_weights(stores: list[Path], tmp_path: Path) -> None:
    words = ["finetune", f"store={stores[0]}", "mode=scratch", "num_steps=60", *SMALL, "grad_accum_steps=2"]
    assert run(*words, f"out={tmp_path / 'whole'}") == 0
    broken = [*words, f"out={tmp_path / 'broken'}"]
    process = subprocess.Popen([sys.executable, "-m", "wmcontrol", *broken], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (tmp_path / "broken" / "log.jsonl").exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert run(*broken) == 0
    one, other = weights(tmp_path / "whole" / "model"), weights(tmp_path / "broken" / "model")
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["mode=full"], "base"),
        (["mode=scratch", "num_train_trajectories=19"], naming("num_train_trajectories", 18, 19)),
        (["mode=half"], naming("mode", "'half'")),
        (["mode=scratch", "device=nowhere"], naming("device", "'nowhere'")),
        (["mode=scratch", "store=nowhere"], "nowhere"),
    ],
)
def test_mistakes_are_told_in_one_line(
    words: list[str], says: str, stores: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [] if any(word.startswith("store=") for word in words) else [f"store={stores[0]}"]
    assert run("finetune", *given, *words, f"out={tmp_path / 'out'}") in (1, 2)
    error = capsys.readouterr().err.strip()
    assert re.search(says, error)
    assert "\n" not in error
    assert not (tmp_path / "out" / "model").exists()


def test_two_runs_do_not_share_a_folder(
    stores: list[Path], base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [f"store={stores[0]}", f"base={base}", "num_steps=2", f"out={tmp_path}", *SMALL]
    with exclusive_lock(tmp_path):
        assert run("finetune", *words) == 1
    assert str(tmp_path) in capsys.readouterr().err
    assert run("finetune", *words) == 0


def test_actions_that_are_not_numbers_are_named(
    stores: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "store"
    shutil.copytree(stores[0], broken)
    arrays = dict(np.load(broken / "arrays.npz"))
    arrays["actions"][40] = np.nan
    np.savez(broken / "arrays.npz", **arrays)
    assert run("finetune", f"store={broken}", "mode=scratch", "num_steps=2", f"out={tmp_path / 'run'}", *SMALL) == 1
    told = capsys.readouterr().err
    assert "arrays.npz" in told
    assert "actions" in told
    assert "[40, 0]" in told


def test_stores_and_models_of_different_encoders_do_not_mix(
    stores: list[Path], base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("collect", "env=wall", "episodes=4", "frames=40", f"out={tmp_path / 'a'}") == 0
    words = [f"data={tmp_path / 'a'}", "fit_frames=100", "settings={num_components:16}", f"out={tmp_path / 'stores'}"]
    assert run("encode", *words) == 0
    (other,) = (path.parent for path in (tmp_path / "stores").glob("*/store.json"))
    capsys.readouterr()
    assert run("pretrain", f"stores={stores[0]},{other}", f"out={tmp_path / 'x'}") == 2
    assert "encoder" in capsys.readouterr().err
    assert run("finetune", f"store={other}", f"base={base}", f"out={tmp_path / 'y'}") == 2
    assert "encoder=MODEL" in capsys.readouterr().err
    assert run("encode", f"data={tmp_path / 'a'}", f"encoder={base}", f"out={tmp_path / 'again'}") == 0
    (fitting,) = (path.parent for path in (tmp_path / "again").glob("*/store.json"))
    assert run("finetune", f"store={fitting}", f"base={base}", "num_steps=1", *SMALL, f"out={tmp_path / 'y'}") == 0
