"""V-JEPA 2's own encoder and predictor, of the real class with random weights."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from naming import naming
from squares import SIDE, Squares
from torch.nn.functional import layer_norm

from wmcontrol.encoders import VideoFrameEncoder
from wmcontrol.forecasting import Case, Film, ForecastProtocol, HeadSettings, SurpriseProtocol, forecast, train_head
from wmcontrol.forecasting.baselines import VJEPA
from wmcontrol.forecasting.surprises import window_surprise

transformers = pytest.importorskip("transformers", reason="the extra encoders is not installed")
if not hasattr(transformers, "VJEPA2Model"):
    pytest.skip("this release of transformers has no V-JEPA 2", allow_module_level=True)
MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of tubelets of 2 frames and 2 by 2 patches."""
    sizes = {"hidden_size": 24, "num_attention_heads": 2, "num_hidden_layers": 1, "mlp_ratio": 2.0}
    predictor = {"pred_hidden_size": 24, "pred_num_attention_heads": 2, "pred_num_hidden_layers": 1}
    config = transformers.VJEPA2Config(**sizes, **predictor, crop_size=SIDE, patch_size=8, frames_per_clip=4)
    torch.manual_seed(0)
    model = transformers.VJEPA2Model(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
    path = tmp_path_factory.mktemp("vjepa")
    model.save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def real(folder: Path) -> Any:
    return transformers.VJEPA2Model.from_pretrained(folder).eval().requires_grad_(False)


def encoded(real: Any, frames: np.ndarray) -> torch.Tensor:
    """Tokens (U * 4, 24) of a clip (T, height, width, 3)."""
    pixels = ((torch.from_numpy(frames) / 255 - MEAN) / STD).permute(0, 3, 1, 2)
    return real(pixels[None], skip_predictor=True).last_hidden_state[0]


def foreseen(real: Any, frames: np.ndarray, count: int) -> torch.Tensor:
    """Tokens (count, 4, 24) of the tubelets after a clip."""
    given = encoded(real, frames)[None]
    context = torch.arange(given.shape[1])[None]
    target = given.shape[1] + torch.arange(4 * count)[None]
    found = real.predictor(given, context_mask=[context], target_mask=[target]).last_hidden_state
    return found.view(count, 4, 24)


def test_single_frames_are_doubled_and_their_tokens_normalised(folder: Path, real: Any) -> None:
    frames = Squares("depth")[0].frames[:3]
    found = VideoFrameEncoder(folder)(torch.from_numpy(frames))
    expected = torch.stack([layer_norm(encoded(real, frame[None].repeat(2, 0)), (24,)) for frame in frames])
    assert torch.allclose(found, expected, atol=1e-5)
    assert torch.allclose(found.var(-1, correction=0), torch.ones(3, 4), atol=1e-3)


def test_forecasts_are_the_tubelet_in_which_a_frame_is(folder: Path, real: Any) -> None:
    videos = Squares("segmentation", 2, labelled=[11])
    vjepa = VJEPA(folder)
    head = train_head(videos, vjepa.encoder, settings=HeadSettings(num_steps=3), device="cpu").head
    protocol = ForecastProtocol(context_frames=4, step=1, target=11)
    cases = [Case("short", 1, 1), Case("same", 2, 2), Case("mid", 3, 3), Case("far", 3, 1)]
    found = forecast(vjepa, head, videos, protocol=protocol, cases=cases, batch=1)
    for case in cases:
        tubelet = (case.distance - 1) // 2  # after the two that are seen
        wrong = []
        for video in videos:
            last = 11 - case.distance
            guess = foreseen(real, video.frames[last - 3 : last + 1], tubelet + 1)[tubelet]
            true = layer_norm(encoded(real, video.frames[[11, 11]]), (24,))
            wrong.append(float((guess - true).abs().mean()))
        assert found.token_error("model", case.name).value == pytest.approx(np.mean(wrong), rel=1e-4)
    assert found.score("model", "short").value >= 0
    odd = ForecastProtocol(context_frames=5, step=1, target=11)  # the first is left out
    again = forecast(vjepa, None, videos, protocol=odd, cases=cases)
    assert again.token_error("model", "mid").value == pytest.approx(found.token_error("model", "mid").value, rel=1e-5)


@pytest.mark.parametrize("seen", [2, 3])
def test_surprise_is_measured_against_the_window_as_a_clip(seen: int, folder: Path, real: Any) -> None:
    frames = np.random.default_rng(0).integers(256, size=(6, SIDE, SIDE, 3), dtype=np.uint8)
    protocol = SurpriseProtocol(window=6, frame_step=1, contexts=(seen,))
    found = window_surprise(VJEPA(folder), Film("noise", frames, np.arange(6) / 10), protocol)
    start = seen % 2  # with 3 seen, tubelets are of frames 1 and 2, 3 and 4, and 5, which is repeated
    clip = frames if start == 0 else np.concatenate([frames[1:], frames[-1:]])
    true = layer_norm(encoded(real, clip), (24,)).view(3, 4, 24)
    guess = foreseen(real, frames[start:seen], 2)
    weights = torch.tensor([2, 2] if start == 0 else [2, 1])  # frames in each tubelet
    errors = ((guess - true[1:]).abs().mean((1, 2)) * weights).sum() / weights.sum()
    assert found[0, 0] == pytest.approx(float(errors), rel=1e-4)


def test_wrong_folders_times_and_too_few_frames_are_named(folder: Path, tmp_path: Path) -> None:
    videos = Squares("depth", 1)
    with pytest.raises(ValueError, match=naming("frames", 1)):
        forecast(VJEPA(folder), None, videos, protocol=ForecastProtocol(context_frames=1, step=1, target=9))
    protocol = ForecastProtocol(context_frames=2, step=2, target=9)
    with pytest.raises(ValueError, match=naming(0.2, 0.3)):
        forecast(VJEPA(folder), None, videos, protocol=protocol, cases=[Case("between", 3, 1)])
    with pytest.raises(OSError, match=naming(tmp_path, "config.json")):
        VJEPA(tmp_path)
    model = transformers.VJEPA2Model.from_pretrained(folder)
    tensors = {name: value for name, value in model.state_dict().items() if not name.startswith("predictor.")}
    model.save_pretrained(tmp_path / "half", state_dict=tensors)
    with pytest.raises(OSError, match=naming("VJEPA2Model", "predictor")):
        VJEPA(tmp_path / "half")
