"""Encoders by name, so that a checkpoint can say which one it was made with."""

import importlib
import inspect
import math
import os
from collections.abc import Collection, Mapping
from typing import Any, TypeVar

import numpy as np

from .encoder import Encoder

# name: (module, class, extra of the package)
_ENCODERS = {
    "pyramid": ("pyramid", "PyramidEncoder", None),
    "transformers": ("transformers_encoder", "TransformersEncoder", "encoders"),
    "video": ("video_encoder", "VideoEncoder", "encoders"),
    "video_frames": ("video_encoder", "VideoFrameEncoder", "encoders"),
    "timm": ("timm_encoder", "TimmEncoder", "timm"),
    "vae": ("vae_encoder", "VAEEncoder", "vae"),
    "efficientnet_lite0": ("efficientnet_encoder", "EfficientNetEncoder", "efficientnet"),
}
ENCODERS = tuple(_ENCODERS)
_EncoderClass = TypeVar("_EncoderClass", bound=type[Encoder])
_registered: dict[str, type[Encoder]] = {}  # what users brought


def register_encoder(cls: _EncoderClass) -> _EncoderClass:
    """Let stores and checkpoints name an encoder of your own, by the name of its class; to be used as a decorator.

    A file only ever names an encoder. Whoever loads it must have registered that class before: nothing is imported, or
    run, because a file says so.

    Raises:
        TypeError: it is no class of encoders.
        ValueError: the name is taken, by another class.
    """
    register(cls, Encoder, _registered, "encoder", taken=ENCODERS)
    return cls


def register(cls: Any, base: type, known: dict[str, Any], kind: str, taken: Collection[str] = ()) -> None:
    """Note a class of a user's own by its name.

    Args:
        cls: of the user's.
        base: what it must be derived from.
        known: the classes so far, to which it is added.
        kind: what one of them is, "encoder".
        taken: names that it may not have.

    Raises:
        TypeError, ValueError: as of :func:`register_encoder`.
    """
    if not (isinstance(cls, type) and issubclass(cls, base)):
        raise TypeError(f"expected a class of {kind}s, got {cls!r}")
    name, other = cls.__name__, known.get(cls.__name__, cls)
    # A module that is imported anew, as in a notebook, makes the same class once more.
    if name in taken or (other.__module__, other.__qualname__) != (cls.__module__, cls.__qualname__):
        raise ValueError(f"there is another {kind} {name!r} already; give yours a name of its own")
    known[name] = cls


def build_encoder(name: str, settings: Mapping[str, Any]) -> Encoder:
    """Make the encoder that :func:`encoder_name` and ``encoder.settings()`` describe.

    One that ``carries_weights`` comes without them: load its ``state_dict`` next.

    Raises:
        ValueError: an unknown name, or settings that the encoder does not have or takes no such values for.
        ImportError: the encoder's extra is not installed.
        OSError: its weights are not at hand.
    """
    cls = _class_of(name)
    signature = inspect.signature(cls)
    try:
        signature.bind(**settings)
    except TypeError as error:
        raise ValueError(f"encoder {name!r}: {error}; its settings are {list(signature.parameters)}") from None
    return cls(**settings)


def encoder_name(encoder: Encoder) -> str:
    """Return the name under which :func:`build_encoder` makes encoders of this class.

    Raises:
        ValueError: it is none of ours, and not registered.
    """
    cls = type(encoder)
    for name, (module, class_name, _) in _ENCODERS.items():
        if (cls.__module__, cls.__qualname__) == (f"{__package__}.{module}", class_name):
            return name
    if _registered.get(cls.__name__) is cls:
        return cls.__name__
    raise ValueError(
        f"a file can name only encoders of {list(_ENCODERS)} and registered ones, got a {cls.__qualname__}; put "
        "@register_encoder before its class"
    )


def describe_encoder(encoder: Encoder) -> dict[str, Any]:
    """Return what a file says of an encoder: its ``name``, and its ``settings`` as JSON gives them back.

    Of settings, numbers of NumPy become Python's, paths become strings, and tuples and arrays become lists.

    Raises:
        TypeError, ValueError: a setting that JSON cannot hold, or an encoder that files cannot name.
    """
    name = encoder_name(encoder)
    return {"name": name, "settings": _plain(encoder.settings(), f"{type(encoder).__name__}.settings()")}


def _plain(value: Any, where: str) -> Any:
    if isinstance(value, (np.generic, np.ndarray)):
        value = value.tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: _plain(item, f"{where}[{key!r}]") for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, f"{where}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{where} must be finite, for JSON to hold it; got {value!r}")
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(
        f"{where} must be of numbers, strings, lists and dicts with strings as keys, for JSON to hold it; got "
        f'{value!r}. Return a string that the constructor understands, such as "float32" for a dtype'
    )


def _class_of(name: str) -> type[Encoder]:
    if name in _registered:
        return _registered[name]
    if name not in _ENCODERS:
        known = ", ".join(
            f"{known!r}" + (f' (pip install "wmcontrol[{extra}]")' if extra else "")
            for known, (_, _, extra) in _ENCODERS.items()
        )
        raise ValueError(
            f"there is no encoder {name!r}; the names are {known}. If it is one of your own, import it first, with "
            "@register_encoder before its class"
        )
    module, class_name, _ = _ENCODERS[name]
    cls: type[Encoder] = getattr(importlib.import_module(f".{module}", __package__), class_name)
    return cls
