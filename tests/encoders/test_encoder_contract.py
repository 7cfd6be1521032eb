"""One suite over every encoder: shapes, frozenness, errors, the registry."""

import copy
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from naming import naming
from torch import nn

from wmcontrol.encoders import (
    ENCODERS,
    Encoder,
    PyramidEncoder,
    build_encoder,
    encoder_name,
    register_encoder,
    registry,
)
from wmcontrol.models import Predictor, WorldModel

OF_TRANSFORMERS = ["dinov2", "dinov2_with_registers", "dinov3", "siglip_vision", "siglip", "siglip2", "ijepa"]
# name: (registered as, rows and columns of a frame of these pixels)
CASES = {
    "pyramid": ("pyramid", 20, 28, (1, 1)),
    "pyramid_grid": ("pyramid", 20, 28, (2, 3)),
    **dict.fromkeys(OF_TRANSFORMERS, ("transformers", 32, 48, (2, 3))),
    **dict.fromkeys(("dinov2", "dinov2_with_registers", "ijepa"), ("transformers", 28, 42, (2, 3))),
    "vjepa2": ("video", 32, 32, (2, 2)),
    "vjepa2_frames": ("video_frames", 32, 32, (2, 2)),
    "vae": ("vae", 32, 48, (2, 3)),
    "timm": ("timm", 32, 48, (2, 3)),
    "efficientnet_lite0": ("efficientnet_lite0", 32, 48, (2, 3)),
    "efficientnet_lite0_pooled": ("efficientnet_lite0", 64, 96, (2, 3)),
}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest, saved: Callable, frames: Callable) -> tuple[str, Encoder]:
    name = request.param
    if name.startswith("pyramid"):
        tokens = CASES[name][3]
        encoder: Encoder = PyramidEncoder(8, tokens=tokens, blurs=(1 / 12, 1 / 6))
        encoder.fit(frames(20, 20, 28))
    elif name == "timm":
        request.getfixturevalue("timm")
        weights = request.getfixturevalue("timm_weights")
        encoder = build_encoder("timm", {"model_name": "vit_tiny_patch16_224", "weights": str(weights)})
    elif CASES[name][0] == "efficientnet_lite0":
        request.getfixturevalue("efficientnet")
        encoder = build_encoder("efficientnet_lite0", {"pool": 2 if name.endswith("pooled") else 1})
    else:
        encoder = build_encoder(CASES[name][0], {"weights": str(saved(name.removesuffix("_frames")))})
    return name, encoder


@pytest.fixture
def clip(case: tuple[str, Encoder], frames: Callable) -> torch.Tensor:
    """Four frames; with tubelets they make two sets of tokens."""
    _, height, width, _ = CASES[case[0]]
    return frames(4, height, width)


def test_tokens_come_row_by_row_for_every_leading_shape(case: tuple[str, Encoder], clip: torch.Tensor) -> None:
    name, encoder = case
    _, height, width, grid = CASES[name]
    assert encoder.grid(height, width) == grid
    per_clip = (4 // encoder.tubelet, grid[0] * grid[1], encoder.dim)
    tokens = encoder(clip)
    assert tokens.shape == per_clip
    assert tokens.dtype == torch.float32
    assert torch.isfinite(tokens).all()
    near = {"rtol": 1e-4, "atol": 1e-5 * max(1.0, tokens.std().item())}
    batch = torch.stack([clip, clip.flip(0)]).expand(3, 2, *clip.shape)
    assert encoder(batch).shape == (3, 2, *per_clip)
    torch.testing.assert_close(encoder(batch)[1, 0], tokens, **near)
    assert encoder(batch[:, :0]).shape == (3, 0, *per_clip)
    if encoder.tubelet == 1:
        torch.testing.assert_close(encoder(clip[0]), tokens[0], **near)


def test_the_same_frames_give_the_same_tokens_and_others_do_not(case: tuple[str, Encoder], clip: torch.Tensor) -> None:
    encoder = case[1]
    assert torch.equal(encoder(clip), encoder(clip.clone()))
    assert torch.equal(encoder(clip), copy.deepcopy(encoder)(clip))
    assert not torch.allclose(encoder(clip), encoder(255 - clip), atol=1e-3)


def test_it_stays_frozen_when_its_parent_trains(case: tuple[str, Encoder], clip: torch.Tensor) -> None:
    encoder = case[1]
    before = encoder(clip)
    parent = nn.Sequential(encoder, nn.Linear(encoder.dim, 2))
    parent.train()
    encoder.train()
    assert not any(module.training for module in encoder.modules())
    assert not any(parameter.requires_grad for parameter in encoder.parameters())
    tokens = encoder(clip)
    assert torch.equal(tokens, before)
    assert not tokens.requires_grad
    # An ordinary tensor: what is computed from it learns.
    parent(clip).square().sum().backward()
    assert parent[1].weight.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in encoder.parameters())
    (tokens.requires_grad_() ** 2).sum().backward()


def test_half_precision_gives_nearly_the_same_tokens(case: tuple[str, Encoder], clip: torch.Tensor) -> None:
    encoder = case[1]
    exact = encoder(clip)
    half = copy.deepcopy(encoder).to(torch.bfloat16)
    tokens = half(clip)
    assert tokens.dtype == torch.bfloat16
    assert half(clip[:0] if encoder.tubelet == 1 else clip[None][:0]).dtype == torch.bfloat16
    error = (tokens.float() - exact).norm() / exact.norm()
    assert error < 0.05


def test_what_is_no_frame_is_refused(case: tuple[str, Encoder], clip: torch.Tensor) -> None:
    encoder = case[1]
    with pytest.raises(TypeError, match=r"torch\.uint8.*float32"):
        encoder(clip.float() / 255)
    with pytest.raises(TypeError, match="ndarray"):
        encoder(clip.numpy())
    with pytest.raises(ValueError, match="colours last"):
        encoder(clip.movedim(-1, -3))
    with pytest.raises(ValueError, match="colours last"):
        encoder(clip[0, 0])


def test_a_checkpoint_can_make_it_again(case: tuple[str, Encoder], clip: torch.Tensor) -> None:
    name, encoder = case
    assert encoder_name(encoder) == CASES[name][0]
    settings = json.loads(json.dumps(encoder.settings()))
    again = build_encoder(encoder_name(encoder), settings)
    assert again.settings() == encoder.settings()
    assert encoder.carries_weights == name.startswith("pyramid")
    if encoder.carries_weights:
        again.load_state_dict(encoder.state_dict())
    assert torch.equal(again(clip), encoder(clip))


def test_unknown_encoders_and_settings_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match=naming("'dino'", "'pyramid'", 'pip install "wmcontrol[encoders]"')):
        build_encoder("dino", {})
    with pytest.raises(ValueError, match=naming("'pyramid'", "'width'", "'num_components'")):
        build_encoder("pyramid", {"width": 3})
    with pytest.raises(ValueError, match=naming("'video'", "'weights'")):
        build_encoder("video", {})

    class Own(PyramidEncoder):
        pass

    with pytest.raises(ValueError, match="Own"):
        encoder_name(Own())
    assert set(ENCODERS) == {registered for registered, *_ in CASES.values()}


class Thumbnail(Encoder):
    """The frame itself, at a few samples."""

    def __init__(self, side: int = 4) -> None:
        super().__init__()
        self.side, self.dim = side, 3 * side * side

    def settings(self) -> dict:
        return {"side": self.side}

    def grid(self, height: int, width: int) -> tuple[int, int]:
        return 1, 1

    def _tokens(self, frames: torch.Tensor) -> torch.Tensor:
        rows = torch.arange(self.side) * frames.shape[1] // self.side
        columns = torch.arange(self.side) * frames.shape[2] // self.side
        return frames[:, rows][:, :, columns].flatten(1)[:, None].float() / 255


def test_an_encoder_of_ones_own_is_in_eval_mode_from_its_first_frame_on() -> None:
    class Normed(Thumbnail):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm1d(self.dim)

        def _tokens(self, frames: torch.Tensor) -> torch.Tensor:
            return self.norm(super()._tokens(frames).transpose(1, 2)).transpose(1, 2)

    encoder = Normed()
    frames = torch.randint(0, 256, (5, 8, 8, 3), dtype=torch.uint8)
    together = encoder(frames)
    assert torch.equal(encoder(frames[:1]), together[:1])
    assert encoder.norm.num_batches_tracked == 0


def test_an_encoder_without_weights_encodes_no_frames_too() -> None:
    tokens = Thumbnail(2)(torch.zeros(0, 8, 8, 3, dtype=torch.uint8))
    assert tokens.shape == (0, 1, 12)
    assert tokens.dtype == torch.float32


def test_an_encoder_of_ones_own_is_named_in_files_once_it_is_registered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "_registered", {})
    model = WorldModel(Thumbnail(3), Predictor(27, 24, 1, 2), control_rate=10)
    with pytest.raises(ValueError, match=naming("Thumbnail", "register_encoder")):
        model.save(tmp_path / "model")
    assert register_encoder(Thumbnail) is Thumbnail
    assert register_encoder(Thumbnail) is Thumbnail
    model.save(tmp_path / "model")
    frames = torch.randint(0, 256, (2, 1, 64, 64, 3), dtype=torch.uint8)
    loaded = WorldModel.load(tmp_path / "model", dtype=torch.float32)
    assert torch.equal(loaded.encode(frames), model.encode(frames))
    registry._registered.clear()
    with pytest.raises(ValueError, match="'Thumbnail'"):
        WorldModel.load(tmp_path / "model")


def test_names_that_are_taken_and_what_is_no_encoder_are_not_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", {})
    register_encoder(Thumbnail)
    for name in ("Thumbnail", "pyramid"):
        with pytest.raises(ValueError, match=f"'{name}'"):
            register_encoder(type(name, (Thumbnail,), {}))
    for wrong in (Thumbnail(), int, "Thumbnail"):
        with pytest.raises(TypeError, match="a class of encoders"):
            register_encoder(wrong)


def test_importing_encoders_brings_in_nothing_heavy() -> None:
    heavy = ["transformers", "timm", "diffusers", "torchvision", "huggingface_hub", "efficientnet_lite_pytorch"]
    code = f"import sys, wmcontrol.encoders; print([m for m in {heavy} if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("name", "settings", "library"),
    [
        ("transformers", {"weights": "a/b"}, "transformers"),
        ("video", {"weights": "a/b"}, "transformers"),
        ("timm", {"model_name": "vit"}, "timm"),
        ("vae", {"weights": "a/b"}, "diffusers"),
        ("efficientnet_lite0", {}, "efficientnet_lite_pytorch"),
    ],
)
def test_a_missing_extra_is_an_error_with_the_command(
    name: str, settings: dict, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ImportError, match=r'pip install "wmcontrol\['):
        build_encoder(name, settings)
