"""Rotary positions on three axes: time, row, column.

Source: DINO-world (arXiv 2507.19468), section 3.2 and appendix A.1.
"""

import math

import torch
from torch import Tensor


def periods_per_axis(head_dim: int) -> int:
    """Return how many angular periods each axis gets: 10 of a head of 64, of which 60 numbers are rotated."""
    return head_dim // 6


def patch_positions(grid: tuple[int, int], low: float, high: float, device: torch.device) -> Tensor:
    """Return rows and columns (P, 2) of the patches of a grid, relative to the frame.

    A patch is at its middle, so that the same place in the frame has the same position at every resolution.
    """
    axes = [low + (high - low) * (torch.arange(n, device=device, dtype=torch.float64) + 0.5) / n for n in grid]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2)


def rotation(times: Tensor, patches: Tensor, num_periods: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return the cosines and sines of all tokens' angles.

    Args:
        times: (B, T) seconds; small numbers, since the shortest period is a hundredth of a second.
        patches: (P, 2), from :func:`patch_positions`.
        num_periods: how many periods, from 0.01 to 100, each axis has.
        dtype: of the result. Angles are computed in double precision, since the shortest period turns a time of five
            seconds five hundred times around.

    Returns:
        cosines and sines, each (B, 1, T * P, 3 * num_periods); the second axis is for heads.
    """
    B, T = times.shape
    P = len(patches)
    periods = 10 ** torch.linspace(-2, 2, num_periods, device=times.device, dtype=torch.float64)
    frequencies = 2 * math.pi / periods
    of_time = (times.double()[..., None] * frequencies)[:, :, None].expand(B, T, P, num_periods)
    of_place = (patches[..., None] * frequencies).flatten(-2).expand(B, T, P, 2 * num_periods)
    angles = torch.cat([of_time, of_place], -1).reshape(B, 1, T * P, 3 * num_periods)
    return angles.cos().to(dtype), angles.sin().to(dtype)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn pairs of numbers of every head by their angles and leave the rest of the head alone.

    Args:
        x: (B, heads, N, head_dim).
        cos: (B, 1, N, m) with 2 * m <= head_dim; number i of a head is paired with number m + i.
        sin: the same.
    """
    m = cos.shape[-1]
    first, second, rest = x[..., :m], x[..., m : 2 * m], x[..., 2 * m :]
    return torch.cat([first * cos - second * sin, second * cos + first * sin, rest], -1)
