"""Weights of a predictor with actions, brought into the form that rollouts without gradients compute with.

What depends on weights and times alone is computed once for all candidates and iterations of a plan:

* From a prediction to its keys and values, in all blocks: ``W_kv (W_embed (W_head x + ..) + W_arrival a)`` is one
  linear map of the normalised queries and the action.
* The first block's queries, which are the same for all.
* Positions, where a frame is one token: all tokens of a step have the same one, and turning ``W x + b`` is
  ``(R W) x + R b``, so that the weights of queries and keys are turned, not what comes out of them.
* The order of weights in memory, see :mod:`.products`.

Letters: ``P`` patches of a frame; ``w`` width; ``h`` heads; ``d`` numbers of a head; ``L`` blocks; ``H`` steps; ``A``
numbers in a model action.
"""

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .action import ActionBlock, ActionConditioned
from .blocks import Block
from .products import FixedLinear
from .rotary import rotate


class FoldedPredictor:
    """A predictor's weights as they are now, for frames to imagine at given times.

    Args:
        model: predictor with actions.
        elapsed: seconds from the first frame that was seen to each of the H frames to imagine.
        grid: rows and columns of patches.

    Attributes:
        elapsed, grid: as given.
        blocks: each block's linear maps.
        first_queries: (H, P, w), of the first block, turned.
        queries: for each other block and step, the map from normalised queries to those of all heads.
        keys_values: for each step but the last, the map from normalised queries and the action that led there,
            (w + A), to the keys and values of the predicted frame in all blocks, (L * 2 * w).
        turns: what queries and keys are yet to be turned by, cosines and sines (H, P, w) as :func:`turn` takes them;
            None where the maps do it.
    """

    @torch.no_grad()
    def __init__(self, model: ActionConditioned, elapsed: list[float], grid: tuple[int, int]):
        predictor, self.elapsed, self.grid = model.predictor, elapsed, grid
        self._heads, self._query = predictor.num_heads, predictor.query
        self._wide = torch.promote_types(self._query.dtype, torch.float32)  # to compute weights in
        self._made_of = [_bits(parameter).clone() for parameter in model.parameters()]
        times = torch.tensor([elapsed], dtype=torch.float64, device=self._query.device)
        H, P = len(elapsed), grid[0] * grid[1]
        cos, sin = (x.view(H, 1, P, -1) for x in predictor.rotation_at(times, grid, self._wide))  # (H, 1, P, m)
        blocks, actions = list(predictor.blocks), cast(list[ActionBlock], list(model.action_blocks))
        self.blocks = [_Maps(block, action) for block, action in zip(blocks, actions, strict=True)]
        # The first block adds its attention to the same query for all.
        out = blocks[0].attention.out
        self.blocks[0].out = FixedLinear(out.weight, out.bias + self._query)
        of_heads = (predictor.width // self._heads) ** -0.5
        queries = [of_heads * self._joined(block.attention.query) for block in blocks]  # (w, w + 1)
        normed = F.pad(blocks[0].norm_attention(self._query).to(self._wide), (0, 1), value=1.0)
        first = (queries[0] @ normed).view(1, self._heads, 1, -1).expand(H, -1, P, -1)
        self.first_queries = rotate(first, cos, sin).transpose(1, 2).flatten(2).to(self._query)
        keys_values = self._map_to_keys_values(model, blocks)  # (L, 2, w, w + A + 1)
        if P == 1:
            self.turns = None
            turned = [self._turned(of_block, cos, sin) for of_block in queries[1:]]
            self.queries = [[self._fixed(of_step) for of_step in of_block] for of_block in turned]
            keys = torch.stack([self._turned(of_block, cos, sin) for of_block in keys_values[:, 0]], 1)  # (H, L, w, ..)
            of_steps = torch.stack([keys, keys_values[:, 1].expand_as(keys)], 2)
            self.keys_values = [self._fixed(of_step.flatten(0, 2)) for of_step in of_steps[:-1]]
        else:
            self.turns = tuple(x.to(self._query) for x in _over_heads(cos, sin, self._heads, predictor.width))
            self.queries = [[self._fixed(of_block)] * H for of_block in queries[1:]]
            self.keys_values = [self._fixed(keys_values.flatten(0, 2))] * (H - 1)

    def is_of(self, model: ActionConditioned) -> bool:
        """Whether the predictor's weights are still those that this was made of."""
        now = [_bits(parameter) for parameter in model.parameters()]
        return len(now) == len(self._made_of) and all(
            a.dtype == b.dtype and a.device == b.device and torch.equal(a, b)
            for a, b in zip(self._made_of, now, strict=True)
        )

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

    def _turned(self, weight: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """Turn what comes out of a map (w, ..) as the token of each step is turned: (H, w, ..)."""
        by_head = weight.unflatten(0, (self._heads, -1)).transpose(1, 2)
        return rotate(by_head.expand(len(cos), -1, -1, -1), cos, sin).transpose(2, 3).flatten(1, 2)

    def _joined(self, linear: nn.Linear) -> Tensor:
        """Return a linear map with its bias as one more column: (out, in + 1)."""
        return torch.cat([linear.weight, linear.bias[:, None]], 1).to(self._wide)

    def _fixed(self, joined: Tensor) -> FixedLinear:
        joined = joined.to(self._query.dtype)
        return FixedLinear(joined[:, :-1], joined[:, -1])


class _Maps:
    """A block's linear maps, and those of the action block behind it, with its scale put into the last of them."""

    def __init__(self, block: Block, action: ActionBlock):
        self.out = _as_it_is(block.attention.out)
        self.fc1, self.fc2 = _as_it_is(block.mlp.fc1), _as_it_is(block.mlp.fc2)
        self.action1, gain = _as_it_is(action.mlp.fc1), action.gain()
        self.action2 = FixedLinear(gain[:, None] * action.mlp.fc2.weight, gain * action.mlp.fc2.bias)


def _as_it_is(linear: nn.Linear) -> FixedLinear:
    return FixedLinear(linear.weight, linear.bias)


def _bits(parameter: Tensor) -> Tensor:
    """Return the same memory as whole numbers, which are compared in half of the time, and NaN with itself."""
    whole = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[parameter.dtype.itemsize]
    return parameter.detach().view(whole)


def _over_heads(cos: Tensor, sin: Tensor, heads: int, width: int) -> tuple[Tensor, Tensor]:
    """Bring cosines and sines (H, 1, P, m) to all numbers of all heads, (H, P, w), for :func:`turn`."""
    rest = width // heads - 2 * cos.shape[-1]
    of_head = F.pad(torch.cat([cos, cos], -1), (0, rest), value=1.0), F.pad(torch.cat([-sin, sin], -1), (0, rest))
    cosines, sines = (x[:, 0].repeat(1, 1, heads) for x in of_head)
    return cosines, sines


def turn(x: Tensor, heads: int, num_angles: int, cosines: Tensor, sines: Tensor) -> Tensor:
    """Turn queries or keys (R, P, w) by a step's angles (P, w): what :func:`.rotary.rotate` does, on whole rows.

    Long rows take a third of the time that pieces of ``num_angles`` numbers take.
    """
    other = torch.zeros_like(x, memory_format=torch.contiguous_format)
    of_heads, others = (y.unflatten(-1, (heads, -1)) for y in (x, other))
    others[..., :num_angles] = of_heads[..., num_angles : 2 * num_angles]
    others[..., num_angles : 2 * num_angles] = of_heads[..., :num_angles]
    return (x * cosines).addcmul_(other, sines)
