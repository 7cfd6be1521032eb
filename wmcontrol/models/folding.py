"""Weights of a predictor with actions, brought into the form that rollouts of one-token frames compute with.

With one token per frame, products are small, and half of the plain way's time goes to what stands between them. Much
of that depends on weights and times alone:

* Positions. All tokens of a step have the same one, and turning ``W x + b`` is ``(R W) x + R b``: the weights of
  queries and keys are turned, not what comes out of them.
* From a prediction to its keys and values, in all blocks: ``W_kv (W_embed (W_head x + ..) + W_arrival a)`` is one
  linear map of the normalised queries and the action.
* The first block's queries, which are the same for all.
* The order of weights in memory, see :mod:`.products`.

Letters: ``w`` width; ``h`` heads; ``d`` numbers of a head; ``L`` blocks; ``H`` steps; ``A`` numbers in a model action.
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
        model: predictor with actions, of frames that are one token each.
        elapsed: seconds from the first frame that was seen to each of the H frames to imagine.

    Attributes:
        elapsed: as given.
        blocks: each block's linear maps.
        first_queries: (H, w), of the first block.
        queries: for each other block and step, the map from normalised queries to those of all heads.
        keys_values: for each step but the last, the map from normalised queries and the action that led there,
            (w + A), to the keys and values of the predicted frame in all blocks, (L * 2 * w).
    """

    @torch.no_grad()
    def __init__(self, model: ActionConditioned, elapsed: list[float]):
        predictor, self.elapsed = model.predictor, elapsed
        self._heads, self._query = predictor.num_heads, predictor.query
        self._wide = torch.promote_types(self._query.dtype, torch.float32)  # to compute weights in
        self._made_of = [_bits(parameter).clone() for parameter in model.parameters()]
        times = torch.tensor([elapsed], dtype=torch.float64, device=self._query.device)
        cos, sin = predictor.rotation_at(times, (1, 1), self._wide)  # (1, 1, H, m)
        self._turns = cos.transpose(0, 2), sin.transpose(0, 2)
        blocks, actions = list(predictor.blocks), cast(list[ActionBlock], list(model.action_blocks))
        self.blocks = [_Maps(block, action) for block, action in zip(blocks, actions, strict=True)]
        # The first block adds its attention to the same query for all.
        out = blocks[0].attention.out
        self.blocks[0].out = FixedLinear(out.weight, out.bias + self._query)
        of_heads = (predictor.width // self._heads) ** -0.5
        queries = [of_heads * self._turned(self._joined(block.attention.query)) for block in blocks]  # (H, w, w + 1)
        normed = blocks[0].norm_attention(self._query).to(self._wide)
        self.first_queries = (queries[0] @ F.pad(normed, (0, 1), value=1.0)).to(self._query)
        self.queries = [[self._fixed(of_step) for of_step in of_block] for of_block in queries[1:]]
        self.keys_values = [self._fixed(of_step) for of_step in self._maps_to_keys_values(model, blocks)]

    def is_of(self, model: ActionConditioned) -> bool:
        """Whether the predictor's weights are still those that this was made of."""
        now = [_bits(parameter) for parameter in model.parameters()]
        return len(now) == len(self._made_of) and all(
            a.dtype == b.dtype and a.device == b.device and torch.equal(a, b)
            for a, b in zip(self._made_of, now, strict=True)
        )

    def _maps_to_keys_values(self, model: ActionConditioned, blocks: list[Block]) -> Tensor:
        """Return the maps from normalised queries, actions and 1: (H - 1, L * 2 * w, w + A + 1)."""
        to_all = torch.cat([self._joined(block.attention.key_value) for block in blocks])
        to_all, bias = to_all[:, :-1], to_all[:, -1]
        embed, head = self._joined(model.predictor.embed), self._joined(model.predictor.head)
        of_frame = to_all @ embed[:, :-1]
        bias = bias + to_all @ embed[:, -1] + of_frame @ head[:, -1]
        of_action = to_all @ model.embed_arrival.weight.to(self._wide)
        joined = torch.cat([of_frame @ head[:, :-1], of_action, bias[:, None]], 1)
        keys, values = joined.view(len(blocks), 2, -1, joined.shape[1]).unbind(1)
        turned = torch.stack([self._turned(of_block)[:-1] for of_block in keys], 1)  # (H - 1, L, w, ..)
        return torch.stack([turned, values.expand_as(turned)], 2).flatten(1, 3)

    def _turned(self, weight: Tensor) -> Tensor:
        """Turn what comes out of a map (w, ..) as a token of each step is turned: (H, w, ..)."""
        by_head = weight.unflatten(0, (self._heads, -1)).transpose(1, 2)
        turned = rotate(by_head.expand(len(self._turns[0]), -1, -1, -1), *self._turns)
        return turned.transpose(2, 3).flatten(1, 2)

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
        self.action1, scale = _as_it_is(action.mlp.fc1), action.scale
        self.action2 = FixedLinear(scale[:, None] * action.mlp.fc2.weight, scale * action.mlp.fc2.bias)


def _as_it_is(linear: nn.Linear) -> FixedLinear:
    return FixedLinear(linear.weight, linear.bias)


def _bits(parameter: Tensor) -> Tensor:
    """Return the same memory as whole numbers, which are compared in half of the time, and NaN with itself."""
    whole = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[parameter.dtype.itemsize]
    return parameter.detach().view(whole)
