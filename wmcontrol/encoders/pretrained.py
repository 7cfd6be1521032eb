"""Loading a vision model of transformers from a folder or the local cache, wholly or not at all."""

import os
from pathlib import Path
from typing import Any

import torch

from .encoder import frozen
from .extras import import_extra, no_weights, quiet

# Parts that encoding never runs; whether their weights are there does not matter.
_UNUSED = ("mask_token", "pooler.", "head.", "predictor.")


def read_config(weights: str, revision: str | None) -> Any:
    """Return the configuration of a model in a folder or in the local cache.

    Raises:
        ImportError: transformers is not installed.
        OSError: there is no such model.
    """
    config = import_extra("transformers", "encoders", "AutoConfig")
    try:
        return config.from_pretrained(weights, revision=revision, local_files_only=True)
    except (OSError, ValueError) as error:
        raise no_weights(weights, None, error) from error


def load_model(class_name: str, weights: str, revision: str | None, dtype: torch.dtype, **config: Any) -> Any:
    """Load a model of transformers, frozen.

    Only safetensors are read, so that loading runs no code of the file.

    Args:
        class_name: of the model, in transformers.
        weights: a folder, or a name in the local cache.
        revision: of the name; None is the newest in the cache.
        dtype: of the parameters.
        config: settings of the model's configuration to replace.

    Raises:
        OSError: files are missing, or do not hold all the weights.
    """
    logging = import_extra("transformers.utils.logging", "encoders")
    cls = import_extra("transformers", "encoders", class_name)
    try:
        with quiet(logging):
            model, report = cls.from_pretrained(
                weights,
                revision=revision,
                local_files_only=True,
                use_safetensors=True,
                dtype=dtype,
                output_loading_info=True,
                **config,
            )
    except Exception as error:  # OSError, or whatever safetensors and transformers raise on damaged or foreign files
        raise no_weights(weights, None, error) from error
    # transformers would fill these with random numbers.
    missing = sorted(key for key in report["missing_keys"] if not any(part in key for part in _UNUSED))
    if missing:
        raise OSError(
            f"the weights of {weights!r} lack {len(missing)} tensors of {class_name}, among them {missing[:3]}; "
            "the file is incomplete or of another model"
        )
    return frozen(model)


def recorded_name(weights: str | Path) -> str:
    """Return what a checkpoint records: a folder by its absolute path, a name as it is."""
    path = Path(os.path.expanduser(weights))
    return str(path.resolve()) if path.is_dir() else str(weights)
