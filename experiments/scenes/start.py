"""A predictor that copies the last frame before it has learned anything, so that all that it learns is what changes.

With its usual weights the tiny predictor takes hundreds of steps to find out that most of a frame stays as it is. Here
the first block attends to where the query is, in the last frame, by position alone, and passes on what is there; the
other blocks look around there, by position too, and add nothing yet. All weights learn as usual.

Letters: ``D`` numbers of a token, ``W`` width of the predictor.
"""

import math

import torch
from torch import Tensor

from wmcontrol.models import Predictor

_LARGE = 4.0  # of the numbers of a query that tokens do not use: beside them its length hardly depends on the token
# What a position adds to the scores of attention, by its period of those from 0.01 to 100: the sum of cosines falls by
# over 5 from one place of a grid of up to 8 by 8 to all others, and from a frame to the one before it, a fifteenth to a
# third of a second apart, by over 3.
_IN_SPACE = {4: 2.5, 5: 4.0, 6: 3.0}
_IN_TIME = {4: 4.0, 5: 8.0, 6: 20.0}
# Shares of these in the heads of later blocks: the places around in the last frame; there in all frames; everywhere.
_AROUND = ((0.5, 0.5), (0.5, 0.1), (0.1, 0.2))


@torch.no_grad()
def start_by_copying(predictor: Predictor, tokens: Tensor) -> None:
    """Set a new predictor's weights so that it predicts the last frame.

    Args:
        predictor: of a width above D, with heads of 64 numbers.
        tokens: (…, D) some, for their mean and standard deviation.

    Raises:
        ValueError: the predictor is too narrow, or its heads have other sizes.
    """
    D, W, size = predictor.dim, predictor.width, predictor.width // predictor.num_heads
    if W <= D or size != 64:
        raise ValueError(f"predictor: expected a width over {D} and heads of 64 numbers, got {W} and {size}")
    every = tokens.double().flatten(0, -2)
    mean, std = every.mean(0).float(), every.std(0).float().clamp_min(1e-6)
    spare = _LARGE * (1 - 2 * (torch.arange(W - D, dtype=torch.float32, device="cpu") % 2))
    predictor.embed.weight.zero_()[:D].copy_(torch.diag(1 / std))
    predictor.embed.bias.zero_()[:D].copy_(-mean / std)
    predictor.query.zero_()[D:].copy_(spare)
    length = math.sqrt((float(spare.square().sum()) + D) / W)  # that the last norm divides by
    predictor.head.weight.zero_()[:, :D].copy_(torch.diag(std) * length)
    predictor.head.bias.copy_(mean)
    for number, block in enumerate(predictor.blocks):
        attention = block.attention
        shares = ((1.0, 1.0),) if number == 0 else _AROUND
        by_place = [_position(predictor, *shares[head % len(shares)]) for head in range(predictor.num_heads)]
        attention.query.bias.copy_(torch.cat(by_place))
        attention.key_value.bias[:W].copy_(torch.cat(by_place))
        if number == 0:
            attention.query.weight.mul_(0.1)
            attention.key_value.weight[:W].mul_(0.1)
            torch.nn.init.eye_(attention.key_value.weight[W:])
            torch.nn.init.eye_(attention.out.weight)
        else:
            attention.out.weight.zero_()
        block.mlp.fc2.weight.zero_()


def _position(predictor: Predictor, in_space: float, in_time: float) -> Tensor:
    """Return what a head's queries and keys have in common: its scores then depend on where they are."""
    size, periods = predictor.width // predictor.num_heads, predictor.num_periods
    found = torch.zeros(size, dtype=torch.float32, device="cpu")
    for axis, (amplitudes, share) in enumerate(((_IN_TIME, in_time), (_IN_SPACE, in_space), (_IN_SPACE, in_space))):
        for period, amplitude in amplitudes.items():
            found[axis * periods + period] = math.sqrt(amplitude * share * math.sqrt(size))
    return found
