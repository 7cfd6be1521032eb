"""Checks of the problem that a planner is given: what was expected, what came."""

from collections.abc import Sequence

import torch
from torch import Tensor


def check_start(init: Tensor) -> None:
    """Refuse a start that is not (B, H, A), or (B, K, H, A) with further candidates, of finite real numbers."""
    if not isinstance(init, Tensor) or not init.is_floating_point():
        kind = f"a tensor of {init.dtype}" if isinstance(init, Tensor) else type(init).__name__
        raise TypeError(f"init must be a tensor of floating-point numbers, got {kind}")
    if init.ndim not in (3, 4) or not init.numel():
        raise ValueError(
            "init must have shape (B, H, A), none of them 0, or (B, K, H, A) with further candidates; "
            f"got {tuple(init.shape)}"
        )
    if not init.isfinite().all():
        row = int((~init.isfinite()).flatten(1).any(1).nonzero()[0])
        raise ValueError(f"init must be finite; row {row} is not")


def check_bounds(low: Tensor, high: Tensor, action_dim: int) -> None:
    """Refuse bounds that are not (A,) each, NaN, or the wrong way round."""
    for name, bound in (("low", low), ("high", high)):
        if not isinstance(bound, Tensor):
            raise TypeError(f"{name} must be a tensor of shape ({action_dim},), got {type(bound).__name__}")
        if tuple(bound.shape) != (action_dim,):
            raise ValueError(f"{name} must have shape ({action_dim},), as init's last axis, got {tuple(bound.shape)}")
        if bound.is_complex() or bound.isnan().any():
            raise ValueError(f"{name} must be real numbers and not NaN, got {bound.tolist()}")
    if not (low <= high).all():
        number = int((low > high).nonzero()[0])
        raise ValueError(f"low must not be over high; number {number} has {low[number]:g} and {high[number]:g}")
    if (low == float("inf")).any() or (high == -float("inf")).any():
        raise ValueError(f"no action lies between low {low.tolist()} and high {high.tolist()}")


def check_generators(generators: Sequence[torch.Generator], rows: int) -> None:
    """Refuse anything but one generator of its own for each row."""
    if not hasattr(generators, "__len__"):
        raise TypeError(f"generators must be a list of {rows}, one for each row of init, got {generators!r}")
    if len(generators) != rows:
        raise ValueError(f"generators must be {rows}, one for each row of init, got {len(generators)}")
    for row, generator in enumerate(generators):
        if not isinstance(generator, torch.Generator):
            raise TypeError(f"generators[{row}] must be a torch.Generator, got {type(generator).__name__}")
    if len({id(generator) for generator in generators}) < rows:
        raise ValueError("generators must differ: with one generator in two rows, each plan would depend on the other")
