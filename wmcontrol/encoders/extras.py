"""Libraries and weights that do not come with the package: found, or asked for with the command that brings them."""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


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
            raise ImportError(f"this encoder needs {absent}, which is not installed; run: {command}") from error
        raise ImportError(
            f"this encoder needs {library}, which is installed but does not load here: {error}; its release, or that "
            "of a library it imports (often torchvision), does not go with this torch"
        ) from error


def checked_dtype(dtype: str) -> torch.dtype:
    """Return the dtype of this name, or raise a ValueError that lists the names."""
    if dtype not in DTYPES:
        raise ValueError(f"dtype must be one of {sorted(DTYPES)}, got {dtype!r}")
    return DTYPES[dtype]


def no_weights(weights: str, subfolder: str | None, reason: object) -> OSError:
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
    """Hold back progress bars and reports of weights left out, which are left out on purpose.

    Args:
        logging: ``transformers.utils.logging`` or ``diffusers.utils.logging``.
    """
    bars, verbosity = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
