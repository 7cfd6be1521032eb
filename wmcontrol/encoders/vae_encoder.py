"""Image autoencoders of the diffusers library, such as that of Stable Diffusion 3.5."""

from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor

from .encoder import Encoder, frozen
from .extras import checked_dtype, import_extra, no_weights, quiet
from .images import HALF, ImageSize, checked_size, patch_grid, prepare
from .pretrained import recorded_name

_SIDE = 2  # a token joins 2 by 2 neighbours, as in DINO-world's ablation: 4 times 16 numbers are 64


class VAEEncoder(Encoder):
    """The mean of an autoencoder's posterior, shifted and scaled as diffusion models take it.

    Four neighbours make one token: their numbers follow one another, row by row.
    """

    carries_weights: ClassVar[bool] = False

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
        super().__init__()
        dtype_ = checked_dtype(dtype)
        name = recorded_name(weights)
        logging = import_extra("diffusers.utils.logging", "vae")
        autoencoder = import_extra("diffusers", "vae", "AutoencoderKL")
        try:
            with quiet(logging):
                model, report = autoencoder.from_pretrained(
                    name,
                    subfolder=subfolder,
                    revision=revision,
                    local_files_only=True,
                    use_safetensors=True,
                    torch_dtype=dtype_,
                    output_loading_info=True,
                )
        except Exception as error:  # OSError, or whatever safetensors and diffusers raise on damaged or foreign files
            raise no_weights(name, subfolder, error) from error
        missing = sorted(key for key in report["missing_keys"] if not key.startswith(("decoder.", "post_quant")))
        if missing:
            raise OSError(f"the weights of {name!r} lack {len(missing)} tensors, among them {missing[:3]}")
        config = model.config
        if getattr(config, "latents_mean", None) or getattr(config, "latents_std", None):
            raise ValueError(f"{name!r} normalises each latent channel by itself, which VAEEncoder does not do")
        self._channels = int(config.latent_channels)
        self.dim = _SIDE**2 * self._channels
        side = _SIDE * 2 ** (len(config.block_out_channels) - 1)
        self.patch = (side, side)
        self._size = checked_size(image_size, self.patch)
        self._scale, self._shift = float(config.scaling_factor), float(config.shift_factor or 0)
        self._settings = {
            "weights": name,
            "subfolder": subfolder,
            "image_size": list(self._size) if self._size else None,
            "dtype": dtype,
            "revision": revision,
        }
        del model.decoder  # more than half of the weights, never run
        self.model = frozen(model)
        self.eval()

    def settings(self) -> dict[str, Any]:
        """Return what the constructor takes to make this encoder again, as JSON can write it."""
        return dict(self._settings)

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Return how many rows and columns of tokens a frame of this size gives."""
        return patch_grid(*(self._size or (height, width)), self.patch)

    def _tokens(self, frames: Tensor) -> Tensor:
        images = prepare(frames, self._size, HALF, "bilinear", self._dtype())
        rows, columns = self.grid(*frames.shape[1:3])
        latents: Tensor = self.model.encode(images).latent_dist.mean
        latents = (latents - self._shift) * self._scale
        # (N, channels, rows * 2, columns * 2) -> (N, rows * columns, 2 * 2 * channels)
        latents = latents.view(len(frames), self._channels, rows, _SIDE, columns, _SIDE)
        return latents.permute(0, 2, 4, 3, 5, 1).reshape(len(frames), rows * columns, self.dim)
