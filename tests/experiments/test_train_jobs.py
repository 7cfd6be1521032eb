"""Pretraining and fine-tuning from the command line: the library's functions, told by keys."""

import re
from pathlib import Path

import pytest
import torch
from naming import naming
from safetensors.torch import load_file

from wmcontrol.data import LatentStore
from wmcontrol.experiments.cli import main
from wmcontrol.training import FinetuneSettings, finetune

SMALL = ["batch_size=16", "warmup_steps=2", "num_steps=3", "device=cpu"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    assert main(["collect", "env=wall", "episodes=20", "frames=40", f"out={folder / 'wall'}"]) == 0
    words = [f"data={folder / 'wall'}", "fit_frames=400", "settings={num_components:16}", f"out={folder / 'stores'}"]
    assert main(["encode", *words]) == 0
    (found,) = (folder / "stores").glob("*/store.json")
    return found.parent


def test_the_lines_give_what_the_functions_give(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["pretrain", f"stores={store}", "num_frames=4", *SMALL]) == 0
    base = Path(capsys.readouterr().out.splitlines()[-1])
    assert base.parent.parent == Path("outputs/pretrain")
    words = [f"store={store}", f"base={base}", "mode=action_only", "seed=1", "learning_rate=1", *SMALL]
    assert main(["finetune", *words, "out=tuned"]) == 0
    told = capsys.readouterr()
    settings = FinetuneSettings(batch_size=16, warmup_steps=2, num_steps=3, seed=1, learning_rate=1.0)
    result = finetune(LatentStore.open(store), base=base, mode="action_only", settings=settings, device="cpu")
    assert str(result.error) in told.out
    assert result.error.warning is not None  # at such a rate
    assert result.error.warning in told.err
    weights = load_file("tuned/model/model.safetensors")
    for name, value in result.model.state_dict().items():
        if name in weights:
            assert torch.equal(weights[name], value)
    assert main(["finetune", *words, "out=tuned"]) == 0  # finished, it tells the same again
    assert capsys.readouterr().out == told.out


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
    words: list[str], says: str, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [] if any(word.startswith("store=") for word in words) else [f"store={store}"]
    assert main(["finetune", *given, *words, f"out={tmp_path / 'out'}"]) in (1, 2)
    error = capsys.readouterr().err.strip()
    assert re.search(says, error)
    assert "\n" not in error
    assert not (tmp_path / "out").exists()
