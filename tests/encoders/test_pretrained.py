"""Encoders of transformers, timm and diffusers give what the models give, of small models with random weights."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from naming import naming

from wmcontrol.encoders import TimmEncoder, TransformersEncoder, VAEEncoder, VideoEncoder
from wmcontrol.encoders.files import published_encoder

IMAGENET = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])
# name: (class in transformers, patch, tokens before the patches, constants)
MODELS = {
    "dinov2": ("Dinov2Model", 14, 1, IMAGENET),
    "dinov2_with_registers": ("Dinov2WithRegistersModel", 14, 5, IMAGENET),
    "dinov3": ("DINOv3ViTModel", 16, 5, IMAGENET),
    "siglip_vision": ("SiglipVisionModel", 16, 0, np.full((2, 3), 0.5)),
    "ijepa": ("IJepaModel", 14, 0, IMAGENET),
}


def normalised(frames: torch.Tensor, constants: np.ndarray = IMAGENET) -> torch.Tensor:
    """Frames (…, H, W, 3) as a model takes them, (…, 3, H, W), computed in float64."""
    pixels = (frames.numpy() / 255 - constants[0]) / constants[1]
    return torch.from_numpy(np.moveaxis(pixels, -1, -3)).float()


# 4 by 4 patches is what the models were made for.
@pytest.mark.parametrize("grid", [(4, 4), (2, 2), (6, 6), (3, 5), (2, 8)])
@pytest.mark.parametrize("name", MODELS)
def test_patch_tokens_are_those_of_the_model(
    name: str, grid: tuple[int, int], saved: Callable, frames: Callable
) -> None:
    transformers = pytest.importorskip("transformers")
    class_name, patch, prefix, constants = MODELS[name]
    encoder = TransformersEncoder(saved(name))
    seen = frames(2, grid[0] * patch, grid[1] * patch)
    model = getattr(transformers, class_name).from_pretrained(saved(name)).eval()
    arguments = {"interpolate_pos_encoding": True} if prefix == 0 else {}
    with torch.no_grad():
        expected = model(pixel_values=normalised(seen, constants), **arguments).last_hidden_state
    assert expected.shape[1] == prefix + grid[0] * grid[1]
    assert encoder.grid(*seen.shape[1:3]) == grid
    torch.testing.assert_close(encoder(seen), expected[:, prefix:], atol=2e-5, rtol=1e-4)


def test_the_vision_part_of_siglip_is_taken_out_of_files_with_text(saved: Callable, frames: Callable) -> None:
    transformers = pytest.importorskip("transformers")
    seen = frames(2, 64, 64)
    whole = transformers.SiglipModel.from_pretrained(saved("siglip")).eval()
    with torch.no_grad():
        expected = whole.vision_model(normalised(seen, np.full((2, 3), 0.5))).last_hidden_state
    torch.testing.assert_close(TransformersEncoder(saved("siglip"))(seen), expected, atol=2e-5, rtol=1e-4)


def test_naflex_models_get_their_patches_in_order(saved: Callable, frames: Callable) -> None:
    transformers = pytest.importorskip("transformers")
    seen = frames(2, 48, 80)
    model = transformers.Siglip2VisionModel.from_pretrained(saved("siglip2")).eval()
    # As in transformers' image_processing_siglip2.convert_image_to_patches.
    patches = normalised(seen, np.full((2, 3), 0.5)).reshape(2, 3, 3, 16, 5, 16).permute(0, 2, 4, 3, 5, 1)
    with torch.no_grad():
        expected = model(
            pixel_values=patches.reshape(2, 15, -1),
            pixel_attention_mask=torch.ones(2, 15, dtype=torch.int32),
            spatial_shapes=torch.tensor([[3, 5]] * 2),
        ).last_hidden_state
    torch.testing.assert_close(TransformersEncoder(saved("siglip2"))(seen), expected, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("side", [32, 64])
def test_clips_are_encoded_by_tubelets(side: int, saved: Callable, frames: Callable) -> None:
    transformers = pytest.importorskip("transformers")
    encoder = VideoEncoder(saved("vjepa2"), image_size=side)
    seen = frames(3, 6, side, side)
    model = transformers.VJEPA2Model.from_pretrained(saved("vjepa2"), crop_size=side).eval()
    with torch.no_grad():
        expected = model(normalised(seen), skip_predictor=True).last_hidden_state
    tokens = encoder(seen)
    assert tokens.shape == (3, 3, (side // 16) ** 2, 48)
    torch.testing.assert_close(tokens.flatten(1, 2), expected, atol=2e-5, rtol=1e-4)
    # A later tubelet changes what is said of an earlier one.
    assert not torch.allclose(encoder(seen[:, :2]), tokens[:, :1], atol=1e-3)


def test_clips_that_do_not_fit_the_tubelet_or_the_model_are_refused(saved: Callable, frames: Callable) -> None:
    encoder = VideoEncoder(saved("vjepa2"))
    with pytest.raises(ValueError, match=naming(2, 3)):
        encoder(frames(3, 32, 32))
    with pytest.raises(ValueError, match=naming(2, 0)):
        encoder(frames(0, 32, 32))
    with pytest.raises(ValueError, match=naming("32 by 32", "48 by 48", "image_size")):
        encoder(frames(4, 48, 48))
    with pytest.raises(ValueError, match="height, width"):
        encoder(frames(32, 32))
    with pytest.raises(ValueError, match=naming("height", 32, 48)):
        VideoEncoder(saved("vjepa2"), image_size=40)


def test_resizing_is_anti_aliased(saved: Callable) -> None:
    # A chequerboard of single pixels is an even grey from afar; without anti-aliasing it is black or white.
    board = ((torch.arange(112)[:, None] + torch.arange(112)) % 2 * 255).to(torch.uint8)
    board = board[..., None].expand(112, 112, 3)
    grey = torch.full((28, 28, 3), 128, dtype=torch.uint8)
    encoder = TransformersEncoder(saved("dinov2"), image_size=28)
    assert encoder.grid(112, 112) == (2, 2)
    assert (encoder(board) - encoder(grey)).norm() < 0.1 * (encoder(board[::4, ::4]) - encoder(grey)).norm()
    assert TransformersEncoder(saved("dinov2"), image_size=(28, 42)).grid(9, 9) == (2, 3)


def test_frames_that_the_patch_does_not_divide_are_refused_with_the_nearest_sizes(
    saved: Callable, frames: Callable
) -> None:
    encoder = TransformersEncoder(saved("dinov2"))
    with pytest.raises(ValueError, match=naming("64 by 56", "height", 56, 70, "image_size")):
        encoder(frames(64, 56))
    with pytest.raises(ValueError, match=naming("width", 14)):
        encoder.grid(14, 3)
    with pytest.raises(ValueError, match=naming("image_size", "224 by 100", "width", 98, 112)):
        TransformersEncoder(saved("dinov2"), image_size=(224, 100))
    with pytest.raises(ValueError, match=naming("image_size", 14_000_000, 4096)):
        TransformersEncoder(saved("dinov2"), image_size=(14_000_000, 28))


def test_other_constants_and_dtypes_can_be_set(saved: Callable, frames: Callable) -> None:
    seen = frames(1, 28, 28)
    plain = TransformersEncoder(saved("dinov2"))
    same = TransformersEncoder(saved("dinov2"), mean=IMAGENET[0].tolist(), std=IMAGENET[1].tolist())
    assert torch.equal(plain(seen), same(seen))
    assert not torch.allclose(plain(seen), TransformersEncoder(saved("dinov2"), mean=(0.5, 0.5, 0.5))(seen))
    half = TransformersEncoder(saved("dinov2"), dtype="bfloat16")
    assert {p.dtype for p in half.parameters()} == {torch.bfloat16}
    assert half(seen).dtype == torch.bfloat16
    with pytest.raises(ValueError, match=naming("bfloat16", "'int8'")):
        TransformersEncoder(saved("dinov2"), dtype="int8")


def test_families_are_told_apart(saved: Callable) -> None:
    transformers = pytest.importorskip("transformers")
    with pytest.raises(ValueError, match="VideoEncoder"):
        TransformersEncoder(saved("vjepa2"))
    with pytest.raises(ValueError, match="'dinov2'"):
        VideoEncoder(saved("dinov2"))
    folder = saved("dinov2").parent / "vit"
    transformers.ViTConfig().save_pretrained(folder)
    with pytest.raises(ValueError, match=naming("'vit'", "'dinov3_vit'")):
        TransformersEncoder(folder)


@pytest.mark.parametrize("encoder", [TransformersEncoder, VideoEncoder, VAEEncoder])
def test_missing_weights_are_an_error_with_the_command(encoder: type, tmp_path: Path, monkeypatch) -> None:
    pytest.importorskip("diffusers" if encoder is VAEEncoder else "transformers")
    monkeypatch.setitem(os.environ, "HF_HOME", str(tmp_path))
    with pytest.raises(OSError, match=r"hf download facebook/dinov2-with-registers-base"):
        encoder("facebook/dinov2-with-registers-base")
    with pytest.raises(OSError, match=naming("config.json", "model.safetensors")):
        encoder(tmp_path)


def test_incomplete_damaged_and_foreign_files_are_refused(saved: Callable, tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "model"
    shutil.copytree(saved("dinov2"), folder)
    file = folder / "model.safetensors"
    tensors = load_file(file)
    short = {key: value for key, value in tensors.items() if "layernorm" not in key}
    save_file(short, file, metadata={"format": "pt"})
    with pytest.raises(OSError, match=naming(2, "Dinov2Model", "layernorm")):
        TransformersEncoder(folder)
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(OSError, match=naming(folder)):
        TransformersEncoder(folder)
    torch.save(tensors, folder / "pytorch_model.bin")
    file.unlink()
    with pytest.raises(OSError, match=naming("config.json", "model.safetensors")):
        TransformersEncoder(folder)


def test_autoencoders_join_four_neighbours(saved: Callable, frames: Callable) -> None:
    diffusers = pytest.importorskip("diffusers")
    encoder = VAEEncoder(saved("vae"))
    assert (encoder.dim, encoder.patch) == (64, (16, 16))
    seen = frames(2, 32, 48)
    vae = diffusers.AutoencoderKL.from_pretrained(saved("vae")).eval()
    with torch.no_grad():
        mode = vae.encode(normalised(seen, np.full((2, 3), 0.5))).latent_dist.mode()
    latents = (mode - 0.0609) * 1.5305  # (2, 16, 4, 6)
    tokens = encoder(seen).view(2, 2, 3, 64)
    corner = [latents[:, :, row, column] for row in (2, 3) for column in (4, 5)]
    torch.testing.assert_close(tokens[:, 1, 2], torch.cat(corner, -1), atol=2e-5, rtol=1e-4)
    assert not any("decoder" in key for key in encoder.state_dict())
    with pytest.raises(ValueError, match=naming("height", 32, 48)):
        encoder(frames(40, 48))


@pytest.mark.parametrize("side", [224, 96])
def test_timm_models_give_their_patch_tokens(
    side: int, timm, timm_weights: Path, frames: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors.torch import load_file

    encoder = TimmEncoder("vit_tiny_patch16_224", weights=timm_weights)
    model = timm.create_model("vit_tiny_patch16_224", num_classes=7, dynamic_img_size=True).eval()
    model.load_state_dict(load_file(timm_weights))
    seen = frames(2, side, side)
    with torch.no_grad():
        expected = model.forward_features(normalised(seen, np.full((2, 3), 0.5)))[:, 1:]
    assert encoder.grid(side, side) == (side // 16, side // 16)
    torch.testing.assert_close(encoder(seen), expected, atol=2e-5, rtol=1e-4)


def test_timm_models_that_are_unknown_or_not_here_are_refused(timm, timm_weights: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    with pytest.raises(ValueError, match="vit_none"):
        TimmEncoder("vit_none")
    with pytest.raises(ValueError, match="resnet18"):
        TimmEncoder("resnet18")
    with pytest.raises(OSError, match=r"timm/vit_tiny_patch16_224\S* model\.safetensors"):
        TimmEncoder("vit_tiny_patch16_224")
    with pytest.raises(OSError, match=naming("none.safetensors")):
        TimmEncoder("vit_tiny_patch16_224", weights=tmp_path / "none.safetensors")
    file = tmp_path / "short.safetensors"
    save_file({k: v for k, v in load_file(timm_weights).items() if not k.startswith("norm")}, file)
    with pytest.raises(OSError, match=naming(2, "norm.weight")):
        TimmEncoder("vit_tiny_patch16_224", weights=file)


@pytest.mark.parametrize("name", ["dinov2_with_registers", "siglip", "vjepa2", "vae"])
def test_a_folder_tells_by_itself_which_encoder_it_holds(name: str, saved: Callable, frames: Callable) -> None:
    encoder = published_encoder(saved(name))
    expected = {"vjepa2": VideoEncoder, "vae": VAEEncoder}.get(name, TransformersEncoder)
    assert type(encoder) is expected
    assert encoder.settings()["weights"] == str(saved(name))
    side = 56 if name == "dinov2_with_registers" else 32
    assert torch.equal(encoder(frames(2, side, side)), expected(saved(name))(frames(2, side, side)))


def test_a_folder_of_timm_names_model_and_tag(timm, timm_weights: Path, tmp_path: Path) -> None:
    shutil.copy(timm_weights, tmp_path / "model.safetensors")
    config = tmp_path / "config.json"
    for tag, name in (("augreg_in21k", "vit_tiny_patch16_224.augreg_in21k"), (None, "vit_tiny_patch16_224")):
        config.write_text(json.dumps({"architecture": "vit_tiny_patch16_224", "pretrained_cfg": {"tag": tag}}))
        encoder = published_encoder(tmp_path)
        assert encoder is not None
        assert encoder.settings()["model_name"] == name


def test_folders_of_something_else_hold_no_published_encoder(saved: Callable, tmp_path: Path) -> None:
    assert published_encoder(tmp_path) is None
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"format_version": 1, "encoder": {"name": "pyramid"}}))  # a model of ours
    assert published_encoder(tmp_path) is None
    pytest.importorskip("transformers")
    config.write_text(json.dumps({"model_type": "vit"}))
    with pytest.raises(ValueError, match=naming("'vit'", "'dinov2'")):
        published_encoder(tmp_path)
    shutil.copy(saved("dinov2") / "config.json", config)
    with pytest.raises(OSError, match=naming("config.json", "model.safetensors")):
        published_encoder(tmp_path)
    config.write_text("{")
    with pytest.raises(ValueError, match=naming(config)):
        published_encoder(tmp_path)
