"""Checks of what users hand to predictors: what was expected, what came, what to do."""

import torch
from torch import Tensor

from .context import Context


def check_tokens(tokens: Tensor, dim: int, grid: tuple[int, int]) -> None:
    """Refuse tokens that are not (B, T, P, D) with P = rows * columns of the grid and D = dim."""
    rows, columns = grid
    shape = tuple(tokens.shape)
    if len(shape) != 4 or shape[1] < 1 or shape[2:] != (rows * columns, dim):
        raise ValueError(
            f"tokens must have shape (B, T, {rows * columns}, {dim}), T at least 1, for a grid of {rows} x {columns} "
            f"and an encoder of {dim}; got {shape}"
        )


def check_shape(name: str, value: Tensor, shape: tuple[int, ...], meaning: str) -> None:
    """Refuse a tensor of another shape."""
    if tuple(value.shape) != shape:
        raise ValueError(f"{name} must have shape {shape}, {meaning}; got {tuple(value.shape)}")


def check_times(times: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Return the times of frames in double precision; refuse those that do not rise, or that lost their digits."""
    check_shape("times", times, shape, "one for each frame")
    if times.dtype != torch.float64 and bool((times.abs() > 1000).any()):
        raise ValueError(
            f"times over 1000 s must be float64, got {times.dtype}: the shortest period is 0.01 s; "
            "or count from the first frame"
        )
    times = times.double()
    if not bool((times[:, 1:] > times[:, :-1]).all() and times.isfinite().all()):
        raise ValueError(f"times must rise from frame to frame, got {times.tolist()}")
    return times


def check_actions(actions: Tensor | None, shape: tuple[int, ...]) -> Tensor:
    """Refuse actions of another shape, or none at all."""
    if actions is None:
        raise ValueError(f"actions of shape {shape} are needed, got none; without actions use the wrapped predictor")
    check_shape("actions", actions, shape, "normalised, one model action for each frame or candidate")
    return actions


def check_context(context: Context, depth: int, time: Tensor) -> None:
    """Refuse a context of another predictor, or times that do not fit it."""
    if len(context.shared) != depth:
        raise ValueError(f"this context was made by a predictor of {len(context.shared)} blocks, not of {depth}")
    check_shape("time", time, tuple(context.last_time.shape), "one for each row")
