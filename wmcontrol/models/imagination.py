"""Rollouts from one context without gradients.

What ``ActionConditioned.step`` computes, to rounding, in half of the time where a frame is one token: products are
small then, and half of the plain way's time goes to what stands between them. What depends on weights and times alone
is computed beforehand (:mod:`.folding`), keys and values are written where they stay (:mod:`.imagined`), and what all
candidates have in common, up to where the first action comes in, is computed once.

Letters: ``R`` rows, which are the S candidates of each of B environments; ``N`` frames of the context; ``P`` patches
of a frame; ``M`` frames imagined so far; ``w`` width; ``h`` heads; ``d`` numbers of a head; ``L`` blocks; ``H`` steps.
"""

from collections import deque
from typing import TypeGuard, cast
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from .action import ActionBlock, ActionConditioned
from .blocks import MLP, Block, CrossAttention
from .context import Context
from .folding import FoldedPredictor
from .imagined import Imagined, ManyTokenFrames, OneTokenFrames
from .predictor import Predictor

_FOLDS = 4  # an agent with a history of 3 frames plans from 1, 2 and 3 of them


class Imagination:
    """Rollouts of up to ``horizon`` steps from a context.

    Args:
        model: predictor with actions.
        folded: its weights, for the times of the frames to imagine.
        context: what was seen.
    """

    def __init__(self, model: ActionConditioned, folded: FoldedPredictor, context: Context):
        self.horizon = len(folded.elapsed)
        self.model, self._folded = model, folded
        self._blocks, self._query = list(model.predictor.blocks), model.predictor.query
        self._patches = folded.first_queries.shape[1]
        self._shared = list(context.shared)
        if self._patches == 1:
            self._shared = [OneTokenFrames.of_context(keys_values) for keys_values in context.shared]
        self._spare: list[tuple[tuple[int, int], Imagined]] = []
        B = len(context.origin)
        with torch.no_grad():  # (B, P, w)
            queries = self._query.expand(B * self._patches, -1)
            self._start = self._until_action(0, 0, queries, self._make(B, 0)).view(B, self._patches, -1)

    def __call__(self, actions: Tensor, *, last_only: bool) -> Tensor:
        """Imagine what actions (B, S, H, A) lead to: (B, S, H or 1, P, D)."""
        with torch.inference_mode():
            predicted = self._predict(actions, last_only)
        with torch.no_grad():  # a tensor that others may compute gradients with
            frames: Tensor = self.model.predictor.head(predicted)
        return frames.view(*actions.shape[:2], *frames.shape[1:])

    def _predict(self, actions: Tensor, last_only: bool) -> Tensor:
        """Return the normalised queries that actions (B, S, H, A) lead to, (R, H or 1, P, w)."""
        B, S, H, A = actions.shape
        R, P, w = B * S, self._patches, self._query.shape[0]
        by_step = actions.permute(2, 0, 1, 3).reshape(H, R, 1, A).expand(-1, -1, P, -1)
        embedded = self.model.embedded(by_step[:, :, :1])
        both = actions.new_empty(R * P, 2 * w)  # queries beside their action
        frames = self._take(R, H - 1)
        predicted: list[Tensor] = []
        for step in range(H):
            both.view(R, P, 2 * w)[:, :, w:] = embedded[step]
            q = self._start.repeat_interleave(S, 0).view(R * P, w)
            for i, maps in enumerate(self._folded.blocks):
                if step or i:
                    q = self._until_action(i, step, q, frames)
                both[:, :w] = q
                norm = cast(ActionBlock, self.model.action_blocks[i]).norm
                q = maps.action2.plus(maps.action1.gelu(norm(both)), q)
            normed = self.model.predictor.norm(q)
            if step + 1 == H or not last_only:
                predicted.append(normed.view(R, P, w))
            if step + 1 < H:
                led_by = by_step[step].reshape(R * P, A)
                frames.add(step, self._folded.keys_values[step](torch.cat([normed, led_by], 1)))
        self._spare = [((R, H - 1), frames)]
        return torch.stack(predicted, 1)

    def _until_action(self, i: int, step: int, q: Tensor, frames: Imagined) -> Tensor:
        """Apply block ``i`` to queries (R * P, w); those of the first block are the same for all."""
        block, maps = self._blocks[i], self._folded.blocks[i]
        if i == 0:
            first = self._folded.first_queries[step]
            heads = first.expand(len(q) // len(first), -1, -1).reshape(len(q), -1)
            q = maps.out(frames.attend(0, step, heads))
        else:
            heads = self._folded.queries[i - 1][step](block.norm_attention(q))
            q = maps.out.plus(frames.attend(i, step, heads), q)
        updated: Tensor = maps.fc2.plus(maps.fc1.gelu(block.norm_mlp(q)), q)
        return updated

    def _take(self, rows: int, steps: int) -> Imagined:
        """Return memory for a rollout: the last one's if that was as large, since memory anew is slow.

        Whoever takes it has it alone, so that several threads may roll out from one context.
        """
        try:
            size, frames = self._spare.pop()
        except IndexError:
            return self._make(rows, steps)
        if size == (rows, steps):
            return frames
        del frames  # before the next is made
        return self._make(rows, steps)

    def _make(self, rows: int, steps: int) -> Imagined:
        if self._patches == 1:
            return OneTokenFrames(self._shared, rows, steps, self.model.predictor.num_heads)
        return ManyTokenFrames(self._shared, rows, steps, self._folded)


class Imaginations:
    """Those of a world model: one per context, as long as that is there."""

    def __init__(self) -> None:
        self._of_contexts: WeakKeyDictionary[object, tuple[object, Imagination]] = WeakKeyDictionary()
        self._folds: deque[FoldedPredictor] = deque(maxlen=_FOLDS)

    def of(self, model: nn.Module, context: object, horizon: int, step_seconds: float) -> Imagination | None:
        """Return the one for rollouts of a predictor from a context; None where only the plain way is right."""
        known = self._of_contexts.get(context)
        stamp = _stamp(model, step_seconds)
        if known is not None and known[0] == stamp and known[1].horizon >= horizon:
            return known[1]
        if not isinstance(context, Context) or not _is_plain(model) or not _fits(model, context):
            return None
        newest = context.last_time - context.origin
        if not bool((newest == newest[0]).all()):  # weights are turned by it
            return None
        elapsed = [float(newest[0]) + (step + 1) * step_seconds for step in range(horizon)]
        made = Imagination(model, self._folded(model, elapsed, context.grid), context)
        self._of_contexts[context] = stamp, made
        return made

    def _folded(self, model: ActionConditioned, elapsed: list[float], grid: tuple[int, int]) -> FoldedPredictor:
        for folded in self._folds:
            if folded.elapsed == elapsed and folded.grid == grid and folded.is_of(model):
                return folded
        self._folds.append(FoldedPredictor(model, elapsed, grid))
        return self._folds[-1]

    def __reduce__(self) -> tuple[type["Imaginations"], tuple[()]]:
        return Imaginations, ()  # a copy computes its own


# Of what is made of these, and of nothing else, it is known here what it computes.
_PLAIN = {ActionConditioned, Predictor, Block, CrossAttention, MLP, ActionBlock, nn.Linear, nn.LayerNorm, nn.ModuleList}


def _is_plain(model: nn.Module) -> TypeGuard[ActionConditioned]:
    """Whether nothing in a predictor was replaced, is sharded or is hooked."""
    if type(model) is not ActionConditioned or type(model.predictor) is not Predictor:
        return False
    return all(
        type(part) in _PLAIN and not part._forward_hooks and not part._forward_pre_hooks for part in model.modules()
    )


def _fits(model: ActionConditioned, context: Context) -> bool:
    """Whether a context is this predictor's, and the start of candidates; if not, ``step`` says what is wrong."""
    keys, predictor = context.shared[0][0], model.predictor
    shape = (predictor.num_heads, predictor.width // predictor.num_heads)
    mine = len(context.shared) == predictor.depth and (keys.shape[1], keys.shape[3]) == shape
    return mine and context.num_candidates is None and context.own is None


def _stamp(model: nn.Module, step_seconds: float) -> object:
    """Return what changes whenever weights are replaced or written into, but for writing past PyTorch's notice."""
    return step_seconds, tuple((id(p), 0 if p.is_inference() else p._version) for p in model.parameters())
