"""Where to compute, and what is computed fast there."""

import logging
import os

import torch

_LOG = logging.getLogger(__name__)


def usable_device(device: str | torch.device = "auto") -> torch.device:
    """Return where this process computes.

    Args:
        device: ``"auto"`` is a CUDA GPU if there is one, else Apple's GPU (mps), else the CPU; which one it is stands
            in this module's log. ``"cuda"`` is this process's own GPU.

    Raises:
        ValueError: nothing can be computed there.
    """
    if device == "auto":
        found = [
            name
            for name, backend in (("cuda", torch.cuda), ("mps", torch.backends.mps))
            if backend.is_available() and _refusal(torch.device(name)) is None
        ]
        place = _own(torch.device([*found, "cpu"][0]))
        _LOG.info("device=auto: %s", place)
        return place
    try:
        place = _own(torch.device(device))
    except (RuntimeError, TypeError) as error:
        refusal: str | None = str(error)
    else:
        refusal = _refusal(place)
    if refusal is not None:
        raise ValueError(f"device: {device!r} cannot be used: {refusal.splitlines()[0]}")
    return place


def _own(place: torch.device) -> torch.device:
    """Return this process's GPU, of those of a machine on which torchrun started several."""
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if place == torch.device("cuda") else place


def _refusal(place: torch.device) -> str | None:
    """Say why a device does not do what models need, or None: times of frames are in float64, which Apple's has not."""
    try:
        torch.empty(1, dtype=torch.float64, device=place)
    except (RuntimeError, TypeError, AssertionError) as error:
        return str(error)
    return None


def fast_dtype(device: torch.device) -> torch.dtype:
    """Return bfloat16 where the device has arithmetic for it, float32 elsewhere."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    if device.type == "cpu":
        # Names that begin with an underscore may go; without them float32 is always right.
        probes = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
        if any(getattr(torch.cpu, probe, lambda: False)() for probe in probes):
            return torch.bfloat16
    return torch.float32
