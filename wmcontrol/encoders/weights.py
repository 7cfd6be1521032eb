"""Weights between modules and files of tensors: what is saved comes back as it was, or is refused."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from .encoder import Encoder
from .registry import describe_encoder

_NEAR = 1e-2  # tokens are rounded otherwise where weights lie otherwise in memory


def tensors_of(parts: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """Return the state of modules as safetensors writes it: each tensor on the CPU, in memory of its own.

    Args:
        parts: modules by what stands before the names of their tensors.

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


def assign(parts: Mapping[str, nn.Module], tensors: Mapping[str, Tensor], file: Path, described_in: str) -> None:
    """Give modules the tensors of a file, in the number types that they have there.

    Args:
        parts: modules by what stands before the names of their tensors.
        tensors: of the file.
        file: for errors.
        described_in: the name of the file that says what the modules are, for errors.

    Raises:
        ValueError: tensors that are missing, unknown, of another shape or kind, NaN, or parameters that are not finite.
    """
    expected = {prefix + name: value for prefix, part in parts.items() for name, value in part.state_dict().items()}
    parameters = {prefix + name for prefix, part in parts.items() for name, _ in part.named_parameters()}
    unknown, missing = sorted(set(tensors) - set(expected)), sorted(set(expected) - set(tensors))
    if unknown or missing:
        raise ValueError(
            f"{file} does not fit {described_in}: unknown tensors {unknown[:5]}, missing tensors {missing[:5]}"
        )
    for name, value in tensors.items():
        like = expected[name]
        if value.shape != like.shape:
            raise ValueError(
                f"{file}: {name} must have shape {tuple(like.shape)} by {described_in}, got {tuple(value.shape)}"
            )
        fits = value.is_floating_point() if like.is_floating_point() else value.dtype == like.dtype
        # A buffer may be infinite, as a mask is.
        if not fits or value.isnan().any() or (name in parameters and not value.isfinite().all()):
            kind = "numbers of floating point" if like.is_floating_point() else f"numbers of {like.dtype}"
            raise ValueError(f"{file}: {name} must hold finite {kind}, got {value.dtype} or NaN")
    for prefix, part in parts.items():
        own = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
        for name, tensor in (*part.named_parameters(), *part.named_buffers()):
            if name in own:
                tensor.data = tensor.data.to(own[name].dtype)
        part.load_state_dict(own)


def check_comes_back(encoder: Encoder, again: Encoder, frame_size: tuple[int, int]) -> None:
    """Refuse an encoder of which a file does not hold all that matters.

    Args:
        encoder: as it is.
        again: what was loaded.
        frame_size: height and width of a frame that both encode.

    Raises:
        ValueError: it says what got lost.
    """
    name, settings = type(encoder).__name__, describe_encoder(encoder)["settings"]
    if describe_encoder(again)["settings"] != settings:
        raise ValueError(
            f"{name}.settings() must return what its constructor takes: made of {settings}, it says "
            f"{describe_encoder(again)['settings']}"
        )
    lost = changed(encoder, again)
    if lost is not None:
        raise ValueError(
            f"{lost} of {name} would be lost: its class says carries_weights = False, and its constructor makes other "
            "weights; say True, or leave the weights as they were loaded"
        )
    one, other = (each(trial_frames(frame_size, each.tubelet).to(place_of(each))) for each in (encoder, again))
    if not alike(one, other):
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


def place_of(encoder: Encoder) -> torch.device:
    """Return where an encoder's weights are; the CPU for one without."""
    return next((t.device for t in (*encoder.parameters(), *encoder.buffers())), torch.device("cpu"))
