"""Encoders by name, so that a checkpoint can say which one it was made with."""

import importlib
import inspect
from collections.abc import Mapping
from typing import Any

from .encoder import Encoder

# name: (module, class, extra of the package)
_ENCODERS = {
    "pyramid": ("pyramid", "PyramidEncoder", None),
    "transformers": ("transformers_encoder", "TransformersEncoder", "encoders"),
    "video": ("video_encoder", "VideoEncoder", "encoders"),
    "timm": ("timm_encoder", "TimmEncoder", "timm"),
    "vae": ("vae_encoder", "VAEEncoder", "vae"),
}
ENCODERS = tuple(_ENCODERS)


def build_encoder(name: str, settings: Mapping[str, Any]) -> Encoder:
    """Make the encoder that :func:`encoder_name` and ``encoder.settings()`` describe.

    One that ``carries_weights`` comes without them: load its ``state_dict`` next.

    Raises:
        ValueError: an unknown name, or settings that the encoder does not have or takes no such values for.
        ImportError: the encoder's extra is not installed.
        OSError: its weights are not at hand.
    """
    if name not in _ENCODERS:
        known = ", ".join(
            f"{known!r}" + (f' (pip install "wmcontrol[{extra}]")' if extra else "")
            for known, (_, _, extra) in _ENCODERS.items()
        )
        raise ValueError(f"there is no encoder {name!r}; there are {known}")
    module, class_name, _ = _ENCODERS[name]
    cls: type[Encoder] = getattr(importlib.import_module(f".{module}", __package__), class_name)
    parameters = inspect.signature(cls).parameters
    unknown = sorted(set(settings) - set(parameters))
    missing = sorted(k for k, p in parameters.items() if p.default is p.empty and k not in settings)
    if unknown or missing:
        what = [f"does not have {unknown}" for _ in unknown[:1]] + [f"needs {missing}" for _ in missing[:1]]
        raise ValueError(f"encoder {name!r} {' and '.join(what)}; its settings are {list(parameters)}")
    return cls(**settings)


def encoder_name(encoder: Encoder) -> str:
    """Return the name under which :func:`build_encoder` makes encoders of this class.

    Raises:
        ValueError: it is none of ours.
    """
    for name, (module, class_name, _) in _ENCODERS.items():
        if (type(encoder).__module__, type(encoder).__qualname__) == (f"{__package__}.{module}", class_name):
            return name
    raise ValueError(f"a checkpoint can name only encoders of {list(_ENCODERS)}, got a {type(encoder).__qualname__}")
