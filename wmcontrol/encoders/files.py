"""An encoder on disk: its name and settings in JSON, and its weights where it carries them."""

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import nn

from ..files import atomic_write
from ..untrusted import AnyJson, MapOf, Record, Text, read_json
from ..untrusted.schema import Place
from .encoder import Encoder
from .pyramid_shape import SETTINGS as PYRAMID
from .registry import build_encoder, describe_encoder
from .weights import assign, check_comes_back, place_of, tensors_of

_DESCRIPTION = Record({"name": Text(), "settings": MapOf(AnyJson())})
SETTINGS, WEIGHTS = "encoder.json", "encoder.safetensors"
# What the libraries that publish models say of one in config.json: transformers, diffusers, and timm.
_PUBLISHED = Record(
    {},
    {"model_type": Text(), "_class_name": Text(), "architecture": Text(), "pretrained_cfg": MapOf(AnyJson())},
    others=AnyJson(),
)


def save_encoder(encoder: Encoder, folder: Path, frame_size: tuple[int, int]) -> None:
    """Save an encoder into a folder that is there: ``encoder.json``, and ``encoder.safetensors`` if it carries weights.

    Args:
        encoder: any that files can name.
        folder: where.
        frame_size: height and width of frames that it encodes.

    Raises:
        TypeError, ValueError: it could not be loaded as it is.
    """
    described = describe_encoder(encoder)
    if encoder.carries_weights:
        with atomic_write(folder / WEIGHTS) as file:
            file.write(save(tensors_of({"": encoder})))
    check_comes_back(encoder, _loaded(described, folder).to(place_of(encoder)), frame_size)
    # The settings come last: with them, all is there.
    with atomic_write(folder / SETTINGS) as file:
        file.write(json.dumps(described, indent=1).encode())


def load_encoder(folder: Path) -> Encoder:
    """Load what :func:`save_encoder` saved.

    Raises:
        OSError: a file is not there, or weights that the encoder has elsewhere are not.
        ValueError: a file is broken, or does not fit the others; it is named.
        ImportError: the encoder's extra is not installed.
    """
    described = read_json(folder / SETTINGS, _DESCRIPTION)
    try:
        return _loaded(described, folder)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{folder / SETTINGS} describes no encoder: {error}") from error


def published_encoder(folder: Path) -> Encoder | None:
    """Load the encoder of a folder in Hugging Face's format, config.json and weights; None if it is none.

    Raises:
        OSError: the weights are not there, or incomplete.
        ValueError: config.json is broken, or of a family of models that is not known.
        ImportError: the encoder's extra is not installed.
    """
    if not (folder / "config.json").exists():
        return None
    config = read_json(folder / "config.json", _PUBLISHED)
    if "model_type" in config:
        return build_encoder("video" if config["model_type"] == "vjepa2" else "transformers", {"weights": folder})
    if config.get("_class_name") == "AutoencoderKL":
        return build_encoder("vae", {"weights": folder})
    if "architecture" in config:
        tag = config.get("pretrained_cfg", {}).get("tag")
        name = f"{config['architecture']}.{tag}" if tag else config["architecture"]
        return build_encoder("timm", {"model_name": name, "weights": folder / "model.safetensors"})
    return None


def _loaded(described: Mapping[str, Any], folder: Path) -> Encoder:
    weights = folder / WEIGHTS
    if weights.exists():
        check_encoder_size(described["name"], described["settings"], _shapes(weights))
    with torch.inference_mode(False), torch.no_grad(), torch.device("cpu"):  # whatever the process is in
        encoder = build_encoder(described["name"], described["settings"])
        if encoder.carries_weights:
            try:
                tensors = load_file(weights)
            except SafetensorError as error:
                raise ValueError(f"{weights} does not hold this encoder's weights: {error}") from error
            assign({"": encoder}, tensors, weights, SETTINGS)
    return encoder


def check_encoder_size(name: str, settings: Mapping[str, Any], held: Iterable[Sequence[int]]) -> None:
    """Refuse settings of a pyramid that is larger than its weights; other encoders of ours have theirs elsewhere.

    Args:
        name: of the encoder.
        settings: the constructor's.
        held: shapes of the tensors that are there.

    Raises:
        ValueError: it is larger, or the settings are none of its.
    """
    if name == "pyramid":
        PYRAMID.check(settings, Place("encoder", "settings"))
        check_size("encoder", lambda: build_encoder(name, settings), held)


def check_size(name: str, build: Callable[[], nn.Module], held: Iterable[Sequence[int]]) -> None:
    """Refuse a module that needs a MiB of numbers more than there are in a file; it is built without any memory.

    Args:
        name: what the error calls it.
        build: makes it.
        held: shapes of the tensors that are there.

    Raises:
        ValueError: it does.
    """
    try:
        with torch.device("meta"):
            module = build()
    except (RuntimeError, OverflowError) as error:  # more than 64 bits can count
        raise ValueError(
            f"{name}: its settings ask for more numbers than there can be: {str(error).splitlines()[0]}"
        ) from error
    needed, there = sum(t.numel() for t in module.state_dict().values()), sum(map(math.prod, held))
    if needed > there + 2**20:
        raise ValueError(f"{name}: its settings ask for {needed:,} numbers, the file of weights has {there:,}")


def _shapes(file: Path) -> list[tuple[int, ...]]:
    try:
        with safe_open(file, "pt") as opened:
            return [tuple(opened.get_slice(name).get_shape()) for name in opened.keys()]  # noqa: SIM118 no mapping
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{file} does not hold this encoder's weights: {error}") from error


def encoder_digest(encoder: Encoder) -> str:
    """Return a digest of an encoder's class, settings and all weights: what decides what it makes of a frame."""
    described = describe_encoder(encoder)
    digest = hashlib.sha256(json.dumps([described["name"], described["settings"]], sort_keys=True).encode())
    for name, tensor in sorted(encoder.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
