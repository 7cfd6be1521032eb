"""Gaussian blurs along one axis as matrices. Lengths and widths are fractions of the axis."""

import torch
from torch import Tensor


def _centers(count: int) -> Tensor:
    return (torch.arange(count, dtype=torch.float64, device="cpu") + 0.5) / count


def blur_pixels(size: int, samples: int, width: float) -> Tensor:
    """Return the matrix (samples, size) that blurs pixels, which are steps of constant colour, exactly."""
    edges = torch.arange(size + 1, dtype=torch.float64, device="cpu") / size
    below = torch.special.ndtr((edges - _centers(samples)[:, None]) / width)
    weights = below.diff(dim=1)
    return torch.nn.functional.normalize(weights, p=1.0, dim=1)


def blur_samples(size: int, samples: int, width: float) -> Tensor:
    """Return the matrix (samples, size) that blurs what has been sampled from something smooth."""
    away = (_centers(size) - _centers(samples)[:, None]) / width
    return torch.softmax(-(away**2) / 2, dim=1)
