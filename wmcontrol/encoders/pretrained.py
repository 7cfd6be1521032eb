"""What encoders of published models share: libraries and weights that do not come with the package."""

import importlib
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from .encoder import Encoder, frozen
from .images import IMAGENET, Colours, ImageSize, checked_size, patch_grid, prepare

_EXTRAS = {"transformers": "encoders", "diffusers": "vae"}
# Parts of models that encoding never runs; whether their weights are there does not matter.
UNUSED = ("mask_token", "pooler.", "head.", "predictor.", "decoder.", "post_quant")
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class PretrainedEncoder(Encoder):
    """An encoder of a published model, whose weights are where its settings say; they give ``model`` after this.

    Args:
        dim: D.
        patch: height and width of a patch in pixels.
        image_size: height and width to which frames are resized; None leaves them.
        settings: what else the constructor took, as JSON can write it.
        colours: mean and standard deviation of the colours in training.
        resample: "bilinear" or "bicubic".
    """

    carries_weights: ClassVar[bool] = False
    model: Any

    def __init__(
        self,
        *,
        dim: int,
        patch: tuple[int, int],
        image_size: ImageSize,
        settings: Mapping[str, Any],
        colours: Colours = IMAGENET,
        resample: str = "bilinear",
    ) -> None:
        super().__init__()
        self.dim, self.patch = dim, patch
        self._size, self._colours, self._resample = checked_size(image_size, patch), colours, resample
        self._settings = {"image_size": list(self._size) if self._size else None, **settings}
        self.eval()

    def settings(self) -> dict[str, Any]:
        """Return what the constructor takes to make this encoder again, as JSON can write it."""
        return dict(self._settings)

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Return how many rows and columns of patches a frame of this size gives."""
        return patch_grid(*(self._size or (height, width)), self.patch)

    def _images(self, frames: Tensor) -> Tensor:
        """Return frames (N, height, width, 3) as the model takes them, (N, 3, height, width)."""
        return prepare(frames, self._size, self._colours, self._resample, self._dtype())


def import_extra(library: str, extra: str, name: str | None = None) -> Any:
    """Import a library that belongs to an extra of the package, or a class of it.

    Args:
        library: the module.
        extra: which of the package's extras brings it.
        name: of the class, which a lazy library imports only now; None returns the module.

    Raises:
        ImportError: it is not installed, or does not load.
    """
    try:
        module = importlib.import_module(library)
        return getattr(module, name) if name else module
    except (ImportError, RuntimeError, OSError) as error:
        absent = error.name if isinstance(error, ModuleNotFoundError) else None
        if absent:
            command = f'pip install "wmcontrol[{extra}]"'
            raise ImportError(f"this needs {absent}, which is not installed; run: {command}") from error
        raise ImportError(
            f"this needs {library}, which is installed but does not load here: {error}; its release, or that "
            "of a library it imports (often torchvision), does not go with this torch"
        ) from error


def checked_dtype(dtype: str) -> torch.dtype:
    """Return the dtype of this name, or raise a ValueError that lists the names."""
    if dtype not in _DTYPES:
        raise ValueError(f"dtype must be one of {sorted(_DTYPES)}, got {dtype!r}")
    return _DTYPES[dtype]


def recorded_name(weights: str | Path) -> str:
    """Return what a checkpoint records: a folder by its absolute path, a name as it is."""
    path = Path(os.path.expanduser(weights))
    return str(path.resolve()) if path.is_dir() else str(weights)


def read_config(weights: str, revision: str | None) -> Any:
    """Return the configuration of a model of transformers in a folder or in the local cache.

    Raises:
        ImportError: transformers is not installed.
        OSError: there is no such model.
    """
    config = import_extra("transformers", "encoders", "AutoConfig")
    try:
        return config.from_pretrained(weights, revision=revision, local_files_only=True)
    except (OSError, ValueError) as error:
        raise _no_weights(weights, None, error) from error


def load_model(library: str, class_name: str, weights: str, *, unused: Sequence[str] = UNUSED, **arguments: Any) -> Any:
    """Load a model of transformers or diffusers, frozen, wholly or not at all.

    Only safetensors are read, so that loading runs no code of the file.

    Args:
        library: its name.
        class_name: of the model.
        weights: a folder, or a name in the local cache.
        unused: parts of names of weights that need not be there.
        arguments: of its ``from_pretrained``.

    Raises:
        OSError: files are missing, or do not hold all the weights.
    """
    extra = _EXTRAS[library]
    logging = import_extra(f"{library}.utils.logging", extra)
    cls = import_extra(library, extra, class_name)
    try:
        with quiet(logging):
            model, report = cls.from_pretrained(
                weights, local_files_only=True, use_safetensors=True, output_loading_info=True, **arguments
            )
    except Exception as error:  # OSError, or whatever safetensors and these libraries raise on damaged or foreign files
        raise _no_weights(weights, arguments.get("subfolder"), error) from error
    # They would be filled with random numbers.
    missing = sorted(key for key in report["missing_keys"] if not any(part in key for part in unused))
    if missing:
        raise OSError(
            f"the weights of {weights!r} lack {len(missing)} tensors of {class_name}, among them {missing[:3]}; "
            "the file is incomplete or of another model"
        )
    return frozen(model)


def _no_weights(weights: str, subfolder: str | None, reason: object) -> OSError:
    """Return the error to raise where a model's weights are not at hand; it says which files or what command."""
    if Path(weights).is_dir():
        where = Path(weights) / (subfolder or "")
        return OSError(
            f"{where} does not hold a model that loads: it must have config.json and model.safetensors (for diffusers "
            f"diffusion_pytorch_model.safetensors), as save_pretrained writes them. The reason given: {reason}"
        )
    what = f" --include '{subfolder}/*'" if subfolder else " --include '*.json' --include '*.safetensors'"
    return OSError(
        f"{weights!r} is neither a folder here nor a model in the local Hugging Face cache; weights are never "
        f"downloaded unasked. Run: hf download {weights}{what}\n"
        "or give the path of a folder that save_pretrained wrote"
    )


@contextmanager
def quiet(logging: Any) -> Iterator[None]:
    """Hold back progress bars, and reports of weights left out on purpose, of a library's ``utils.logging``."""
    bars, verbosity = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        with warnings.catch_warnings():
            # Newer releases of diffusers call it dtype, which older ones do not know.
            warnings.filterwarnings("ignore", "`torch_dtype` is deprecated", FutureWarning)
            yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
