"""Vision transformers of the timm library."""

import os
import sys
from pathlib import Path

from torch import Tensor, nn

from .encoder import frozen
from .images import ImageSize
from .pretrained import PretrainedEncoder, checked_dtype, import_extra


class TimmEncoder(PretrainedEncoder):
    """A vision transformer of timm: its last layer after the final norm, patch tokens only.

    Frames are normalised as timm's record of the model says.
    """

    def __init__(
        self,
        model_name: str,
        *,
        weights: str | Path | None = None,
        image_size: ImageSize = None,
        dtype: str = "float32",
    ) -> None:
        """Load a model, from files that are already here: nothing is downloaded.

        Args:
            model_name: as timm calls it, such as "vit_base_patch14_reg4_dinov2.lvd142m".
            weights: a safetensors file; None looks in the local Hugging Face cache.
            image_size: frames are resized to this side, or (height, width), with anti-aliasing; None takes them as
                they come. The patch must divide either.
            dtype: of the parameters and tokens, "float32", "bfloat16" or "float16".

        Raises:
            ImportError: timm is not installed, or does not load.
            OSError: the weights are not here, or incomplete.
            ValueError: timm does not know the model, or it is no vision transformer, or a setting is out of range.
        """
        dtype_ = checked_dtype(dtype)
        timm = import_extra("timm", "timm")
        if not timm.is_model(model_name):
            near = timm.list_models(f"*{model_name.split('.')[0]}*")[:5]
            raise ValueError(f"timm {timm.__version__} knows no model {model_name!r}; near it: {near}")
        try:
            model = timm.create_model(model_name, pretrained=False, num_classes=0, dynamic_img_size=True)
            prefix, patch = int(model.num_prefix_tokens), model.patch_embed.patch_size
        except (TypeError, AttributeError) as error:
            raise ValueError(
                f"{model_name!r} is not a vision transformer that takes frames of any size: {error}"
            ) from error
        record = model.pretrained_cfg
        file = _weights_file(model_name, weights, record.get("hf_hub_id"))
        recorded = None if weights is None else str(file)
        super().__init__(
            dim=int(model.num_features),
            patch=(int(patch[0]), int(patch[1])),
            image_size=image_size,
            settings={"model_name": model_name, "weights": recorded, "dtype": dtype},
            colours=(tuple(record["mean"]), tuple(record["std"])),
            resample="bicubic" if record.get("interpolation") == "bicubic" else "bilinear",
        )
        self._prefix = prefix
        _load(model, file)
        self.model = frozen(model.to(dtype_))

    def _tokens(self, frames: Tensor) -> Tensor:
        tokens: Tensor = self.model.forward_features(self._images(frames))
        return tokens[:, self._prefix :]


def _weights_file(model_name: str, weights: str | Path | None, hub_id: str | None) -> Path:
    if weights is not None:
        file = Path(os.path.expanduser(weights)).resolve()
        if not file.is_file():
            raise OSError(f"there is no file {file}; weights must be a safetensors file of timm's {model_name!r}")
        return file
    found = None
    if hub_id:
        found = import_extra("huggingface_hub", "timm").try_to_load_from_cache(hub_id, "model.safetensors")
    if not isinstance(found, str):
        command = f"Run: hf download {hub_id} model.safetensors\nor give" if hub_id else "Give"
        raise OSError(
            f"the weights of timm's {model_name!r} are not in the local Hugging Face cache, and are never downloaded "
            f"unasked. {command} the path of a safetensors file as weights"
        )
    return Path(found)


def _load(model: nn.Module, file: Path) -> None:
    """Load all parameters from a safetensors file, from which no code runs."""
    safetensors = import_extra("safetensors.torch", "timm")
    # What timm itself does to a file before it loads it: other names, other position grids.
    adapt = getattr(sys.modules[type(model).__module__], "checkpoint_filter_fn", None)
    try:
        state = safetensors.load_file(file)
        result = model.load_state_dict(adapt(state, model) if adapt else state, strict=False)
    except Exception as error:  # safetensors' own error, or torch's on other shapes
        raise OSError(f"{file} does not load as a safetensors file of this model: {error}") from error
    if result.missing_keys:
        raise OSError(f"{file} lacks {len(result.missing_keys)} tensors, among them {result.missing_keys[:3]}")
