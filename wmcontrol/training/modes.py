"""The three ways of fine-tuning that the paper compares."""

import copy
import math
from typing import Literal, get_args

import torch
from torch import Tensor

from ..models import ActionConditioned, Predictor

Mode = Literal["scratch", "action_only", "full"]


def with_actions(base: Predictor, action_dim: int, mode: Mode, *, seed: int) -> ActionConditioned:
    """Return a predictor with actions, ready for fine-tuning (DINO-world, appendix D).

    Args:
        base: pretrained without actions; it is copied.
        action_dim: numbers in a model action.
        mode: ``"scratch"``, nothing of the base but its sizes; ``"action_only"``, all of it, of which nothing learns
            but the action blocks and the projection of actions; ``"full"``, all of it, and all learns, from queries
            that are as small as fresh ones, see :func:`quieten`.
        seed: of fresh weights.

    Raises:
        ValueError: an unknown mode.
    """
    if mode not in get_args(Mode):
        raise ValueError(f"mode must be one of {list(get_args(Mode))}, got {mode!r}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = Predictor(**base.settings())
        predictor = fresh if mode == "scratch" else copy.deepcopy(base).float()
        if mode == "full":
            quieten(predictor, loudness(fresh))
        model = ActionConditioned(predictor, action_dim)
    model.trainable("action_only" if mode == "action_only" else "full")
    return model


@torch.no_grad()
def loudness(predictor: Predictor) -> float:
    """Return how large queries are after the blocks: their root mean square, over two frames of random tokens."""
    found: list[Tensor] = []

    def listen(index: int, q: Tensor) -> Tensor:
        found.append(q.square().mean())
        return q

    like = next(predictor.parameters())
    tokens = torch.randn(16, 2, 1, predictor.dim, generator=torch.Generator().manual_seed(0)).to(like)
    times = torch.arange(3, dtype=torch.float64, device=like.device).expand(16, 3) * 0.3
    predictor(tokens, times, grid=(1, 1), after_block=listen)
    return math.sqrt(float(torch.stack(found).mean()))


@torch.no_grad()
def quieten(predictor: Predictor, to: float) -> None:
    """Make queries smaller by a power of two, so that they are about as large as asked; never larger.

    All that reads queries normalises them first, so that the predictor computes what it did before, but for the
    epsilon of the normalisation. But an action block normalises queries and action together, and adds to queries:
    those of a pretrained predictor are a hundred times as large as a fresh embedding of an action, which is then
    neither heard nor able to say much, and trajectories are learned by heart before actions are.

    Args:
        predictor: changed in place.
        to: what :func:`loudness` shall be.
    """
    factor = 2.0 ** min(0, round(math.log2(to / loudness(predictor))))
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
