"""Image autoencoders of the diffusers library, such as that of Stable Diffusion 3.5."""

from pathlib import Path
from typing import Any

from torch import Tensor

from .images import HALF, ImageSize
from .pretrained import PretrainedEncoder, checked_dtype, load_model, recorded_name

_SIDE = 2  # a token joins 2 by 2 neighbours, as in DINO-world's ablation: 4 times 16 numbers are 64


class VAEEncoder(PretrainedEncoder):
    """The mean of an autoencoder's posterior, shifted and scaled as diffusion models take it.

    Four neighbours make one token: their numbers follow one another, row by row.
    """

    def __init__(
        self,
        weights: str | Path,
        *,
        subfolder: str | None = None,
        image_size: ImageSize = None,
        dtype: str = "float32",
        revision: str | None = None,
    ) -> None:
        """Load an ``AutoencoderKL``, from files that are already here: nothing is downloaded.

        Args:
            weights: a folder, or a name in the local Hugging Face cache, such as
                "stabilityai/stable-diffusion-3.5-large".
            subfolder: where in it the autoencoder is; "vae" in those of whole pipelines.
            image_size: frames are resized to this side, or (height, width), with anti-aliasing; None takes them as
                they come. A token's side in pixels, 16 for Stable Diffusion's, must divide either.
            dtype: of the parameters and tokens, "float32", "bfloat16" or "float16".
            revision: which version of the name, a branch or a commit.

        Raises:
            ImportError: diffusers is not installed.
            OSError: the weights are not here, or incomplete.
            ValueError: a setting out of range.
        """
        name = recorded_name(weights)
        where: dict[str, Any] = {"subfolder": subfolder, "revision": revision}
        model = load_model("diffusers", "AutoencoderKL", name, torch_dtype=checked_dtype(dtype), **where)
        config = model.config
        if getattr(config, "latents_mean", None) or getattr(config, "latents_std", None):
            raise ValueError(f"{name!r} normalises each latent channel by itself, which VAEEncoder does not do")
        channels, side = int(config.latent_channels), _SIDE * 2 ** (len(config.block_out_channels) - 1)
        super().__init__(
            dim=_SIDE**2 * channels,
            patch=(side, side),
            image_size=image_size,
            settings={"weights": name, "dtype": dtype, **where},
            colours=HALF,
        )
        self._channels = channels
        self._scale, self._shift = float(config.scaling_factor), float(config.shift_factor or 0)
        del model.decoder  # more than half of the weights, never run
        self.model = model

    def _tokens(self, frames: Tensor) -> Tensor:
        rows, columns = self.grid(*frames.shape[1:3])
        latents: Tensor = self.model.encode(self._images(frames)).latent_dist.mean
        latents = (latents - self._shift) * self._scale
        # (N, channels, rows * 2, columns * 2) -> (N, rows * columns, 2 * 2 * channels)
        latents = latents.view(len(frames), self._channels, rows, _SIDE, columns, _SIDE)
        return latents.permute(0, 2, 4, 3, 5, 1).reshape(len(frames), rows * columns, self.dim)
