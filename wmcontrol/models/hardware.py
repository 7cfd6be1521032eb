"""What a device computes fast in."""

import torch


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
