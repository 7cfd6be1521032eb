"""Pretraining on stores of different kinds, mixed by weight, and in two stages of resolution."""

import json
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from wmcontrol import WorldModel
from wmcontrol.data import LatentStore
from wmcontrol.experiments.cli import main
from wmcontrol.training import Batch, ClipSource

SMALL = ["batch_size=8", "num_frames=3", "num_steps=2", "warmup_steps=1", "device=cpu"]


def write_disc(path: Path, start: int, size: int = 32, frames: int = 30) -> None:
    """A white disc that crosses a dark frame, 10 frames a second."""
    rows, columns = np.mgrid[:size, :size]
    pictures = np.zeros((frames, size, size, 3), np.uint8)
    for t in range(frames):
        near = (rows - start) ** 2 + (columns - t * size / frames) ** 2 < (size / 8) ** 2
        pictures[t][near] = 255
    imageio.imwrite(path, pictures, fps=10, codec="libx264")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A folder of videos, and trajectories of Wall."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "videos").mkdir()
    for i, start in enumerate((8, 16, 24)):
        write_disc(folder / "videos" / f"disc{i}.mp4", start)
    assert main(["collect", "env=wall", "episodes=10", "frames=40", f"out={folder / 'wall'}"]) == 0
    return folder / "videos", folder / "wall"


def encode(out: Path, *words: str) -> list[LatentStore]:
    """The stores of a folder, in the order of the data's lengths: videos come first."""
    assert main(["encode", *words, f"out={out}"]) == 0
    found = [LatentStore.open(path.parent) for path in out.glob("*/store.json")]
    return sorted(found, key=lambda store: len(store.tokens))


@pytest.fixture(scope="module")
def mixed(data: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> list[LatentStore]:
    words = [f"data={data[0]},{data[1]}", "image_size=32", "fit_frames=200", "settings={num_components:16}"]
    return encode(tmp_path_factory.mktemp("mixed"), *words)


def test_videos_and_trajectories_are_encoded_alike(mixed: list[LatentStore]) -> None:
    video, wall = mixed
    assert [len(video), len(wall)] == [3, 10]
    assert video.tokens.shape == (90, 1, 16)
    assert video.actions is None
    assert video.control_rate is None
    assert np.allclose(np.diff(video.times[:30]), 0.1)
    assert wall.actions is not None
    assert wall.control_rate == 10.0


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_videos_and_trajectories_train_one_base_by_weight(
    order: tuple[int, int], mixed: list[LatentStore], tmp_path: Path
) -> None:
    video, wall = mixed
    stores = ",".join(str(mixed[i].folder) for i in order)
    words = [f"stores={stores}", "weights=1,2", f"out={tmp_path / 'base'}", *SMALL]
    assert main(["pretrain", *words]) == 0
    base = WorldModel.load(tmp_path / "base" / "model")
    assert base.control_rate == 10.0  # that of the only store that has one, whichever comes first
    assert base.frame_size == (32, 32)
    assert np.isfinite(json.loads((tmp_path / "base" / "log.jsonl").read_text().splitlines()[-1])["loss"])
    tuning = [f"base={tmp_path / 'base' / 'model'}", "num_steps=2", "batch_size=8", "device=cpu"]
    assert main(["finetune", f"store={wall.folder}", *tuning, f"out={tmp_path / 'tuned'}"]) == 0
    assert main(["finetune", f"store={video.folder}", *tuning, f"out={tmp_path / 'not'}"]) == 1


def test_videos_alone_train_a_base(mixed: list[LatentStore], tmp_path: Path) -> None:
    assert main(["pretrain", f"stores={mixed[0].folder}", f"out={tmp_path}", *SMALL]) == 0
    assert WorldModel.load(tmp_path / "model").control_rate == pytest.approx(10.0)  # of the shortest step


def test_weights_decide_how_often_each_store_is_seen(
    mixed: list[LatentStore], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    draw = ClipSource.batch

    def watch(self: ClipSource, *given: int) -> Batch:
        batch = draw(self, *given)
        seen.extend(batch.names)
        return batch

    monkeypatch.setattr(ClipSource, "batch", watch)
    words = [f"stores={mixed[0].folder},{mixed[1].folder}", "weights=1,3", *SMALL, "batch_size=1024"]
    assert main(["pretrain", *words, f"out={tmp_path}"]) == 0
    share = np.mean([str(mixed[0].folder) in name for name in seen])
    assert 0.2 < share < 0.3


@pytest.fixture(scope="module")
def vit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A vision transformer of random weights, whose patches are 16 pixels wide."""
    transformers = pytest.importorskip("transformers", reason="the extra encoders is not installed")
    sizes = {"hidden_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 24}
    folder = tmp_path_factory.mktemp("vit")
    config = transformers.Dinov2Config(**sizes, mlp_ratio=1, image_size=64, patch_size=16)
    transformers.Dinov2Model(config).save_pretrained(folder)
    return folder


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "model" / "model.safetensors")


def test_a_second_stage_goes_on_at_twice_the_resolution(data: tuple[Path, Path], vit: Path, tmp_path: Path) -> None:
    settings = f"settings={{weights:'{vit}'}}"
    (low,) = encode(tmp_path / "low", f"data={data[1]}", "encoder=transformers", settings, "image_size=32")
    assert low.grid == (2, 2)
    assert main(["pretrain", f"stores={low.folder}", f"out={tmp_path / 'first'}", *SMALL]) == 0
    first = tmp_path / "first" / "model"
    # The same encoder, out of the model of the first stage.
    (high,) = encode(tmp_path / "high", f"data={data[1]}", f"encoder={first}", "image_size=64")
    assert high.grid == (4, 4)
    words = [f"stores={high.folder}", f"start={first}", f"out={tmp_path / 'second'}", *SMALL, "learning_rate=1e-9"]
    assert main(["pretrain", *words]) == 0
    second = WorldModel.load(tmp_path / "second" / "model")
    assert second.frame_size == (64, 64)
    before, after = weights(tmp_path / "first"), weights(tmp_path / "second")
    assert before.keys() == after.keys()
    for name in before:  # it began with the first stage's, and has hardly moved
        torch.testing.assert_close(before[name], after[name], rtol=0, atol=1e-6)
    tuning = [f"store={high.folder}", f"base={tmp_path / 'second' / 'model'}", "num_steps=1", "batch_size=4"]
    assert main(["finetune", *tuning, "device=cpu", f"out={tmp_path / 'tuned'}"]) == 0


def test_stores_of_two_resolutions_do_not_mix_in_one_stage(
    data: tuple[Path, Path], vit: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [f"data={data[1]}", "encoder=transformers", f"settings={{weights:'{vit}'}}"]
    (low,) = encode(tmp_path / "low", *words, "image_size=32")
    (high,) = encode(tmp_path / "high", *words, "image_size=64")
    assert main(["pretrain", f"stores={low.folder},{high.folder}", f"out={tmp_path / 'out'}", *SMALL]) == 1
    assert "stores must have tokens of one shape" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
