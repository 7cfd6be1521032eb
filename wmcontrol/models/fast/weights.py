"""Weights of a predictor with actions, brought into the form that rollouts without gradients compute with.

What depends on weights and times alone is computed once for all candidates and iterations of a plan:

* From a prediction to its keys and values, in all blocks: ``W_kv (W_embed (W_head x + ..) + W_arrival a)`` is one
  linear map of the normalised queries and the action.
* The first block's queries, which are the same for all.
* Positions, where a frame is one token: all tokens of a step have the same one, and rotating ``W x + b`` is
  ``(R W) x + R b``, so that the weights of queries and keys are rotated, not what comes out of them.
* The order of weights in memory.

Letters: ``P`` patches of a frame; ``w`` width; ``h`` heads; ``d`` numbers of a head; ``L`` blocks; ``H`` steps; ``A``
numbers in a model action.
"""

from functools import cache
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..action import ActionBlock, ActionConditioned
from ..blocks import Block
from ..rotary import rotate

_mkldnn: Any = torch.ops.mkldnn


class PackedLinear:
    """``x @ weight.T + bias``, without gradients, and what often follows it.

    In bfloat16 on a CPU, PyTorch brings the weight into the order that oneDNN computes with at every call. Here that
    is done once, and what follows is computed while the result is in registers: with 22 rows a map from 192 to 768
    numbers and a GELU take 56 microseconds of one core in place of 76, with 300 rows 509 in place of 563. The
    operators are those that ``torch.compile`` calls. In other number types it is the plain functions.

    Args:
        weight: (out, in).
        bias: (out,).
    """

    def __init__(self, weight: Tensor, bias: Tensor):
        # The operators take whatever they are given for contiguous.
        weight, self._bias = weight.detach().contiguous(), bias.detach().contiguous()
        self.packed = weight.device.type == "cpu" and weight.dtype == torch.bfloat16 and can_pack()
        self._weight: Tensor = _mkldnn._reorder_linear_weight(weight) if self.packed else weight

    def __call__(self, x: Tensor) -> Tensor:
        """Map (N, in) to (N, out)."""
        return self._fused(x, "none", "") if self.packed else F.linear(x, self._weight, self._bias)

    def gelu(self, x: Tensor) -> Tensor:
        """Map (N, in) to (N, out), and apply a GELU."""
        return self._fused(x, "gelu", "none") if self.packed else F.gelu(F.linear(x, self._weight, self._bias))

    def plus(self, x: Tensor, other: Tensor) -> Tensor:
        """Map (N, in) to (N, out), and add ``other`` (N, out)."""
        if not self.packed:
            return F.linear(x, self._weight, self._bias).add_(other)
        y: Tensor = _mkldnn._linear_pointwise.binary(
            x.contiguous(), other.contiguous(), self._weight, self._bias, "add"
        )
        return y

    def _fused(self, x: Tensor, then: str, how: str) -> Tensor:
        y: Tensor = _mkldnn._linear_pointwise(x.contiguous(), self._weight, self._bias, then, [], how)
        return y


@cache
def can_pack() -> bool:
    """Whether PyTorch has these operators, which are private to it, and the processor has arithmetic for bfloat16."""
    names = ("_linear_pointwise", "_reorder_linear_weight", "_is_mkldnn_bf16_supported")
    return all(hasattr(_mkldnn, name) for name in names) and bool(_mkldnn._is_mkldnn_bf16_supported())


class FusedWeights:
    """A predictor's weights as they are now, for frames to imagine at given times.

    Args:
        model: predictor with actions.
        elapsed: seconds from the first frame that was seen to each of the H frames to imagine.
        grid: rows and columns of patches.

    Attributes:
        blocks: each block's linear maps.
        first_queries: (H, P, w), of the first block, rotated.
        queries: for each other block and step, the map from normalised queries to those of all heads.
        keys_values: for each step but the last, the map from normalised queries and the action that led there,
            (w + A), to the keys and values of the predicted frame in all blocks, (L * 2 * w).
        rotation: by what queries and keys are yet to be rotated, cosines and sines (H, P, w) as
            :class:`.frames.ManyTokenFrames` takes them; None where the maps do it.
    """

    @torch.no_grad()
    def __init__(self, model: ActionConditioned, elapsed: list[float], grid: tuple[int, int]):
        predictor = model.predictor
        self._heads, self._query = predictor.num_heads, predictor.query
        self._wide = torch.promote_types(self._query.dtype, torch.float32)  # to compute weights in
        times = torch.tensor([elapsed], dtype=torch.float64, device=self._query.device)
        H, P = len(elapsed), grid[0] * grid[1]
        cos, sin = (x.view(H, 1, P, -1) for x in predictor.rotation_at(times, grid, self._wide))  # (H, 1, P, m)
        blocks, actions = list(predictor.blocks), cast(list[ActionBlock], list(model.action_blocks))
        self.blocks = [_Maps(block, action) for block, action in zip(blocks, actions, strict=True)]
        # The first block adds its attention to the same query for all.
        out = blocks[0].attention.out
        self.blocks[0].out = PackedLinear(out.weight, out.bias + self._query)
        of_heads = (predictor.width // self._heads) ** -0.5
        queries = [of_heads * self._joined(block.attention.query) for block in blocks]  # (w, w + 1)
        normed = F.pad(blocks[0].norm_attention(self._query).to(self._wide), (0, 1), value=1.0)
        first = (queries[0] @ normed).view(1, self._heads, 1, -1).expand(H, -1, P, -1)
        self.first_queries = rotate(first, cos, sin).transpose(1, 2).flatten(2).to(self._query)
        keys_values = self._map_to_keys_values(model, blocks)  # (L, 2, w, w + A + 1)
        if P == 1:
            self.rotation = None
            self.queries = [[self._packed(x) for x in self._rotated(weight, cos, sin)] for weight in queries[1:]]
            keys = [self._rotated(weight, cos[:-1], sin[:-1]) for weight in keys_values[:, 0]]  # (H - 1, w, ..) each
            parts = [
                part for key, value in zip(keys, keys_values[:, 1], strict=True) for part in (key, value.expand_as(key))
            ]
            self.keys_values = [self._packed(of_step) for of_step in torch.cat(parts, 1)]
        else:
            self.rotation = _over_heads(cos, sin, self._heads, self._query)
            self.queries = [[self._packed(of_block)] * H for of_block in queries[1:]]
            self.keys_values = [self._packed(keys_values.flatten(0, 2))] * (H - 1)

    def _map_to_keys_values(self, model: ActionConditioned, blocks: list[Block]) -> Tensor:
        """Return the map from normalised queries, the action and 1: (L, 2, w, w + A + 1)."""
        to_all = torch.cat([self._joined(block.attention.key_value) for block in blocks])
        to_all, bias = to_all[:, :-1], to_all[:, -1]
        embed, head = self._joined(model.predictor.embed), self._joined(model.predictor.head)
        of_frame = to_all @ embed[:, :-1]
        bias = bias + to_all @ embed[:, -1] + of_frame @ head[:, -1]
        of_action = to_all @ model.embed_arrival.weight.to(self._wide)
        joined = torch.cat([of_frame @ head[:, :-1], of_action, bias[:, None]], 1)
        return joined.view(len(blocks), 2, -1, joined.shape[1])

    def _rotated(self, weight: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """Rotate what comes out of a map (w, ..) as the token of each step is rotated: (H, w, ..)."""
        cos, sin = cos.transpose(2, 3), sin.transpose(2, 3)  # (H, 1, m, 1)
        m, by_head = cos.shape[2], weight.unflatten(0, (self._heads, -1))  # (h, d, ..)
        first, second = by_head[:, :m], by_head[:, m : 2 * m]
        rest = by_head[:, 2 * m :].expand(len(cos), -1, -1, -1)
        return torch.cat([first * cos - second * sin, second * cos + first * sin, rest], 2).flatten(1, 2)

    def _joined(self, linear: nn.Linear) -> Tensor:
        """Return a linear map with its bias as one more column: (out, in + 1)."""
        return torch.cat([linear.weight, linear.bias[:, None]], 1).to(self._wide)

    def _packed(self, joined: Tensor) -> PackedLinear:
        joined = joined.to(self._query.dtype)
        return PackedLinear(joined[:, :-1], joined[:, -1])


class _Maps:
    """A block's linear maps, and those of the action block behind it, with its scale put into the last of them."""

    def __init__(self, block: Block, action: ActionBlock):
        self.out, self.fc1, self.fc2, self.action1 = (
            PackedLinear(linear.weight, linear.bias)
            for linear in (block.attention.out, block.mlp.fc1, block.mlp.fc2, action.mlp.fc1)
        )
        gain = action.gain()
        self.action2 = PackedLinear(gain[:, None] * action.mlp.fc2.weight, gain * action.mlp.fc2.bias)


def _over_heads(cos: Tensor, sin: Tensor, heads: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Bring cosines and sines (H, 1, P, m) to all numbers of all heads, (H, P, w)."""
    rest = len(like) // heads - 2 * cos.shape[-1]
    of_head = F.pad(torch.cat([cos, cos], -1), (0, rest), value=1.0), F.pad(torch.cat([-sin, sin], -1), (0, rest))
    cosines, sines = (x[:, 0].repeat(1, 1, heads).to(like) for x in of_head)
    return cosines, sines
