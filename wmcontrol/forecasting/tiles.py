"""Frames that are larger than what is encoded at once: in tiles that overlap, whose predictions are averaged.

Letters: ``n`` frames, ``K`` tiles of a frame, ``C`` numbers of a pixel.
"""

from itertools import product
from typing import Any

import torch
from torch import Tensor

from ..checks import check_whole

Size = tuple[int, int]  # height and width, pixels


def checked_sides(name: str, sides: Any) -> Size | None:
    """Return a height and a width, of which lists of YAML are made too, or None; a ValueError if they are neither."""
    if sides is None:
        return None
    if not isinstance(sides, list | tuple) or len(sides) != 2:
        raise ValueError(f"{name} must be a height and a width, got {sides!r}")
    for side in sides:
        check_whole(name, side)
    return int(sides[0]), int(sides[1])


def tile_places(size: Size, window: Size | None, stride: int) -> list[tuple[int, int]]:
    """Return top and left of the tiles that cover a frame, K of them; the last of a row or column ends at its edge.

    Raises:
        ValueError: the window does not fit into the frame.
    """
    if window is None:
        return [(0, 0)]
    if window[0] > size[0] or window[1] > size[1]:
        raise ValueError(f"window: expected one that fits into frames of {size[0]} by {size[1]}, got {window}")
    tops, lefts = (
        [min(i * stride, length - part) for i in range(-(-(length - part) // stride) + 1)]
        for length, part in zip(size, window, strict=True)
    )
    return list(product(tops, lefts))


def cut(frames: Tensor, places: list[tuple[int, int]], window: Size | None) -> Tensor:
    """Return the tiles of frames (n, height, width, 3), (n, K, *window, 3)."""
    height, width = window or (frames.shape[1], frames.shape[2])
    return torch.stack([frames[:, top : top + height, left : left + width] for top, left in places], 1)


def merge(parts: Tensor, places: list[tuple[int, int]], size: Size) -> Tensor:
    """Return the mean (n, C, *size) of what was predicted for the tiles (n, K, C, height, width)."""
    n, _, C, height, width = parts.shape
    if len(places) == 1:
        return parts[:, 0]
    total, counts = parts.new_zeros(n, C, *size), parts.new_zeros(size)
    for k, (top, left) in enumerate(places):
        total[:, :, top : top + height, left : left + width] += parts[:, k]
        counts[top : top + height, left : left + width] += 1
    return total / counts
