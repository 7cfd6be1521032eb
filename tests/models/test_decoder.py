"""Tokens drawn as pictures: exact where they say all, and no sharper than what they say."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from naming import naming
from torch import Tensor

from wmcontrol import Predictor, PyramidEncoder, WorldModel
from wmcontrol.data import ArrayDataset
from wmcontrol.models import FrameDecoder
from wmcontrol.training import fit_decoder


def noise(count: int, size: tuple[int, int], seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, *size, 3), dtype=torch.uint8, generator=generator)


def patches(frames: Tensor, grid: tuple[int, int]) -> Tensor:
    """Return the pixels of each patch, (N, P, numbers)."""
    count, height, width, _ = frames.shape
    split = frames.double().view(count, grid[0], height // grid[0], grid[1], width // grid[1], 3)
    return split.transpose(2, 3).reshape(count, grid[0] * grid[1], -1) / 255


def mixed(x: Tensor, seed: int = 1) -> Tensor:
    """Return an invertible linear map of the last axis, as a linear encoder makes."""
    size = x.shape[-1]
    matrix, _ = torch.linalg.qr(torch.randn(size, size, dtype=torch.float64, generator=torch.manual_seed(seed)))
    return (x @ matrix + 0.3).float()


@pytest.mark.parametrize("grid", [(1, 1), (2, 3)])
def test_frames_of_a_linear_encoder_come_back_exactly(grid: tuple[int, int]) -> None:
    size = (4, 6)
    pixels = noise(400, size)
    known = mixed(patches(pixels, grid))
    decoder = FrameDecoder(known.shape[-1], grid, size, (size[0] // grid[0], size[1] // grid[1]))
    assert decoder.fit(pixels, known) == pytest.approx(1, abs=1e-6)
    unseen = noise(50, size, seed=5)
    drawn = decoder(mixed(patches(unseen, grid)).view(5, 10, *known.shape[1:]))
    assert drawn.dtype == torch.uint8
    assert torch.equal(drawn.flatten(0, 1), unseen)


def test_a_patch_is_drawn_by_the_tokens_around_it_too() -> None:
    pixels, unseen = noise(600, (4, 6)), noise(20, (4, 6), seed=5)
    later = [mixed(patches(each, (2, 3))).view(-1, 2, 3, 12).roll(1, 2).flatten(1, 2) for each in (pixels, unseen)]
    decoder = FrameDecoder(12, (2, 3), (4, 6), (2, 2))
    decoder.fit(pixels, later[0])
    drawn = decoder(later[1]).int()
    assert (drawn - unseen.int()).abs()[:, :, :4].float().mean() < 8  # tokens say what is to the left of them
    assert (drawn - unseen.int()).abs()[:, :, 4:].float().mean() > 30  # and nobody what is at the right edge


def test_what_is_told_is_the_share_of_the_variance() -> None:
    pixels = noise(3000, (1, 2))
    flat = patches(pixels, (1, 1))
    varied = (flat - flat.mean(0)).square().sum((0, 1))
    told = FrameDecoder(2, (1, 1), (1, 2), (1, 2)).fit(pixels, flat[..., :2].float())
    assert told == pytest.approx(float(varied[:2].sum() / varied.sum()), abs=0.01)  # the numbers are independent


def test_a_still_background_is_sharp_and_what_moves_is_drawn_at_half_the_size() -> None:
    still = noise(1, (8, 8))[0]
    moved = still.repeat(64, 1, 1, 1)
    light = torch.linspace(0, 120, 64)
    moved[:, 2:6, 2:6] = light[:, None, None, None].to(torch.uint8)
    decoder = FrameDecoder(1, (1, 1), (8, 8), (4, 4))
    decoder.fit(moved, light[:, None, None])
    drawn = decoder(light[:, None, None])
    assert torch.equal(drawn[:, 0], moved[:, 0])
    assert torch.equal(drawn[:, :, 7], moved[:, :, 7])
    assert (drawn[:, 3, 3].int() - moved[:, 3, 3].int()).abs().max() <= 1


def test_what_does_not_fit_is_refused() -> None:
    decoder = FrameDecoder(3, (2, 2), (4, 4), (2, 2))
    with pytest.raises(ValueError, match=naming("tokens", 4, 3, 5)):
        decoder(torch.zeros(1, 4, 5))
    with pytest.raises(ValueError, match="frames"):
        decoder.fit(torch.zeros(9, 4, 4, 3, dtype=torch.uint8), torch.rand(9, 4, 3))
    with pytest.raises(ValueError, match=naming("grid", 3)):
        FrameDecoder(3, (2, 2, 3), (4, 4), (2, 2))


@pytest.fixture(scope="module")
def dots() -> ArrayDataset:
    """A bright square that moves over noise."""
    clips = []
    for row in range(6):
        clip = noise(1, (16, 16)).repeat(12, 1, 1, 1).numpy() // 2
        for t in range(12):
            clip[t, 2 * row : 2 * row + 4, t : t + 4] = 255
        clips.append(clip)
    return ArrayDataset(clips, control_rate=10)


def test_a_model_keeps_its_decoder(dots: ArrayDataset, tmp_path: Path) -> None:
    frames = torch.from_numpy(np.concatenate([np.asarray(each.frames) for each in dots]))
    encoder = PyramidEncoder(60, blurs=(1 / 16, 1 / 8))
    encoder.fit(frames)
    model = WorldModel(encoder, Predictor(60, 24, 1, 2), control_rate=10, frame_size=(16, 16))
    result = fit_decoder(model, dots, num_frames=72, shrink=1)
    assert result.explained > 0.9
    drawn = result.decoder(model.encode(frames[None])[0])
    wrong = (drawn.int() - frames.int()).double().square().mean()
    still = (frames.double().mean(0) - frames).square().mean()
    assert float(wrong / still) == pytest.approx(1 - result.explained, abs=0.02)
    model.decoder = result.decoder
    model.save(tmp_path / "model")
    again = WorldModel.load(tmp_path / "model")
    assert again.decoder is not None
    assert torch.equal(again.decoder(model.encode(frames[None])[0]), drawn)
    config = json.loads((tmp_path / "model/config.json").read_text(encoding="utf-8"))
    config["decoder"]["frame_size"] = [8, 16]
    (tmp_path / "model/config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(ValueError, match=naming("decoder", "frame_size", 8)):
        WorldModel.load(tmp_path / "model")
