"""The three ways of fine-tuning that the paper compares."""

import copy
import math
from typing import Literal

import torch
from torch import Tensor

from ..checks import check_choice
from ..models import ActionConditioned, Predictor

Mode = Literal["scratch", "action_only", "full"]


def with_actions(base: Predictor, action_dim: int, mode: Mode, *, seed: int) -> ActionConditioned:
    """Return a predictor with actions, ready for fine-tuning (DINO-world, appendix D).

    In all three modes action blocks start beside queries that are as large to them as fresh ones are; those of a
    pretrained predictor can be 64 times as large. Where the predictor stays as it is, ``action_scale`` of
    :class:`~wmcontrol.models.ActionConditioned` makes actions as large; where it learns, :func:`rescale_residual` makes
    queries as small, since an optimiser's steps are small beside weights that are large.

    Args:
        base: pretrained without actions; it is copied.
        action_dim: numbers in a model action.
        mode: ``"scratch"``, nothing of the base but its sizes; ``"action_only"``, all of it, of which nothing learns
            but the action blocks and the projection of actions; ``"full"``, all of it, and all learns.
        seed: of fresh weights.

    Raises:
        ValueError: an unknown mode.
    """
    check_choice("mode", mode, Mode)
    # Whatever mode and default device the process has.
    with torch.inference_mode(False), torch.device("cpu"), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = type(base)(**base.settings())
        predictor = fresh if mode == "scratch" else copy.deepcopy(base).float()
        if mode == "full":
            rescale_residual(predictor, query_rms(fresh))
        model = ActionConditioned(predictor, action_dim, _power_of_two(query_rms(predictor) / query_rms(fresh)))
    model.trainable("action_only" if mode == "action_only" else "full")
    return model


@torch.no_grad()
def query_rms(predictor: Predictor) -> float:
    """Return how large queries are after the blocks: their root mean square, over two frames of random tokens."""
    mean_squares: list[Tensor] = []

    def observe(index: int, q: Tensor) -> Tensor:
        mean_squares.append(q.square().mean())
        return q

    like = next(predictor.parameters())
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randn(16, 2, 1, predictor.dim, generator=generator, dtype=torch.float32, device="cpu").to(like)
    times = torch.arange(3, dtype=torch.float64, device=like.device).expand(16, 3) * 0.3
    predictor(tokens, times, grid=(1, 1), after_block=observe)
    return math.sqrt(float(torch.stack(mean_squares).mean()))


@torch.no_grad()
def rescale_residual(predictor: Predictor, rms: float) -> None:
    """Make queries smaller by a power of two, so that they are about as large as asked; never larger.

    All that reads queries normalises them first, so that the predictor computes what it did before, but for the
    epsilon of the normalisation.

    Args:
        predictor: changed in place.
        rms: what :func:`query_rms` shall be.
    """
    factor = 1 / _power_of_two(query_rms(predictor) / rms)
    if factor == 1:
        return
    # The query itself is always the same, so that what the first block's normalisation makes of it can be kept.
    first = next(iter(predictor.blocks)).norm_attention
    variance = float(predictor.query.double().var(correction=0))
    first.weight.mul_(math.sqrt((variance + first.eps / factor**2) / (variance + first.eps)))
    predictor.query.mul_(factor)
    for block in predictor.blocks:
        for writes in (block.attention.out, block.mlp.fc2):
            writes.weight.mul_(factor)
            writes.bias.mul_(factor)


def _power_of_two(ratio: float) -> float:
    """Round to a power of two, by which numbers are multiplied exactly; 1 where queries are no larger than fresh."""
    return 2.0 ** max(0, round(math.log2(ratio)))
