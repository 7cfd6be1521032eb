"""Rollouts without gradients: what ``ActionConditioned.step`` computes again and again, in memory that is kept.

Where no gradient is asked for nothing has to be kept for one, so that what is new can be written where it belongs:
a frame's keys and values behind those of the frames before, turned queries over unturned ones, queries beside the
action that the next action block reads with them. On a CPU copies of small pieces take longer than the mathematics.

Letters: ``B`` environments, ``S`` candidates, ``R`` rows, that is B * S, ``H`` model steps ahead, ``A`` numbers in a
model action, ``P`` patches of a frame, ``D`` encoder width, ``N`` tokens of the frames that candidates share, ``h``
heads, ``d`` numbers per head.
"""

from typing import cast

import torch
from torch import Tensor

from .action import ActionBlock, ActionConditioned
from .blocks import Block, CrossAttention
from .checks import check_actions, check_context
from .context import Context
from .rotary import rotate_


@torch.no_grad()
def imagine(
    model: ActionConditioned, context: Context, actions: Tensor, step_seconds: float, last_only: bool
) -> Tensor:
    """Return the frames that candidate actions lead to, the same to rounding as ``model.step`` one after another.

    Args:
        model: the predictor with its action blocks.
        context: of the B environments, without candidates.
        actions: (B, S, H, A).
        step_seconds: seconds from one frame to the next.
        last_only: return the last frame only.

    Returns:
        (B, S, H, P, D), or (B, S, 1, P, D) with ``last_only``.
    """
    B, S, H, _ = actions.shape
    check_context(context, model.predictor.depth, context.last_time)
    checked = check_actions(actions, (B, S, H, model.action_dim)).flatten(0, 1)
    rollout = _Rollout(model, context, S, H)
    frames: list[Tensor] = []
    for step in range(H):
        time = context.last_time + (step + 1) * step_seconds
        last = step == H - 1
        frame = rollout.step(step, time, checked[:, step], remember=not last)
        if last or not last_only:
            frames.append(frame.unflatten(0, (B, S)))
    return torch.stack(frames, 2)


class _Rollout:
    """One rollout's memory: queries beside actions (R, P, 2 * width); keys and values (depth, R, h, (H - 1) * P, d)."""

    def __init__(self, model: ActionConditioned, context: Context, candidates: int, horizon: int):
        self.model, self.predictor, self.context = model, model.predictor, context
        rows, columns = context.grid
        self.B, self.S, self.P = len(context.origin), candidates, rows * columns
        self.width, self.heads = self.predictor.width, self.predictor.num_heads
        like, R = self.predictor.query, self.B * candidates
        self.queries_and_action = like.new_empty(R, self.P, 2 * self.width)
        self.q = self.queries_and_action[..., : self.width]
        own = (self.predictor.depth, R, self.heads, (horizon - 1) * self.P, self.width // self.heads)
        self.keys, self.values = like.new_empty(own), like.new_empty(own)

    def step(self, step: int, time: Tensor, action: Tensor, remember: bool) -> Tensor:
        """Predict the frame of a step (R, P, D) at ``time`` (B,) from actions (R, A); for later ones, remember it."""
        predictor, q = self.predictor, self.q
        cos, sin = predictor.rotation((time - self.context.origin)[:, None], self.context.grid, q.dtype)
        if self.B > 1:
            cos, sin = (x.repeat_interleave(self.S, 0) for x in (cos, sin))
        self.queries_and_action[..., self.width :] = self.model.embed_action(action)[:, None]
        q.copy_(predictor.query.expand_as(q))
        blocks = zip(predictor.blocks, self.model.action_blocks, strict=True)
        for i, (block, action_block) in enumerate(blocks):
            q += self._attended(i, block, step * self.P, cos, sin)
            q += block.mlp(block.norm_mlp(q))
            action_block = cast(ActionBlock, action_block)
            q.addcmul_(action_block.mlp(action_block.norm(self.queries_and_action)), action_block.scale)
        frame: Tensor = predictor.head(predictor.norm(q))
        if remember:
            self._remember(step * self.P, frame, action, cos, sin)
        return frame

    def _attended(self, index: int, block: Block, seen: int, cos: Tensor, sin: Tensor) -> Tensor:
        """Attend from all queries to the shared frames and to the ``seen`` tokens of each candidate's own."""
        attention = block.attention
        q_RhPd = self._split(attention.query(block.norm_attention(self.q)))
        rotate_(q_RhPd, cos, sin)
        q_RhPd *= q_RhPd.shape[-1] ** -0.5
        keys, values = self.context.shared[index]
        N = keys.shape[2]
        scores = q_RhPd.new_empty(*q_RhPd.shape[:3], N + seen)
        q_BhSPd = self._by_environment(q_RhPd)
        scores[..., :N] = self._by_row(q_BhSPd @ keys.transpose(-1, -2))
        if seen:
            scores[..., N:] = q_RhPd @ self.keys[index, :, :, :seen].transpose(-1, -2)
        weights = scores.softmax(-1)
        attended = self._by_row(self._by_environment(weights[..., :N]) @ values)
        if seen:
            attended = attended + weights[..., N:] @ self.values[index, :, :, :seen]
        merged: Tensor = attention.out(attended.transpose(1, 2).flatten(2))
        return merged

    def _remember(self, seen: int, frame: Tensor, action: Tensor, cos: Tensor, sin: Tensor) -> None:
        """Write a frame's keys and values, of every block, behind those that are there."""
        embedded = self.predictor.embed(frame) + self.model.embed_arrival(action)[:, None]
        now = slice(seen, seen + self.P)
        for i, block in enumerate(self.predictor.blocks):
            attention: CrossAttention = block.attention
            keys, values = (self._split(x) for x in attention.key_value(embedded).chunk(2, -1))
            self.keys[i, :, :, now] = keys
            self.values[i, :, :, now] = values
            rotate_(self.keys[i, :, :, now], cos, sin)

    def _split(self, x: Tensor) -> Tensor:
        """Return (R, P, width) as (R, h, P, d)."""
        return cast(Tensor, x.unflatten(-1, (self.heads, -1))).transpose(1, 2)

    def _by_environment(self, x: Tensor) -> Tensor:
        """Return (R, h, P, n) as (B, h, S * P, n)."""
        return cast(Tensor, x.unflatten(0, (self.B, self.S))).transpose(1, 2).flatten(2, 3)

    def _by_row(self, x: Tensor) -> Tensor:
        """Return (B, h, S * P, n) as (R, h, P, n)."""
        return cast(Tensor, x.unflatten(2, (self.S, self.P))).transpose(1, 2).flatten(0, 1)
