"""The steps of fast rollouts.

Letters: ``R`` rows, which are the S candidates of each of B environments; ``P`` patches of a frame; ``w`` width; ``H``
steps; ``A`` numbers in a model action; ``D`` of a token.
"""

from typing import cast

import torch
from torch import Tensor

from ..action import ActionBlock, ActionConditioned
from ..context import Context
from .frames import ManyTokenFrames, OneTokenFrames
from .weights import FusedWeights


class Rollouts:
    """Rollouts of up to ``horizon`` steps from a context.

    Args:
        model: predictor with actions.
        fused: its weights, for the times of the frames to imagine.
        context: what was seen.
        step_seconds: from one frame to the next.
    """

    def __init__(self, model: ActionConditioned, fused: FusedWeights, context: Context, step_seconds: float):
        self.horizon, self.step_seconds = len(fused.first_queries), step_seconds
        self._model, self._fused, self._blocks = model, fused, list(model.predictor.blocks)
        self._shared = list(context.shared)
        if fused.rotation is None:
            self._shared = [OneTokenFrames.of_context(keys_values) for keys_values in context.shared]
        self._spare: list[tuple[tuple[int, int], OneTokenFrames | ManyTokenFrames]] = []
        B, P = len(context.origin), fused.first_queries.shape[1]
        with torch.no_grad():  # (B, P, w)
            queries = model.predictor.query.expand(B * P, -1)
            self._start = self._until_action(0, 0, queries, self._make(B, 0)).view(B, P, -1)

    def __call__(self, actions: Tensor, *, last_only: bool) -> Tensor:
        """Imagine what actions (B, S, H, A) lead to: (B, S, H or 1, P, D)."""
        with torch.inference_mode():
            predicted = self._predict(actions, last_only)
        with torch.no_grad():  # a tensor that others may compute gradients with
            frames: Tensor = self._model.predictor.head(predicted)
        return frames.view(*actions.shape[:2], *frames.shape[1:])

    def _predict(self, actions: Tensor, last_only: bool) -> Tensor:
        """Return the normalised queries that actions (B, S, H, A) lead to, (R, H or 1, P, w)."""
        B, S, H, A = actions.shape
        (P, w), R = self._start.shape[1:], B * S
        by_step = actions.permute(2, 0, 1, 3).reshape(H, R, 1, A).expand(-1, -1, P, -1)
        embedded = self._model.embedded(by_step[:, :, :1])
        both = actions.new_empty(R * P, 2 * w)  # queries beside their action
        frames = self._take(R, H - 1)
        predicted: list[Tensor] = []
        for step in range(H):
            both.view(R, P, 2 * w)[:, :, w:] = embedded[step]
            q = self._start.repeat_interleave(S, 0).view(R * P, w)
            for i, maps in enumerate(self._fused.blocks):
                if step or i:
                    q = self._until_action(i, step, q, frames)
                both[:, :w] = q
                norm = cast(ActionBlock, self._model.action_blocks[i]).norm
                q = maps.action2.plus(maps.action1.gelu(norm(both)), q)
            normed = self._model.predictor.norm(q)
            if step + 1 == H or not last_only:
                predicted.append(normed.view(R, P, w))
            if step + 1 < H:
                led_by = by_step[step].reshape(R * P, A)
                frames.add(step, self._fused.keys_values[step](torch.cat([normed, led_by], 1)))
        self._spare = [((R, H - 1), frames)]
        return torch.stack(predicted, 1)

    def _until_action(self, i: int, step: int, q: Tensor, frames: OneTokenFrames | ManyTokenFrames) -> Tensor:
        """Apply block ``i`` to queries (R * P, w); those of the first block are the same for all."""
        block, maps = self._blocks[i], self._fused.blocks[i]
        if i == 0:
            first = self._fused.first_queries[step]
            heads = first.expand(len(q) // len(first), -1, -1).reshape(len(q), -1)
            q = maps.out(frames.attend(0, step, heads))
        else:
            heads = self._fused.queries[i - 1][step](block.norm_attention(q))
            q = maps.out.plus(frames.attend(i, step, heads), q)
        return maps.fc2.plus(maps.fc1.gelu(block.norm_mlp(q)), q)

    def _take(self, rows: int, steps: int) -> OneTokenFrames | ManyTokenFrames:
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

    def _make(self, rows: int, steps: int) -> OneTokenFrames | ManyTokenFrames:
        if self._fused.rotation is None:
            return OneTokenFrames(self._shared, rows, steps, self._model.predictor.num_heads)
        return ManyTokenFrames(self._shared, rows, steps, self._fused.rotation)
