"""Heads, forecasts and surprise from the command line: the library's functions, told by keys."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import imageio.v3 as imageio
import numpy as np
import pytest
import torch
from naming import naming
from safetensors.torch import load_file

from wmcontrol import Predictor, PyramidEncoder, WorldModel
from wmcontrol.cli.main import main
from wmcontrol.data import open_dataset
from wmcontrol.forecasting import (
    DenseHead,
    HeadSettings,
    SurpriseProtocol,
    forecast,
    save_visualization,
    surprise,
    train_head,
    visualize,
)
from wmcontrol.forecasting.readers import GRASP, MaskedVideos
from wmcontrol.models import MaskedPredictor

SIDE, FRAMES = 16, 22
Captured = pytest.CaptureFixture[str]


def disc(row: int, column: float) -> Any:
    rows, columns = np.mgrid[:SIDE, :SIDE]
    return (rows - row) ** 2 + (columns - column) ** 2 < 9


def write(path: Path, places: list[tuple[int, float]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pictures = np.zeros((len(places), SIDE, SIDE, 3), np.uint8)
    for picture, place in zip(pictures, places, strict=True):
        picture[disc(*place)] = 255
    imageio.imwrite(path, pictures, fps=15, codec="libx264")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Videos with masks, films that can and cannot be, and a model."""
    image = pytest.importorskip("PIL.Image", reason="masks are read by the data extra")
    folder = tmp_path_factory.mktemp("forecasting")
    for row in (5, 10):
        places = [(row, t / 2) for t in range(FRAMES)]
        write(folder / f"videos/{row}.mp4", places)
        for frame in (0, 19, 21):
            mask = folder / f"videos/{row}/{frame}.png"
            mask.parent.mkdir(exist_ok=True)
            image.fromarray(disc(*places[frame]).astype(np.uint8)).save(mask)
        write(folder / f"films/P_Continuity/{row}.mp4", places)
        write(folder / f"films/IP_Continuity/{row}.mp4", [*places[:11], *((15 - row, c) for _, c in places[11:])])
    (folder / "videos/classes.json").write_text('["ground", "disc"]')
    encoder = PyramidEncoder(8, tokens=(4, 4))
    encoder.fit(torch.from_numpy(imageio.imread(folder / "videos/5.mp4")))
    torch.manual_seed(0)
    model = WorldModel(encoder, Predictor(8, 24, 1, 2), control_rate=15, frame_size=(SIDE, SIDE))
    model.save(folder / "model")
    return folder


@pytest.fixture(scope="module")
def head(folder: Path) -> Path:
    words = [f"clips.path={folder / 'videos'}", f"encoder.path={folder / 'model'}", f"out={folder / 'head'}"]
    assert main(["train_head", "clips=masked_videos", *words, "num_steps=20", "device=cpu", "batch_size=4"]) == 0
    return folder / "head"


def test_a_head_is_trained(folder: Path, head: Path) -> None:
    settings = HeadSettings(num_steps=20, batch_size=4)
    encoder = WorldModel.load(folder / "model").encoder
    result = train_head(MaskedVideos(folder / "videos"), encoder, settings=settings, device="cpu")
    weights = load_file(head / "head.safetensors")
    for name, value in result.head.state_dict().items():
        assert torch.equal(weights[name], value)


def test_forecasts_near_and_far(folder: Path, head: Path, capsys: Captured) -> None:
    words = ["clips=masked_videos", f"clips.path={folder / 'videos'}", f"model.path={folder / 'model'}", f"head={head}"]
    more = ["protocol={context_frames:2,step:6}", "far=true", f"out={folder / 'found'}", "device=cpu"]
    assert main(["forecast", *words, *more, "protocol.mid=2"]) == 0
    told = capsys.readouterr().out
    videos, model = MaskedVideos(folder / "videos"), WorldModel.load(folder / "model")
    protocol = type(videos.protocol)(context_frames=2, step=6, mid=2)
    found = forecast(model, DenseHead.load(head), videos, protocol=protocol)
    assert found.table() in told
    assert (folder / "found/forecast.md").read_text(encoding="utf-8") == found.table() + "\n"
    assert found.windows.tolist() == [2, 2]
    far = json.loads((folder / "found/how_far.json").read_text())["cases"]
    assert {(case["distance"], case["calls"]) for case in far} == {(d, c) for d in range(1, 14) for c in (1, 2, 3)}
    assert (folder / "found/how_far.png").exists()
    assert main(["forecast", *words, *more, "protocol.mid=1"]) == 2  # another run does not go into its folder
    assert re.search(naming("protocol.mid", 1, 2), capsys.readouterr().err)


def test_surprise(folder: Path, capsys: Captured) -> None:
    words = ["pairs=grasp", f"pairs.path={folder / 'films'}", "pairs.image_size=16", f"model.path={folder / 'model'}"]
    protocol = "protocol={frame_step:2,window:6,contexts:[2,3]}"
    assert main(["surprise", *words, protocol, f"out={folder / 'surprised'}", "device=cpu"]) == 0
    pairs = GRASP(folder / "films", image_size=16)
    given = SurpriseProtocol(frame_step=2, window=6, contexts=(2, 3))
    found = surprise(WorldModel.load(folder / "model"), pairs, protocol=given)
    assert found.table() in capsys.readouterr().out
    categories = json.loads((folder / "surprised/surprise.json").read_text())["categories"]
    assert [each["category"] for each in categories] == ["Continuity", "mean"]


def test_a_masked_predictor_is_trained_and_judged_as_any_model(folder: Path, head: Path, capsys: Captured) -> None:
    stores = [f"data.path={folder / 'videos'}", "encoder=saved", f"encoder.path={folder / 'model'}"]
    assert main(["encode", *stores, "data.image_size=16", f"out={folder / 'stores'}"]) == 0
    store = next((folder / "stores").glob("*/encoder.json")).parent
    training = ["num_steps=3", "num_frames=5", "step_seconds=[0.2,0.2]", "batch_size=4", "dtype=float32", "device=cpu"]
    sizes = ["predictor.width=24", "predictor.depth=1", "predictor.num_heads=2", "predictor.num_frames=3"]
    out = f"out={folder / 'masked'}"
    assert main(["pretrain", "predictor=masked", f"stores=[{store}]", *sizes, *training, out]) == 0
    model = WorldModel.load(folder / "masked/model")
    predictor = model.predictor
    assert isinstance(predictor, MaskedPredictor)
    assert (predictor.num_components, predictor.num_frames) == (3, 3)
    tokens = model.encode(torch.from_numpy(np.stack(MaskedVideos(folder / "videos")[0].frames[list(range(22))]))[None])
    assert torch.allclose(predictor.compared(tokens).flatten(0, 2).mean(0), torch.zeros(3), atol=1)
    given = [f"model.path={folder / 'masked/model'}", "device=cpu"]
    clips = ["clips=masked_videos", f"clips.path={folder / 'videos'}", f"head={head}"]
    assert main(["forecast", *given, *clips, f"out={folder / 'masked_found'}"]) == 0
    cases = json.loads((folder / "masked_found/forecast.json").read_text())["cases"]
    assert [case["calls"] for case in cases] == [1, 3]
    pairs = ["pairs=grasp", f"pairs.path={folder / 'films'}", "pairs.image_size=16"]
    protocol = "protocol={frame_step:3,window:6,contexts:[3,4]}"
    assert main(["surprise", *given, *pairs, protocol, f"out={folder / 'masked_surprised'}"]) == 0
    capsys.readouterr()
    with pytest.raises(ValueError, match=naming("frames", 3, 2)):
        surprise(model, GRASP(folder / "films", image_size=16), protocol=SurpriseProtocol(window=4, contexts=(2,)))


def staying(frames: Any, count: int) -> Any:
    return frames[-1:].repeat(count, 0)


def test_a_function_that_predicts_frames_is_judged_in_the_place_of_a_model(folder: Path, head: Path) -> None:
    baseline = ["baseline=frames", f"baseline.predict={__name__}.staying", f"baseline.encoder={folder / 'model'}"]
    clips = ["clips=masked_videos", f"clips.path={folder / 'videos'}", f"head={head}", "device=cpu"]
    assert main(["forecast", *baseline, *clips, f"out={folder / 'stays'}"]) == 0
    for case in json.loads((folder / "stays/forecast.json").read_text())["cases"]:
        assert case["model"] == case["copy_last"]
        assert case["error_of_copying"]["value"] == 1
    assert json.loads((folder / "stays/run.json").read_text())


def test_a_clip_is_drawn(folder: Path, capsys: Captured) -> None:
    words = [f"model.path={folder / 'model'}", f"data.path={folder / 'videos'}", "trajectory=1", "query=[1,2]"]
    more = ["num_frames=4", "context_frames=2", "step=3", "blocks=[0]", f"out={folder / 'looks'}", "device=cpu"]
    assert main(["visualize", *words, *more]) == 0
    assert capsys.readouterr().out.strip() == str(folder / "looks/visualization.html")
    names = {"attention.png", "tokens.mp4", "tokens.png", "visualization.html"}
    assert {path.name for path in (folder / "looks").iterdir()} == names


def test_a_decoder_is_fitted_and_draws_what_is_foreseen(folder: Path, capsys: Captured) -> None:
    data = f"data.path={folder / 'videos'}"
    assert main(["fit_decoder", f"base={folder / 'model'}", data, "num_frames=40", f"out={folder / 'seeing'}"]) == 0
    assert capsys.readouterr().out.endswith(f"{folder / 'seeing/model'}\n")
    model = WorldModel.load(folder / "seeing/model")
    found = visualize(model, open_dataset(folder / "videos", image_size=SIDE), num_frames=4, context_frames=2)
    assert model.decoder is not None
    assert found.decoded is not None
    np.testing.assert_array_equal(found.decoded, model.decoder(found.predicted).numpy())
    save_visualization(found, folder / "decoded")
    save_visualization(replace(found, decoded=None), folder / "plain")
    heights = [imageio.imread(folder / name / "tokens.png").shape[0] for name in ("plain", "decoded")]
    assert heights[1] > heights[0] + 100  # one more row


@pytest.mark.parametrize(
    ("words", "facts"),
    [
        (["visualize", "trajectory=2"], ("trajectory", 2)),
        (["visualize", "num_frames=40"], (22,)),
        (["visualize", "data.path=nowhere"], ("data", "nowhere")),
        (["forecast", "head=nowhere"], ("head", "nowhere/head.json", "train_head")),
        (["forecast", "protocol={steps:3}"], ("protocol", "steps", "step")),
        (["surprise", "protocol={windows:3}"], ("protocol", "windows", "window")),
        (["forecast", "protocol={step:0}"], ("protocol", "step", 0)),
        (["forecast", "clips.path=nowhere"], ("clips", "nowhere")),
        (["surprise", "protocol={way:up}"], ("protocol", "way", "up")),
        (
            ["surprise", "baseline=frames", "baseline.predict=a.b", "baseline.encoder=base", "model.path=null"],
            ("baseline", "predict", "a"),
        ),
        (["forecast", "baseline=vjepa", "model.path=null"], ("baseline.weights",)),
        (
            ["forecast", "baseline=frames", "baseline.predict=builtins.abs", "baseline.encoder=base"],
            ("model.path", "baseline"),
        ),
    ],
)
def test_mistakes_name_their_key(folder: Path, head: Path, words: list[str], facts: Any, capsys: Captured) -> None:
    good = [f"model.path={folder / 'model'}", "device=cpu", "out=never"]
    if words[0] == "visualize":
        good += [f"data.path={folder / 'videos'}"]
    elif words[0] == "forecast":
        good += ["clips=masked_videos", f"clips.path={folder / 'videos'}", f"head={head}"]
    else:
        good += ["pairs=grasp", f"pairs.path={folder / 'films'}"]
    assert main([words[0], *good, *words[1:]]) == 2
    assert re.search(naming(*facts), capsys.readouterr().err)
    assert not Path("never").exists()


def test_a_key_is_named_once(folder: Path, capsys: Captured) -> None:
    assert main(["forecast", "model=wall", "clips=masked_videos", f"clips.path={folder / 'videos'}", "out=never"]) == 2
    assert capsys.readouterr().err.startswith("wmcontrol forecast: model: expected one without actions")
