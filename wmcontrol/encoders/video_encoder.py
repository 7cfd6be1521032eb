"""V-JEPA 2 of the transformers library: tokens of clips, two frames to a set of tokens, or of single frames."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor
from torch.nn.functional import layer_norm

from .images import patch_grid
from .pretrained import UNUSED, PretrainedEncoder, checked_dtype, load_model, read_config, recorded_name


class VideoEncoder(PretrainedEncoder):
    """A pretrained model of video: its encoder's last layer after the final norm, its predictor left out.

    Frames (…, T, height, width, 3) give tokens (…, T / tubelet, P, D). All frames of a clip attend to one another: its
    tokens are not those of its parts.
    """

    _unused: ClassVar[Sequence[str]] = UNUSED

    def __init__(
        self, weights: str | Path, *, image_size: int | None = None, dtype: str = "float32", revision: str | None = None
    ) -> None:
        """Load a model, from files that are already here: nothing is downloaded.

        Args:
            weights: a folder, or a name in the local Hugging Face cache, such as "facebook/vjepa2-vitl-fpc64-256".
            image_size: frames are resized to squares of this side, with anti-aliasing; the patch must divide it.
                None takes them as they come, and they must be of the side that the model was trained with.
            dtype: of the parameters and tokens, "float32", "bfloat16" or "float16".
            revision: which version of the name, a branch or a commit.

        Raises:
            ImportError: transformers is not installed.
            OSError: the weights are not here, or incomplete.
            ValueError: a model of another family, or a setting out of range.
        """
        dtype_ = checked_dtype(dtype)
        name = recorded_name(weights)
        config = read_config(name, revision)
        if config.model_type != "vjepa2":
            raise ValueError(f"{name!r} is of the family {config.model_type!r}; VideoEncoder knows vjepa2")
        super().__init__(
            dim=int(config.hidden_size),
            patch=(int(config.patch_size), int(config.patch_size)),
            image_size=image_size,
            settings={"weights": name, "image_size": image_size, "dtype": dtype, "revision": revision},
        )
        self.tubelet = self.span = int(config.tubelet_size)
        self._side = image_size or int(config.crop_size)
        # The model numbers its rows and columns by this side, not by that of the frames it is given.
        loading: dict[str, Any] = {"revision": revision, "dtype": dtype_, "crop_size": self._side}
        self.model = load_model("transformers", "VJEPA2Model", name, unused=self._unused, **loading)

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Return how many rows and columns of patches a frame of this size gives."""
        if self._size is None and (height, width) != (self._side, self._side):
            raise ValueError(
                f"expected frames of {self._side} by {self._side}, got {height} by {width}; set image_size, and frames "
                "are resized to it"
            )
        return patch_grid(self._side, self._side, self.patch)

    def _tokens(self, frames: Tensor) -> Tensor:
        return self.of_clips(frames)

    def of_clips(self, frames: Tensor) -> Tensor:
        """Return the last layer (N, T / tubelet, P, D) of clips (N, T, height, width, 3)."""
        count, length = frames.shape[:2]
        images = self._images(frames.flatten(0, 1))
        videos = images.view(count, length, *images.shape[1:])  # (N, T, 3, height, width)
        output = self.model(pixel_values_videos=videos, skip_predictor=True)
        tokens: Tensor = output.last_hidden_state
        return tokens.reshape(count, length // self.span, -1, self.dim)


class VideoFrameEncoder(VideoEncoder):
    """Single frames in a model of video, each repeated to fill a tubelet; its predictor comes with it.

    Every token is normalised to a mean of 0 and a variance of 1: these are the targets of V-JEPA's predictor, and what
    heads on its forecasts are trained on (arXiv 2507.19468, appendix C.2).
    """

    _unused: ClassVar[Sequence[str]] = ()

    def __init__(
        self, weights: str | Path, *, image_size: int | None = None, dtype: str = "float32", revision: str | None = None
    ) -> None:
        """Load a model, from files that are already here: nothing is downloaded.

        Args:
            weights: a folder, or a name in the local Hugging Face cache. For example facebook/vjepa2-vitl-fpc64-256.
            image_size: frames are resized to squares of this side, with anti-aliasing; the patch must divide it.
                None takes them as they come, and they must be of the side that the model was trained with. For example
                224.
            dtype: of the parameters and tokens, float32, bfloat16 or float16. For example bfloat16.
            revision: which version of the name, a branch or a commit.

        Raises:
            ImportError: transformers is not installed.
            OSError: the weights are not here, or incomplete; those of the predictor too.
            ValueError: a model of another family, or a setting out of range.
        """
        super().__init__(weights, image_size=image_size, dtype=dtype, revision=revision)
        self.tubelet = 1

    def _tokens(self, frames: Tensor) -> Tensor:
        return self.normalised(self.of_clips(frames[:, None].expand(-1, self.span, -1, -1, -1)))[:, 0]

    def normalised(self, tokens: Tensor) -> Tensor:
        """Return tokens (…, D), each with a mean of 0 and a variance of 1."""
        return layer_norm(tokens, (self.dim,))
