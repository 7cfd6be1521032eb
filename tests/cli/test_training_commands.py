"""Pretraining and fine-tuning from the command line: the library's functions, told by keys."""

import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest
import torch
from naming import naming
from safetensors.torch import load_file
from tracked import curves

from wmcontrol import WorldModel
from wmcontrol.cli.main import main
from wmcontrol.data import LatentStore
from wmcontrol.models import PlanningSettings
from wmcontrol.runs import read_run
from wmcontrol.training import FinetuneSettings, PriorSettings, finetune, fit_prior

SMALL = ["batch_size=16", "warmup_steps=2", "num_steps=3", "device=cpu"]
CLIPS = ["batch_size=8", "num_frames=3", "num_steps=2", "warmup_steps=1", "device=cpu"]
Captured = pytest.CaptureFixture[str]


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
    words = ["num_episodes=20", "policy.num_frames=40", f"out={folder / 'wall'}"]
    assert main(["collect", "env=wall", *words]) == 0
    return folder / "videos", folder / "wall"


def encode(out: Path, *words: str) -> list[LatentStore]:
    """The stores of a folder, in the order of the data's lengths: videos come first."""
    assert main(["encode", *words, f"out={out}"]) == 0
    found = [LatentStore.open(path.parent) for path in out.glob("*/store.json")]
    return sorted(found, key=lambda store: len(store.tokens))


@pytest.fixture(scope="module")
def mixed(data: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> list[LatentStore]:
    words = [f"data.path=[{data[0]},{data[1]}]", "data.image_size=32", "fit_frames=200", "encoder.num_components=16"]
    return encode(tmp_path_factory.mktemp("mixed"), *words)


@pytest.fixture(scope="module")
def store(mixed: list[LatentStore]) -> Path:
    return mixed[1].folder


def test_the_lines_give_what_the_functions_give(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
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
    assert main(["finetune", *words, "out=tuned", "seed=2"]) == 2  # another run does not go into its folder
    assert re.search(naming("tuned", "seed", 1, 2), capsys.readouterr().err)


def test_what_suits_planning_is_saved_with_the_model(store: Path, tmp_path: Path, capsys: Captured) -> None:
    words = [f"store={store}", "mode=scratch", *SMALL, f"out={tmp_path / 'run'}"]
    keys = ["planning.metric=l2", "planning.standardize=0.5", "planning.context_frames=2", "planning.metric_steps=0.9"]
    assert main(["finetune", *words, *keys]) == 0
    found = WorldModel.load(tmp_path / "run" / "model").planning
    assert found == PlanningSettings(metric="l2", standardize=0.5, context_frames=2, metric_steps=0.9)
    told = capsys.readouterr().out
    measured = json.loads((tmp_path / "run" / "result.json").read_text())["context_frames"]
    assert re.search(
        naming(f"{measured} frames", "context_frames=2"), told
    )  # what was measured is told from what is set
    on = [f"store={store}", f"base={tmp_path / 'run' / 'model'}", *SMALL]
    assert main(["finetune", *on, f"out={tmp_path / 'on'}"]) == 0
    assert WorldModel.load(tmp_path / "on" / "model").planning == found
    assert main(["finetune", *on, "planning.context_frames=1", "planning.horizon=4", f"out={tmp_path / 'other'}"]) == 0
    assert WorldModel.load(tmp_path / "other" / "model").planning == replace(found, context_frames=1, horizon=4)
    capsys.readouterr()
    assert main(["finetune", *words[:-1], "planning.metric=l3", f"out={tmp_path / 'not'}"]) == 2
    assert re.search(naming("metric", "'l3'", "'l2'"), capsys.readouterr().err)
    assert not (tmp_path / "not").exists()


def test_a_prior_is_fitted(store: Path, tmp_path: Path, capsys: Captured) -> None:
    assert main(["finetune", f"store={store}", "mode=scratch", *SMALL, f"out={tmp_path / 'run'}"]) == 0
    words = [f"store={store}", f"base={tmp_path / 'run' / 'model'}", "num_steps=3", "width=16", "seed=1", "device=cpu"]
    capsys.readouterr()
    assert main(["fit_prior", *words, f"out={tmp_path / 'prior'}"]) == 0
    told = capsys.readouterr().out
    settings = PriorSettings(num_steps=3, width=16, seed=1)
    result = fit_prior(store, base=tmp_path / "run" / "model", settings=settings, device="cpu")
    assert f"{result.error:.3f}" in told
    assert f"{result.mean_action_error:.3f}" in told
    weights = load_file(tmp_path / "prior" / "model" / "model.safetensors")
    assert result.model.prior is not None
    for name, value in result.model.prior.state_dict().items():
        assert torch.equal(weights[f"prior.{name}"], value)
    assert main(["fit_prior", *words, f"out={tmp_path / 'prior'}"]) == 0  # finished, it tells the same again
    assert capsys.readouterr().out == told
    assert main(["fit_prior", *words, "width=17", f"out={tmp_path / 'prior'}"]) == 2
    assert re.search(naming("width", 16, 17), capsys.readouterr().err)


def test_steps_to_go_are_fitted(store: Path, tmp_path: Path, capsys: Captured) -> None:
    assert main(["finetune", f"store={store}", "mode=scratch", *SMALL, f"out={tmp_path / 'run'}"]) == 0
    words = [f"store={store}", f"base={tmp_path / 'run' / 'model'}", "num_steps=3", "width=16", "device=cpu"]
    words += ["num_landmarks=4", "max_steps=2", f"out={tmp_path / 'far'}"]
    capsys.readouterr()
    assert main(["fit_steps_to_go", *words]) == 0
    told = capsys.readouterr().out
    model = WorldModel.load(tmp_path / "far" / "model")
    assert model.steps_to_go is not None
    assert model.steps_to_go.settings()["width"] == 16
    assert model.landmarks is not None
    assert re.search(naming("4 landmarks", len(model.landmarks.edges)), told)
    assert (tmp_path / "far" / "calibration.png").read_bytes()[1:4] == b"PNG"
    assert str(tmp_path / "far" / "calibration.png") in told
    assert main(["fit_steps_to_go", *words]) == 0  # finished, it tells the same again
    assert capsys.readouterr().out == told


def test_a_temporal_embedding_is_fitted_and_planned_by(store: Path, tmp_path: Path, capsys: Captured) -> None:
    assert main(["finetune", f"store={store}", "mode=scratch", *SMALL, f"out={tmp_path / 'run'}"]) == 0
    words = [f"store={store}", f"base={tmp_path / 'run' / 'model'}", "num_steps=3", "width=16", "device=cpu"]
    words += ["batch_size=8", "max_steps=2", f"out={tmp_path / 'far'}"]
    capsys.readouterr()
    assert main(["fit_temporal_embedding", *words]) == 0
    told = capsys.readouterr().out
    model = WorldModel.load(tmp_path / "far" / "model")
    assert model.temporal_embedding is not None
    assert model.temporal_embedding.settings()["width"] == 16
    result = json.loads((tmp_path / "far" / "result.json").read_text())
    assert re.search(naming("8 frames", f"{result['error']:.3f}", "2.079", f"{result['accuracy']:.1%}"), told)
    assert main(["fit_temporal_embedding", *words]) == 0  # finished, it tells the same again
    assert capsys.readouterr().out == told
    judged = ["evaluate", f"model.path={tmp_path / 'far' / 'model'}", "env=wall", "protocol=mpc", "budget=5"]
    search = ["planner=random_shooting", "planner.num_samples=4", "num_tasks=1", "videos=0"]
    by_time = ["objective=temporal_distance", "objective.steps=mean"]
    assert main([*judged, *search, *by_time, f"out={tmp_path / 'found'}"]) == 0
    report = json.loads((tmp_path / "found" / "report.json").read_text())
    objective = report["settings"][0]["about"]["agent"]["objective"]
    assert (objective["type"], objective["steps"]) == ("TemporalDistance", "mean")
    assert objective["embedding"]["type"] == "TemporalEmbedding"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["mode=full"], "base"),
        (["mode=scratch", "num_train_trajectories=19"], naming("num_train_trajectories", 18, 19)),
        (["mode=half"], naming("mode", "half", "action_only")),
        (["mode=scratch", "device=nowhere"], naming("device", "'nowhere'")),
        (["mode=scratch", "store=nowhere"], "nowhere"),
        (["mode=scratch", "num_steps=0"], naming("num_steps", 0)),
    ],
)
def test_mistakes_are_told_in_one_line(
    words: list[str], says: str, store: Path, tmp_path: Path, capsys: Captured
) -> None:
    given = [] if any(word.startswith("store=") for word in words) else [f"store={store}"]
    assert main(["finetune", *given, *words, f"out={tmp_path / 'out'}"]) in (1, 2)
    error = capsys.readouterr().err.strip()
    assert re.search(says, error)
    assert "\n" not in error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["weights=[1]"], naming("weights", 2)),
        (["step_seconds=[0.1,0.2,0.3]"], naming("step_seconds", 0.3)),
        (["weights=1"], naming("weights", 2)),
        (["device=nowhere"], naming("device", "'nowhere'")),
        (["start=nowhere"], "nowhere"),
    ],
)
def test_mistakes_in_pretraining_are_told_in_one_line(
    words: list[str], says: str, mixed: list[LatentStore], tmp_path: Path, capsys: Captured
) -> None:
    stores = f"stores=[{mixed[0].folder},{mixed[1].folder}]"
    assert main(["pretrain", stores, *CLIPS, *words, f"out={tmp_path / 'out'}"]) in (1, 2)
    error = capsys.readouterr().err.strip()
    assert re.search(says, error)
    assert "\n" not in error
    assert not (tmp_path / "out").exists()


def test_videos_and_trajectories_are_encoded_alike(mixed: list[LatentStore]) -> None:
    video, wall = mixed
    assert [len(video), len(wall)] == [3, 20]
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
    words = [f"stores=[{stores}]", "weights=[1,2]", f"out={tmp_path / 'base'}", *CLIPS]
    assert main(["pretrain", *words]) == 0
    assert read_run(tmp_path / "base")["settings"]["weights"] == [1, 2]
    base = WorldModel.load(tmp_path / "base" / "model")
    assert base.control_rate == 10.0  # that of the only store that has one, whichever comes first
    assert base.frame_size == (32, 32)
    assert np.isfinite(json.loads((tmp_path / "base" / "log.jsonl").read_text().splitlines()[-1])["loss"])
    tuning = [f"base={tmp_path / 'base' / 'model'}", "num_steps=2", "batch_size=8", "device=cpu"]
    assert main(["finetune", f"store={wall.folder}", *tuning, f"out={tmp_path / 'tuned'}"]) == 0
    assert main(["finetune", f"store={video.folder}", *tuning, f"out={tmp_path / 'not'}"]) == 2


def test_videos_alone_train_a_base(mixed: list[LatentStore], tmp_path: Path) -> None:
    assert main(["pretrain", f"stores={mixed[0].folder}", f"out={tmp_path}", *CLIPS]) == 0
    assert WorldModel.load(tmp_path / "model").control_rate == pytest.approx(10.0)  # of the shortest step


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


@pytest.mark.long
def test_a_second_stage_goes_on_at_twice_the_resolution_and_the_two_do_not_mix(
    data: tuple[Path, Path], vit: Path, tmp_path: Path, capsys: Captured
) -> None:
    words = [f"data.path={data[1]}", "encoder=transformers", f"encoder.weights={vit}", "data.image_size=32"]
    (low,) = encode(tmp_path / "low", *words)
    assert low.grid == (2, 2)
    # A folder of transformers is known by itself: the store is there already.
    words = [f"data.path={data[1]}", "encoder=saved", f"encoder.path={vit}", "data.image_size=32"]
    assert [store.folder for store in encode(tmp_path / "low", *words)] == [low.folder]
    assert main(["pretrain", f"stores={low.folder}", f"out={tmp_path / 'first'}", *CLIPS]) == 0
    first = tmp_path / "first" / "model"
    # The same encoder, out of the model of the first stage.
    words = [f"data.path={data[1]}", "encoder=saved", f"encoder.path={first}", "data.image_size=64"]
    (high,) = encode(tmp_path / "high", *words)
    assert high.grid == (4, 4)
    words = [f"stores={high.folder}", f"start={first}", f"out={tmp_path / 'second'}", *CLIPS, "learning_rate=1e-9"]
    assert main(["pretrain", *words]) == 0
    second = WorldModel.load(tmp_path / "second" / "model")
    assert second.frame_size == (64, 64)
    before, after = weights(tmp_path / "first"), weights(tmp_path / "second")
    assert before.keys() == after.keys()
    for name in before:  # it began with the first stage's, and has hardly moved
        torch.testing.assert_close(before[name], after[name], rtol=0, atol=1e-6)
    tuning = [f"store={high.folder}", f"base={tmp_path / 'second' / 'model'}", "num_steps=1", "batch_size=4"]
    assert main(["finetune", *tuning, "device=cpu", f"out={tmp_path / 'tuned'}"]) == 0

    capsys.readouterr()
    assert main(["pretrain", f"stores=[{low.folder},{high.folder}]", f"out={tmp_path / 'out'}", *CLIPS]) == 2
    assert "stores must have tokens of one shape" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_run_shows_in_tensorboard_what_is_in_its_log(store: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    words = [f"store={store}", "mode=scratch", *SMALL, "tracker=tensorboard", f"out={tmp_path / 'run'}"]
    assert main(["finetune", *words]) == 0
    expected: dict[str, list[tuple[int, float]]] = {}
    for line in map(json.loads, (tmp_path / "run" / "log.jsonl").read_text().splitlines()):
        step = line.pop("step")
        for name, value in line.items():
            several = {f"{name}/{i + 1}": x for i, x in enumerate(value)} if isinstance(value, list) else {name: value}
            for tag, number in several.items():
                expected.setdefault(tag, []).append((step, pytest.approx(number, rel=1e-5)))
    assert {"loss", "rate", "relative_error/1", "relative_error/5"} <= set(expected)
    assert curves(tmp_path / "run" / "tensorboard") == expected
    assert main(["finetune", *words]) == 0  # a rerun adds nothing
    assert curves(tmp_path / "run" / "tensorboard") == expected


@pytest.mark.parametrize("command", ["pretrain", "finetune"])
def test_without_the_package_it_says_what_to_install_before_it_starts(
    command: str, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)  # as if it were not there
    data = f"store{'s' if command == 'pretrain' else ''}={store}"
    mode = ["mode=scratch"] if command == "finetune" else []
    assert main([command, data, *mode, "tracker=tensorboard", f"out={tmp_path / 'run'}"]) == 1
    assert 'pip install "wmcontrol[track]"' in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_tensorboard_is_written_only_when_asked_for(store: Path, tmp_path: Path) -> None:
    words = [f"store={store}", "mode=scratch", "num_steps=1", "batch_size=16", "device=cpu", f"out={tmp_path / 'run'}"]
    assert main(["finetune", *words]) == 0
    assert (tmp_path / "run" / "log.jsonl").exists()
    assert not (tmp_path / "run" / "tensorboard").exists()
