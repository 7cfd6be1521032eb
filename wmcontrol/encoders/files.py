"""Encoders on disk, and weights between modules and files: what is saved comes back as it was, or is refused.

An encoder's folder has its name and settings in JSON, and its weights where it carries them.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from ..files import atomic_write
from ..untrusted import AnyJson, MapOf, Record, Text, read_json
from .encoder import Encoder
from .registry import build_encoder, describe_encoder

_DESCRIPTION = Record({"name": Text(), "settings": MapOf(AnyJson())})
SETTINGS, WEIGHTS = "encoder.json", "encoder.safetensors"
# What the libraries that publish models say of one in config.json: transformers, diffusers, and timm.
_PUBLISHED = Record(
    {},
    {"model_type": Text(), "_class_name": Text(), "architecture": Text(), "pretrained_cfg": MapOf(AnyJson())},
    others=AnyJson(),
)
_NEAR = 1e-2  # results are rounded otherwise where weights lie otherwise in memory


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
    check_comes_back(encoder, _loaded(described, folder), frame_size)
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
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
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
    with torch.inference_mode(False), torch.no_grad():  # whatever the process is in
        encoder = described_encoder(described)
        if encoder.carries_weights:
            try:
                tensors = load_file(folder / WEIGHTS)
            except SafetensorError as error:
                raise ValueError(f"{folder / WEIGHTS} does not hold this encoder's weights: {error}") from error
            load_tensors({"": encoder}, tensors, folder / WEIGHTS, SETTINGS)
    return encoder


def described_encoder(described: Mapping[str, Any]) -> Encoder:
    """Make the encoder that a file describes, on the CPU; a pyramid without memory, which its weights bring."""
    name, settings = described["name"], described["settings"]
    if name != "pyramid":
        with torch.device("cpu"):
            return build_encoder(name, settings)
    with torch.device("meta"):
        encoder = build_encoder(name, settings)
    if missing := sorted(encoder.settings().keys() - settings.keys()):  # a default is not what it was saved with
        raise ValueError(f"encoder.settings: missing fields {missing}")
    return encoder


def encoder_digest(encoder: Encoder) -> str:
    """Return a digest of an encoder's class, settings and all weights: what decides what it makes of a frame."""
    described = describe_encoder(encoder)
    digest = hashlib.sha256(json.dumps([described["name"], described["settings"]], sort_keys=True).encode())
    for name, tensor in sorted(encoder.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def tensors_of(parts: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """Return the state of modules, each with its prefix, as safetensors writes it: on the CPU, in memory of its own.

    Raises:
        ValueError: the state holds something else than plain tensors.
    """
    found: dict[str, Tensor] = {}
    taken: set[int] = set()
    for prefix, part in parts.items():
        for name, value in part.state_dict().items():
            if not isinstance(value, Tensor) or value.layout != torch.strided or value.device.type == "meta":
                raise ValueError(
                    f"{prefix}{name} cannot be saved: a file of weights holds dense tensors, got "
                    + (f"one of {value.layout} on {value.device}" if isinstance(value, Tensor) else repr(value))
                )
            tensor = value.detach().cpu().contiguous()
            memory = tensor.untyped_storage().data_ptr()
            found[prefix + name] = tensor.clone() if memory in taken else tensor  # tied weights
            taken.add(memory)
    return found


def load_tensors(parts: Mapping[str, nn.Module], tensors: Mapping[str, Tensor], file: Path, described_in: str) -> None:
    """Give modules, each with its prefix, the tensors of a file, in the number types that they have there.

    A module on the meta device comes to the CPU, once its weights are found to be there: settings cannot ask for more
    memory than the file has.

    Raises:
        ValueError: tensors that are missing, unknown, of another shape or kind, NaN, or parameters that are not finite;
            it names the file, and ``described_in``, which says what the modules are.
    """
    expected = {prefix + name: value for prefix, part in parts.items() for name, value in part.state_dict().items()}
    parameters = {prefix + name for prefix, part in parts.items() for name, _ in part.named_parameters()}
    unknown, missing = sorted(tensors.keys() - expected), sorted(expected.keys() - tensors)
    if unknown or missing:
        raise ValueError(
            f"{file} does not fit {described_in}: unknown tensors {unknown[:5]}, missing tensors {missing[:5]}"
        )
    for name, value in tensors.items():
        like = expected[name]
        if value.shape != like.shape:
            raise ValueError(
                f"{file}: by {described_in}, {name} must have shape {tuple(like.shape)}, got {tuple(value.shape)}"
            )
        fits = value.is_floating_point() if like.is_floating_point() else value.dtype == like.dtype
        # A buffer may be infinite, as a mask is.
        if not fits or value.isnan().any() or (name in parameters and not value.isfinite().all()):
            kind = "numbers of floating point" if like.is_floating_point() else f"numbers of {like.dtype}"
            raise ValueError(f"{file}: {name} must hold finite {kind}, got {value.dtype} or NaN")
    for prefix, part in parts.items():
        own = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
        if any(value.is_meta for value in part.state_dict().values()):
            part.to_empty(device="cpu")
        for name, tensor in (*part.named_parameters(), *part.named_buffers()):
            if name in own:
                tensor.data = tensor.data.to(own[name].dtype)
        part.load_state_dict(own)


def check_buffers(part: nn.Module, prefix: str, file: Path) -> None:
    """Refuse statistics by which a loaded head would compute no numbers: infinite ones, and deviations of 0 or less.

    Raises:
        ValueError: a buffer, which is named after its prefix, as is the file.
    """
    for name, numbers in part.named_buffers():
        if not numbers.isfinite().all():
            raise ValueError(f"{file}: {prefix}{name} must be finite")
        if (name.endswith("std") and (numbers <= 0).any()) or (name.endswith("running_var") and (numbers < 0).any()):
            raise ValueError(f"{file}: {prefix}{name} must be positive")


def check_comes_back(encoder: Encoder, again: Encoder, frame_size: tuple[int, int]) -> None:
    """Raise a ValueError, which says what got lost, if ``again``, which was loaded, is not the encoder."""
    name, settings = type(encoder).__name__, describe_encoder(encoder)["settings"]
    if (found := describe_encoder(again)["settings"]) != settings:
        raise ValueError(
            f"{name}.settings() must return what its constructor takes: made of {settings}, it says {found}"
        )
    if lost := changed(encoder, again):
        raise ValueError(
            f"{lost} of {name} would be lost: its class says carries_weights = False, and its constructor makes other "
            "weights; say True, or leave the weights as they were loaded"
        )
    place = next((t.device for t in (*encoder.parameters(), *encoder.buffers())), torch.device("cpu"))
    frames = trial_frames(frame_size, encoder.tubelet).to(place)
    if not alike(encoder(frames), again.to(place)(frames)):
        raise ValueError(
            f"{name} gives other tokens when it is made again of its settings and weights; whatever decides them must "
            "be in settings(), or a parameter or buffer"
        )


def changed(module: nn.Module, again: nn.Module) -> str | None:
    """Return the name of a tensor in which two modules differ, or None."""
    theirs = again.state_dict()
    for name, value in module.state_dict().items():
        other = theirs.get(name)
        if other is None or other.dtype != value.dtype:
            return name
        other = other.to(value.device)
        if not ((other == value) | (other != other) & (value != value)).all():
            return name
    return None


def alike(one: Tensor, other: Tensor) -> bool:
    """Say whether two results are the same but for rounding, which depends on how weights lie in memory."""
    one, other = one.to("cpu", torch.float64), other.to("cpu", torch.float64)
    return bool((one - other).norm() <= _NEAR * one.norm())


def trial_frames(frame_size: tuple[int, int], count: int) -> Tensor:
    """Return random frames (count, height, width, 3), always the same."""
    generator = torch.Generator("cpu").manual_seed(0)
    return torch.randint(256, (count, *frame_size, 3), dtype=torch.uint8, device="cpu", generator=generator)
