"""Image encoders of the transformers library: DINOv2, DINOv3, SigLIP 2, I-JEPA."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import unfold

from .images import HALF, IMAGENET, Colours, ImageSize, patch_grid
from .pretrained import PretrainedEncoder, checked_dtype, load_model, read_config, recorded_name


@dataclass(frozen=True, kw_only=True)
class _Family:
    """How one family of models is fed and read. Sources: their modelling and image processing in transformers."""

    model: str  # class in transformers
    colours: Colours
    resample: str = "bilinear"
    class_tokens: int = 0  # tokens before registers and patches
    arguments: tuple[str, ...] = ()  # what its forward must be told to be True
    packed: bool = False  # takes a sequence of patches in place of an image


_FAMILIES = {
    "dinov2": _Family(model="Dinov2Model", colours=IMAGENET, resample="bicubic", class_tokens=1),
    "dinov2_with_registers": _Family(
        model="Dinov2WithRegistersModel", colours=IMAGENET, resample="bicubic", class_tokens=1
    ),
    "dinov3_vit": _Family(model="DINOv3ViTModel", colours=IMAGENET, class_tokens=1),
    "siglip": _Family(model="SiglipVisionModel", colours=HALF, arguments=("interpolate_pos_encoding",)),
    "siglip2": _Family(model="Siglip2VisionModel", colours=HALF, packed=True),
    "ijepa": _Family(model="IJepaModel", colours=IMAGENET, arguments=("interpolate_pos_encoding",)),
}
# Files of the vision part alone.
_FAMILIES |= {f"{name}_vision_model": _FAMILIES[name] for name in ("siglip", "siglip2")}


class TransformersEncoder(PretrainedEncoder):
    """A pretrained image model: its last layer after the final norm, patch tokens only.

    Class and register tokens are dropped; frames are normalised as the family's were in training; position embeddings
    are interpolated to the frame's grid as the model itself does it.

    The fixed-resolution SigLIP 2 models are of transformers' family ``siglip``, the NaFlex ones of ``siglip2``.
    """

    def __init__(
        self,
        weights: str | Path,
        *,
        image_size: ImageSize = None,
        dtype: str = "float32",
        revision: str | None = None,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> None:
        """Load a model, from files that are already here: nothing is downloaded.

        Args:
            weights: a folder that ``save_pretrained`` or ``hf download --local-dir`` wrote, or a name in the local
                Hugging Face cache, such as "facebook/dinov2-with-registers-base".
            image_size: frames are resized to this side, or (height, width), with anti-aliasing; None takes them as
                they come. The patch must divide either.
            dtype: of the parameters and tokens, "float32", "bfloat16" or "float16".
            revision: which version of the name, a branch or a commit.
            mean: of the colours, 0 to 1, where these weights were trained with others than their family.
            std: likewise their standard deviations.

        Raises:
            ImportError: transformers is not installed.
            OSError: the weights are not here, or incomplete.
            ValueError: a model of another family, or a setting out of range.
        """
        dtype_ = checked_dtype(dtype)
        name = recorded_name(weights)
        config = read_config(name, revision)
        if config.model_type == "vjepa2":
            raise ValueError(f"{name!r} is a model of video: use VideoEncoder")
        if config.model_type not in _FAMILIES:
            raise ValueError(
                f"{name!r} is of the family {config.model_type!r}; TransformersEncoder knows {sorted(_FAMILIES)}"
            )
        family = _FAMILIES[config.model_type]
        # SigLIP's files may hold text and vision.
        vision = getattr(config, "vision_config", config)
        patch = vision.patch_size
        own_mean, own_std = family.colours
        mean, std = mean and list(mean), std and list(std)
        super().__init__(
            dim=int(vision.hidden_size),
            patch=(patch, patch) if isinstance(patch, int) else (int(patch[0]), int(patch[1])),
            image_size=image_size,
            settings={"weights": name, "dtype": dtype, "revision": revision, "mean": mean, "std": std},
            colours=(mean or own_mean, std or own_std),
            resample=family.resample,
        )
        self._family = family
        self._prefix = family.class_tokens + int(getattr(vision, "num_register_tokens", 0))
        self.model = load_model("transformers", family.model, name, revision=revision, dtype=dtype_)

    def _tokens(self, frames: Tensor) -> Tensor:
        images = self._images(frames)
        inputs: dict[str, Any]
        if self._family.packed:
            inputs = self._pack(images)
        else:
            inputs = {"pixel_values": images} | dict.fromkeys(self._family.arguments, True)
        tokens: Tensor = self.model(**inputs).last_hidden_state
        return tokens[:, self._prefix :]

    def _pack(self, images: Tensor) -> dict[str, Any]:
        """Cut images (N, 3, height, width) into patches (N, P, patch * patch * 3), each with its colours last."""
        rows, columns = patch_grid(images.shape[-2], images.shape[-1], self.patch)
        count = len(images)
        patches = unfold(images, self.patch, stride=self.patch)  # (N, 3 * patch * patch, P)
        patches = patches.view(count, 3, -1, rows * columns).permute(0, 3, 2, 1).flatten(2)
        device = images.device
        return {
            "pixel_values": patches,
            "pixel_attention_mask": torch.ones(count, rows * columns, dtype=torch.int32, device=device),
            "spatial_shapes": torch.tensor([[rows, columns]], dtype=torch.int64, device=device).expand(count, 2),
        }
