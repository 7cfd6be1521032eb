"""The recipe of the model of the scenes: it begins by copying, and goes on where it was."""

from pathlib import Path

import numpy as np
import pytest
import torch

from experiments.scenes import __main__ as command
from experiments.scenes.__main__ import ENCODERS, Recipe, encoder_of, make_tables
from experiments.scenes.start import start_by_copying
from experiments.scenes.trajectories import SceneTrajectories
from wmcontrol import PyramidEncoder, WorldModel
from wmcontrol.models import Predictor
from wmcontrol.scenes import SceneDataset


@pytest.mark.parametrize("step", [1 / 15, 0.2, 1 / 3])
def test_a_predictor_starts_by_copying_the_last_frame(step: float) -> None:
    torch.manual_seed(0)
    std, mean = torch.linspace(0.5, 8, 112), torch.linspace(-3, 3, 112)
    tokens = torch.randn(2, 4, 64, 112) * std + mean
    predictor = Predictor.from_size("tiny", dim=112)
    start_by_copying(predictor, tokens)
    with torch.no_grad():
        predicted = predictor(tokens, step * torch.arange(5).expand(2, 5), grid=(8, 8))
    assert float(((predicted - tokens) / std).abs().mean()) < 0.15
    # All blocks can learn from the first step on.
    predictor(tokens, step * torch.arange(5).expand(2, 5), grid=(8, 8)).square().mean().backward()
    assert all(float(block.attention.out.weight.grad.abs().max()) > 0 for block in predictor.blocks)


def test_a_predictor_that_cannot_copy_is_refused() -> None:
    with pytest.raises(ValueError, match="192"):
        start_by_copying(Predictor.from_size("tiny", dim=192), torch.zeros(2, 192))


def test_clips_are_trajectories() -> None:
    clips = SceneDataset(3, 4, image_size=16, num_frames=6, frame_rate=10.0)
    films = SceneTrajectories(clips)
    film = films[2]
    assert film.frames is not None
    np.testing.assert_array_equal(film.frames[[4, 1]], clips[2].frames[[4, 1]])
    np.testing.assert_allclose(film.times, clips[2].times)
    assert len(films) == 4
    assert films.fingerprint() != SceneTrajectories(SceneDataset(3, 4, image_size=16, num_frames=6)).fingerprint()


def test_the_recipe_makes_its_tables_and_trains_once(tmp_path: Path) -> None:
    recipe = Recipe(clips=3, steps=(2,), head_clips=2, head_steps=2, test_clips=1, pairs=5)
    encoder = PyramidEncoder(8, tokens=(2, 2))
    first, surprised = make_tables(recipe, [encoder], tmp_path)
    assert surprised.names == ["permanence", "continuity", "solidity", "gravity", "constancy"]
    assert {path.name for path in (tmp_path / "tables").iterdir()} >= {
        "forecast.md",
        "how_far.md",
        "how_far.png",
        "surprise.md",
    }
    weights = tmp_path / "predictor" / "model"
    before = {path: path.stat().st_mtime_ns for path in weights.iterdir()}
    again, _ = make_tables(recipe, [encoder], tmp_path)
    assert again.table() == first.table()
    assert {path: path.stat().st_mtime_ns for path in weights.iterdir()} == before


def test_one_command_chooses_encoder_resolutions_and_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "encoder_of", lambda name, side: PyramidEncoder(8, tokens=(side // 32, side // 32)))
    few = ["--clips=2", "--head-clips=2", "--head-steps=2", "--test-clips=1", "--pairs=1"]
    words = ["--encoder=pyramid", "--size=tiny", "--image-size", "32", "64", "--steps", "2", "1", *few]
    command.main([*words, f"--out={tmp_path}"])
    assert "permanence" in capsys.readouterr().out
    first, last = (WorldModel.load(tmp_path / name / "model") for name in ("predictor_1", "predictor"))
    assert (first.grid, last.grid) == ((1, 1), (2, 2))
    # The second goes on from the first, by one step.
    for one, other in zip(first.predictor.parameters(), last.predictor.parameters(), strict=True):
        assert float((one - other).abs().max()) < 1e-2
    with pytest.raises(ValueError, match=r"steps.*2 resolutions.*\(2,\)"):
        make_tables(Recipe(steps=(2,)), [PyramidEncoder(8)] * 2, tmp_path / "none")


@pytest.mark.parametrize("name", ENCODERS)
def test_encoders_of_the_recipe_have_a_token_for_16_pixels(name: str) -> None:
    encoder = encoder_of(name, 96)
    assert (encoder.grid(64, 64), encoder.dim < 192) == ((6, 6), True)
    with pytest.raises(ValueError, match=r"image_size.*100"):
        encoder_of(name, 100)
