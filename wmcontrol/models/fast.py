"""Rollouts from one context without gradients: what ``ActionConditioned.step`` computes, to rounding, in less time.

Where a frame is one token, products are small, and half of the plain way's time goes to what stands between them. So
what depends on weights and times alone is computed once for all candidates and iterations of a plan:

* From a prediction to its keys and values, in all blocks: ``W_kv (W_embed (W_head x + ..) + W_previous a)`` is one
  linear map of the normalised queries and the action.
* The first block's queries, which are the same for all candidates, as is all up to where the first action comes in.
* An action block's scale, which is put into its last map.

Keys and values are written where they stay, and weights are in the order that is multiplied (:mod:`.packed`).

Letters: ``B`` environments; ``S`` candidates; ``R`` rows, S for each of the B; ``P`` patches of a frame; ``w`` width;
``h`` heads; ``d`` numbers of a head; ``L`` blocks; ``H`` steps; ``A`` numbers in a model action; ``D`` of a token.
"""

from typing import TypeGuard, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .action import ActionBlock, ActionConditioned
from .blocks import MLP, Block, CrossAttention
from .context import Context, KeysValues
from .packed import PackedLinear
from .predictor import Predictor

# Modules whose computation is known here.
_PLAIN = {ActionConditioned, Predictor, Block, CrossAttention, MLP, ActionBlock, nn.Linear, nn.LayerNorm, nn.ModuleList}


def fast_rollouts(model: nn.Module, context: Context, horizon: int, step_seconds: float) -> "Rollouts | None":
    """Return what imagines up to ``horizon`` steps from a context; None where the predictor has modules of others.

    It is made from the weights at the first call, and kept in ``context.rollouts``.
    """
    if not _is_plain(model) or context.num_candidates is not None:
        return None
    kept: list[Rollouts] = context.rollouts
    for known in kept:
        if known.horizon >= horizon and known.step_seconds == step_seconds:
            return known
    made = Rollouts(model, context, horizon, step_seconds)
    kept[:] = [made]
    return made


def _is_plain(model: nn.Module) -> TypeGuard[ActionConditioned]:
    """Whether no module of a predictor was replaced, sharded or hooked."""
    if type(model) is not ActionConditioned or type(model.predictor) is not Predictor:
        return False
    return all(
        type(part) in _PLAIN and not part._forward_hooks and not part._forward_pre_hooks for part in model.modules()
    )


class Rollouts:
    """Rollouts of up to ``horizon`` steps from a context.

    Args:
        model: predictor with actions.
        context: what was seen.
        horizon: H.
        step_seconds: from one frame to the next.
    """

    @torch.no_grad()
    def __init__(self, model: ActionConditioned, context: Context, horizon: int, step_seconds: float):
        self.horizon, self.step_seconds = horizon, step_seconds
        self._model, self._shared = model, context.shared
        self._spare: list[_Frames] = []
        predictor = model.predictor
        query, h, w = predictor.query, predictor.num_heads, predictor.width
        wide = torch.promote_types(query.dtype, torch.float32)  # to compute weights in
        steps = step_seconds * torch.arange(1, horizon + 1, dtype=torch.float64, device=query.device)
        times = (context.last_time - context.origin)[:, None] + steps  # (B, H)
        cos, sin = predictor.rotation_at(times, context.grid, wide)
        self._rotation = _over_heads(cos, sin, horizon, h, query)
        m = cos.shape[-1]
        pairs = torch.arange(w, dtype=torch.int64, device=query.device).view(h, -1)
        self._others = torch.cat([pairs[:, m : 2 * m], pairs[:, :m], pairs[:, 2 * m :]], 1).flatten()
        self._blocks = list(predictor.blocks)
        actions = cast(list[ActionBlock], list(model.action_blocks))
        self._maps = [_Maps(block, action) for block, action in zip(self._blocks, actions, strict=True)]
        self._keys_values = _to_keys_values(model, wide)
        B, P = len(context.origin), context.grid[0] * context.grid[1]
        first = self._maps[0].query(self._blocks[0].norm_attention(query)[None]).expand(B, 1, P, 1, w)
        self._first = [self._rotate(first, step) for step in range(horizon)]
        start = self._until_action(0, 0, query.expand(B * P, w), _Frames(context.shared, B, 0, P))
        self._start = start.view(B, 1, P, w)

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
        (P, w), R, L = self._start.shape[2:], B * S, len(self._maps)
        by_step = actions.permute(2, 0, 1, 3).reshape(H, R, 1, A).expand(-1, -1, P, -1)
        embedded = self._model.embedded(by_step[:, :, :1])
        both = actions.new_empty(R * P, 2 * w)  # queries beside their action
        frames = self._take(R, H - 1)
        query = self._model.predictor.query.expand(R * P, w)
        predicted: list[Tensor] = []
        for step in range(H):
            both.view(R, P, 2 * w)[:, :, w:] = embedded[step]
            q = query if step else self._start.expand(B, S, P, w).reshape(R * P, w)
            for i, maps in enumerate(self._maps):
                if step or i:
                    q = self._until_action(i, step, q, frames)
                both[:, :w] = q
                q = maps.action2.plus(maps.action1.gelu(maps.action_norm(both)), q)
            normed = self._model.predictor.norm(q)
            if step + 1 == H or not last_only:
                predicted.append(normed.view(R, P, w))
            if step + 1 < H:
                led_by = by_step[step].reshape(R * P, A)
                new = self._keys_values(torch.cat([normed, led_by], 1)).view(B, S, P, 2, L, w)
                frames.add(step, self._rotate(new[:, :, :, 0], step), new[:, :, :, 1])
        self._spare = [frames]
        return torch.stack(predicted, 1)

    def _until_action(self, i: int, step: int, q: Tensor, frames: "_Frames") -> Tensor:
        """Apply block ``i`` to queries (R * P, w)."""
        block, maps = self._blocks[i], self._maps[i]
        B, _, P, _, w = self._first[0].shape
        if i == 0:  # the same for all
            heads = self._first[step].expand(B, frames.rows // B, P, 1, w)
        else:
            heads = self._rotate(maps.query(block.norm_attention(q)).view(B, -1, P, 1, w), step)
        q = maps.out.plus(frames.attend(i, step, heads), q)
        return maps.fc2.plus(maps.fc1.gelu(block.norm_mlp(q)), q)

    def _rotate(self, x: Tensor, step: int) -> Tensor:
        """Rotate queries or keys (B, S, P, L, w) to a step's angles, as :func:`.rotary.rotate`, but whole rows."""
        cos, sin = self._rotation
        other = x.reshape(-1, x.shape[-1]).index_select(1, self._others).view(x.shape)
        return other.mul_(sin[step]).addcmul_(x, cos[step])

    def _take(self, rows: int, steps: int) -> "_Frames":
        """Return memory for a rollout: the last one's if that was as large, since memory anew is slow.

        Whoever takes it has it alone, so that several threads may roll out from one context.
        """
        try:
            frames = self._spare.pop()
        except IndexError:
            frames = None
        if frames is None or (frames.rows, frames.steps) != (rows, steps):
            frames = None  # before the next is made
            frames = _Frames(self._shared, rows, steps, self._start.shape[2])
        return frames


class _Frames:
    """Keys and values of all frames before the next: those that were seen, which are copied to each row, and its own.

    Args:
        shared: of each block, keys and values of the frames that were seen, (B, h, N * P, d).
        rows: R.
        steps: M, how many frames will be added.
        patches: P.
    """

    def __init__(self, shared: tuple[KeysValues, ...], rows: int, steps: int, patches: int):
        self.rows, self.steps, self._patches = rows, steps, patches
        B, h, self._seen, d = shared[0][0].shape
        shape = (len(shared), 2, rows, h, self._seen + steps * patches, d)  # (L, 2, R, h, N * P + M * P, d)
        self._all = shared[0][0].new_empty(shape)
        if patches == 1:  # numbers of one frame together, in the order in which they are compared
            L, _, R, _, K, _ = shape
            self._all = self._all.view(L, 2, K, R, h, d).permute(0, 1, 3, 4, 2, 5)
        scratch = self._all[0, 0].numel() if patches > 1 and self._all.device.type == "cpu" else 0
        self._keys, self._weights = self._all.new_empty(scratch), self._all.new_empty(scratch // d * patches)
        for block, keys_values in zip(self._all, shared, strict=True):
            for every, seen in zip(block, keys_values, strict=True):
                every.unflatten(0, (B, -1))[:, :, :, : self._seen] = seen[:, None]

    def attend(self, i: int, step: int, q: Tensor) -> Tensor:
        """Attend from block ``i``'s queries (B, S, P, 1, w), at ``step``, to all frames before that: (R * P, w)."""
        R, h, _, d = self._all.shape[2:]
        queries = q.reshape(R, self._patches, h, d).transpose(1, 2)
        keys, values = self._all[i, :, :, :, : self._seen + step * self._patches]
        if self._patches == 1:  # a product of matrices of one row each takes two to nine times as long
            weights = (keys * queries).sum(-1, keepdim=True).softmax(2)
            attended = weights[:, :, :1] * values[:, :, :1]
            for k in range(1, keys.shape[2]):
                attended.addcmul_(weights[:, :, k : k + 1], values[:, :, k : k + 1])
        elif q.device.type == "cpu":
            attended = self._by_products(queries, keys, values)
        else:
            attended = F.scaled_dot_product_attention(queries, keys, values, scale=1.0)
        merged: Tensor = attended.transpose(1, 2).reshape(R * self._patches, -1)
        return merged

    def add(self, step: int, keys: Tensor, values: Tensor) -> None:
        """Remember a frame's keys and values in all blocks, each (B, S, P, L, w)."""
        L, _, R, h, _, d = self._all.shape
        start = self._seen + step * self._patches
        for every, x in zip(self._all.transpose(0, 1), (keys, values), strict=True):
            new = x.reshape(R, self._patches, L, h, d).permute(2, 0, 3, 1, 4)
            every[:, :, :, start : start + self._patches] = new

    def _by_products(self, q: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Attend from queries (R, h, P, d) to keys and values (R, h, K, d) in half of the fused kernel's time on a CPU.

        What is large is written where it was before: memory anew, page by page, takes longer than the products.
        """
        R, h, P, d = q.shape
        K = keys.shape[2]
        # They are copied in any case; before they are transposed that takes a seventh of the time.
        together = self._keys[: R * h * K * d].view(R * h, K, d)
        together.copy_(keys.reshape(R * h, K, d))
        weights = self._weights[: R * h * P * K].view(R * h, P, K)
        torch.bmm(q.reshape(R * h, P, d), together.transpose(1, 2), out=weights)
        torch.softmax(weights, -1, out=weights)
        return torch.bmm(weights, values.reshape(R * h, K, d)).view(R, h, P, d)


class _Maps:
    """A block's linear maps, queries scaled for attention; and of the action block behind it, with its scale put in."""

    def __init__(self, block: Block, action: ActionBlock):
        attention, gain = block.attention, action.gain()
        of_heads = (attention.query.out_features // attention.num_heads) ** -0.5
        self.query = PackedLinear(of_heads * attention.query.weight, of_heads * attention.query.bias)
        self.out, self.fc1, self.fc2, self.action1 = (
            PackedLinear(linear.weight, linear.bias)
            for linear in (attention.out, block.mlp.fc1, block.mlp.fc2, action.mlp.fc1)
        )
        self.action_norm = action.norm
        self.action2 = PackedLinear(gain[:, None] * action.mlp.fc2.weight, gain * action.mlp.fc2.bias)


def _to_keys_values(model: ActionConditioned, wide: torch.dtype) -> PackedLinear:
    """Return the map from normalised queries and the action, (w + A), to all blocks' keys, then values (2 * L * w)."""
    predictor = model.predictor
    maps = [block.attention.key_value for block in predictor.blocks]
    weights, biases = ([getattr(x, name).chunk(2) for x in maps] for name in ("weight", "bias"))
    # Keys of all blocks, then their values.
    to_all, bias = (torch.cat([*(k for k, _ in x), *(v for _, v in x)]).to(wide) for x in (weights, biases))
    embed, head = predictor.embed, predictor.head
    of_frame = to_all @ embed.weight.to(wide)
    bias = bias + to_all @ embed.bias.to(wide) + of_frame @ head.bias.to(wide)
    weight = torch.cat([of_frame @ head.weight.to(wide), to_all @ model.embed_arrival.weight.to(wide)], 1)
    return PackedLinear(weight.to(predictor.query), bias.to(predictor.query))


def _over_heads(cos: Tensor, sin: Tensor, steps: int, heads: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Bring cosines and sines (B, 1, H * P, m) to all numbers of all heads, (H, B, 1, P, 1, w)."""
    rest = len(like) // heads - 2 * cos.shape[-1]
    of_head = F.pad(torch.cat([cos, cos], -1), (0, rest), value=1.0), F.pad(torch.cat([-sin, sin], -1), (0, rest))
    cosines, sines = (
        x.repeat(1, 1, 1, heads).unflatten(2, (steps, -1)).movedim(2, 0)[:, :, :, :, None].to(like) for x in of_head
    )
    return cosines, sines
