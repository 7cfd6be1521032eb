"""Rollouts from one context without gradients.

They are what ``ActionConditioned.step`` computes, to rounding, in half of the time where a frame is one token: products
are small then, and half of the plain way's time goes to what stands between them. What depends on weights and times
alone is computed beforehand (:mod:`.weights`), keys and values are written where they stay (:mod:`.frames`), and what
all candidates have in common, up to where the first action comes in, is computed once (:mod:`.rollouts`).
"""

from typing import TypeGuard

from torch import nn

from ..action import ActionBlock, ActionConditioned
from ..blocks import MLP, Block, CrossAttention
from ..context import Context
from ..predictor import Predictor
from .rollouts import Rollouts
from .weights import FusedWeights

# Of what is made of these, and of nothing else, it is known here what it computes.
_PLAIN = {ActionConditioned, Predictor, Block, CrossAttention, MLP, ActionBlock, nn.Linear, nn.LayerNorm, nn.ModuleList}


def fast_rollouts(model: nn.Module, context: Context, horizon: int, step_seconds: float) -> Rollouts | None:
    """Return what imagines up to ``horizon`` steps from a context; None where only the plain way is right.

    It is made at the first call and kept in ``context.rollouts``, with the weights of then: whoever calls this has seen
    that they are still those of ``context.weights``.
    """
    if not _is_plain(model) or context.num_candidates is not None:
        return None
    kept: list[Rollouts] = context.rollouts
    for known in kept:
        if known.horizon >= horizon and known.step_seconds == step_seconds:
            return known
    newest = context.last_time - context.origin
    if not bool((newest == newest[0]).all()):  # weights are rotated by it
        return None
    elapsed = [float(newest[0]) + (step + 1) * step_seconds for step in range(horizon)]
    made = Rollouts(model, FusedWeights(model, elapsed, context.grid), context, step_seconds)
    kept[:] = [made]
    return made


def _is_plain(model: nn.Module) -> TypeGuard[ActionConditioned]:
    """Whether nothing in a predictor was replaced, is sharded or is hooked."""
    if type(model) is not ActionConditioned or type(model.predictor) is not Predictor:
        return False
    return all(
        type(part) in _PLAIN and not part._forward_hooks and not part._forward_pre_hooks for part in model.modules()
    )
