"""Rollouts from one context, of frames that are one token each, without gradients.

What ``ActionConditioned.step`` computes, to rounding, in half of the time: see :mod:`.folding`. Besides, few keys are
compared by products of numbers and sums, not by a matrix product of one row each, and what all candidates have in
common, up to where the first action comes in, is computed once.

Letters: ``R`` rows, which are the S candidates of each of B environments; ``N`` frames of the context; ``M`` frames
imagined so far; ``w`` width; ``h`` heads; ``d`` numbers of a head; ``L`` blocks; ``H`` steps.
"""

from collections import deque
from typing import cast
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from .action import ActionBlock, ActionConditioned
from .context import Context, KeysValues
from .folding import FoldedPredictor
from .predictor import Predictor

_FOLDS = 4  # an agent with a history of 3 frames plans from 1, 2 and 3 of them


class Imagination:
    """Rollouts of up to ``horizon`` steps from a context.

    Args:
        model: predictor with actions.
        folded: its weights, for the times of the frames to imagine.
        context: of frames that are one token each.
    """

    def __init__(self, model: ActionConditioned, folded: FoldedPredictor, context: Context):
        self.horizon = len(folded.elapsed)
        self._model, self._folded, self._heads = model, folded, model.predictor.num_heads
        self._blocks, self._query = list(model.predictor.blocks), model.predictor.query
        self._shared = [(_by_frame(keys), _by_frame(values)) for keys, values in context.shared]
        with torch.no_grad():
            self._start = self._until_action(0, 0, self._query.expand(len(context.origin), -1), None)  # (B, w)

    def __call__(self, actions: Tensor, *, last_only: bool) -> Tensor:
        """Imagine what actions (B, S, H, A) lead to: (B, S, H or 1, 1, D)."""
        with torch.inference_mode():
            predicted = self._predict(actions, last_only)
        with torch.no_grad():  # a tensor that others may compute gradients with
            frames: Tensor = self._model.predictor.head(predicted)
        return frames.view(*actions.shape[:2], predicted.shape[1], 1, -1)

    def _predict(self, actions: Tensor, last_only: bool) -> Tensor:
        """Return the normalised queries that actions (B, S, H, A) lead to, (R, H or 1, w)."""
        B, S, H, A = actions.shape
        R, w, L = B * S, self._query.shape[0], len(self._blocks)
        by_step = actions.permute(2, 0, 1, 3).reshape(H, R, A)
        embedded = self._model.embed_action(by_step)
        both = actions.new_empty(R, 2 * w)  # queries beside their action
        own = actions.new_empty(L, 2, H, R, w)  # keys and values
        predicted: list[Tensor] = []
        for step in range(H):
            both[:, w:] = embedded[step]
            q = self._query.expand(R, w)
            for i, maps in enumerate(self._folded.blocks):
                first = step == i == 0
                q = self._start.repeat_interleave(S, 0) if first else self._until_action(i, step, q, own[i, :, :step])
                both[:, :w] = q
                norm = cast(ActionBlock, self._model.action_blocks[i]).norm
                q = maps.action2.plus(maps.action1.gelu(norm(both)), q)
            normed = self._model.predictor.norm(q)
            if step + 1 == H or not last_only:
                predicted.append(normed)
            if step + 1 < H:
                new = self._folded.keys_values[step](torch.cat([normed, by_step[step]], 1))
                own[:, :, step] = new.view(R, L, 2, w).permute(1, 2, 0, 3)
        return torch.stack(predicted, 1)

    def _until_action(self, i: int, step: int, q: Tensor, own: Tensor | None) -> Tensor:
        """Apply block ``i`` to queries (R, w), with the keys and values (2, M, R, w) of frames imagined so far."""
        block, maps = self._blocks[i], self._folded.blocks[i]
        if i == 0:
            first = self._folded.first_queries[step].expand_as(q)
            q = maps.out(self._attend(first, self._shared[i], own))
        else:
            heads = self._folded.queries[i - 1][step](block.norm_attention(q))
            q = maps.out.plus(self._attend(heads, self._shared[i], own), q)
        updated: Tensor = maps.fc2.plus(maps.fc1.gelu(block.norm_mlp(q)), q)
        return updated

    def _attend(self, q: Tensor, shared: KeysValues, own: Tensor | None) -> Tensor:
        """Attend: queries (R, w) to shared keys and values (N, B, 1, w) and to own ones (2, M, R, w)."""
        keys, values = shared
        (N, B), (R, w), h = keys.shape[:2], q.shape, self._heads
        scores = (q.view(B, -1, w) * keys).reshape(N, R, h, w // h).sum(-1)
        if own is not None:
            scores = torch.cat([scores, (q * own[0]).view(-1, R, h, w // h).sum(-1)])
        weights = scores.softmax(0)  # (N + M, R, h)
        of_shared = weights[:N].view(N, B, -1, h, 1)
        attended: Tensor = of_shared[0] * values[0].unflatten(-1, (h, -1))  # (B, S, h, d)
        for n in range(1, N):
            attended.addcmul_(of_shared[n], values[n].unflatten(-1, (h, -1)))
        attended = attended.reshape(R, h, w // h)
        if own is not None:
            for weight, value in zip(weights[N:], own[1], strict=True):
                attended.addcmul_(weight[..., None], value.view_as(attended))
        return attended.view(R, w)


class Imaginations:
    """Those of a world model: one per context, as long as that is there."""

    def __init__(self) -> None:
        self._of_contexts: WeakKeyDictionary[object, Imagination] = WeakKeyDictionary()
        self._folds: deque[FoldedPredictor] = deque(maxlen=_FOLDS)

    def of(self, model: nn.Module, context: object, horizon: int, step_seconds: float) -> Imagination | None:
        """Return the one for rollouts of a predictor from a context; None where only the plain way is right."""
        known = self._of_contexts.get(context)
        if known is not None and known.horizon >= horizon:
            return known
        # Exactly these types: what a subclass, or a sharded model, does otherwise is not known here.
        if type(model) is not ActionConditioned or type(model.predictor) is not Predictor:
            return None
        if not isinstance(context, Context) or context.grid != (1, 1):
            return None
        newest = context.last_time - context.origin
        if not bool((newest == newest[0]).all()):  # weights are turned by it
            return None
        elapsed = [float(newest[0]) + (step + 1) * step_seconds for step in range(horizon)]
        self._of_contexts[context] = Imagination(model, self._folded(model, elapsed), context)
        return self._of_contexts[context]

    def _folded(self, model: ActionConditioned, elapsed: list[float]) -> FoldedPredictor:
        for folded in self._folds:
            if folded.elapsed == elapsed and folded.is_of(model):
                return folded
        self._folds.append(FoldedPredictor(model, elapsed))
        return self._folds[-1]

    def __reduce__(self) -> tuple[type["Imaginations"], tuple[()]]:
        return Imaginations, ()  # a copy computes its own


def _by_frame(x: Tensor) -> Tensor:
    """Bring keys or values (B, h, N, d) of frames of one token each into the order (N, B, 1, h * d)."""
    return x.permute(2, 0, 1, 3).flatten(2)[:, :, None].contiguous()
