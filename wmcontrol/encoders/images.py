"""From uint8 frames to what vision models take."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ..checks import check_whole

# The constants of torchvision's ImageNet models, which the DINO and JEPA families were trained with.
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
# To [-1, 1]: SigLIP, and the autoencoders of diffusers.
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))

MAX_SIDE = 2**12  # pixels; the patches of a larger frame, and what a network makes of them, take gigabytes
ImageSize = int | Sequence[int] | None
Colours = tuple[Sequence[float], Sequence[float]]  # mean and standard deviation, of 0 to 1


def checked_size(image_size: ImageSize, patch: tuple[int, int]) -> tuple[int, int] | None:
    """Return the height and width to which frames are resized, None where they stay as they are.

    Raises:
        ValueError: the patch does not divide it, or it is larger than 4096.
    """
    if image_size is None:
        return None
    height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
    for side in (height, width):
        check_whole("image_size", side, most=MAX_SIDE)
    patch_grid(height, width, patch, what="image_size")
    return height, width


def patch_grid(height: int, width: int, patch: tuple[int, int], what: str = "the frames' size") -> tuple[int, int]:
    """Return how many rows and columns of patches an image has.

    Raises:
        ValueError: the patch does not divide it.
    """
    for name, length, step in (("height", height, patch[0]), ("width", width, patch[1])):
        if length < step or length % step:
            below, above = length // step * step, (length // step + 1) * step
            nearest = f"{below} or {above}" if below else f"{above}"
            advice = "" if what == "image_size" else "; or set image_size, and frames are resized to it"
            raise ValueError(
                f"{what}, {height} by {width}, must be a multiple of the patch, {patch[0]} by {patch[1]}: the nearest "
                f"{name} is {nearest}{advice}"
            )
    return height // patch[0], width // patch[1]


def prepare(
    frames: Tensor,
    size: tuple[int, int] | None,
    colours: Colours,
    resample: str,
    dtype: torch.dtype,
) -> Tensor:
    """Resize frames with anti-aliasing and normalise them, in float32 whatever the result's dtype.

    Args:
        frames: (N, H, W, 3) uint8.
        size: height and width to resize to; None leaves them.
        colours: what they are normalised by.
        resample: "bilinear" or "bicubic".
        dtype: of the result.

    Returns:
        (N, 3, height, width).
    """
    images = frames.permute(0, 3, 1, 2).float()
    if size is not None and size != tuple(images.shape[-2:]):
        images = interpolate(images, size, mode=resample, antialias=True)
        if resample == "bicubic":  # overshoots at edges
            images = images.clamp(0, 255)
    mean, std = (images.new_tensor(part).view(3, 1, 1) for part in colours)
    return ((images / 255 - mean) / std).to(dtype)
