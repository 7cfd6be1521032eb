"""Where queries look: the weights of a predictor's cross-attention, which its fused kernels never hand out.

Letters: ``L`` blocks that are asked for, ``B`` clips, ``h`` heads, ``P`` patches of a frame, ``N`` tokens of all frames
that are seen.
"""

from collections.abc import Sequence
from contextlib import ExitStack

import torch
from torch import Tensor

from .action import ActionConditioned
from .context import Context
from .predictor import Predictor


@torch.no_grad()
def attention_weights(
    predictor: Predictor | ActionConditioned,
    context: Context,
    time: Tensor,
    action: Tensor | None = None,
    *,
    blocks: Sequence[int],
) -> Tensor:
    """Return how much each query for a frame attends to each token of the frames before it.

    Args:
        predictor: that made the context.
        context: of the frames that are seen, without candidates.
        time: (B,) seconds, of the frame that is predicted.
        action: (B, A) normalised, which leads to it; None without actions.
        blocks: numbers of blocks, from 0.

    Returns:
        (L, B, h, P, N), float32: weights over the N tokens sum to one.

    Raises:
        ValueError: no such block, or a context with candidates.
    """
    core = predictor.predictor if isinstance(predictor, ActionConditioned) else predictor
    layers = list(core.blocks)
    for number in blocks:
        if not 0 <= number < len(layers):
            raise ValueError(f"blocks: expected numbers from 0 to {len(layers) - 1}, got {number}")
    if context.num_candidates is not None:
        raise ValueError("context: expected one without candidates; take the one before expand")
    normed: dict[int, Tensor] = {}

    def keep(number: int, found: Tensor) -> None:
        normed[number] = found

    with ExitStack() as hooks:
        for number in set(blocks):
            norm = layers[number].norm_attention
            hooks.enter_context(norm.register_forward_hook(lambda _, __, found, number=number: keep(number, found)))
        predictor.step(context, time, action)
    cos, sin = core.rotation_at((time - context.origin)[:, None], context.grid, core.query.dtype)
    return torch.stack([layers[i].attention.weights(normed[i], cos, sin, context.shared[i][0]).float() for i in blocks])
