"""Bounds of actions in another number type."""

import torch
from torch import Tensor


def rounded_inwards(low: Tensor, high: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
    """Return bounds in the number type and on the device of ``like``, such that what is inside them is inside these.

    Between bounds that are closer than two numbers of that type there may be none; the nearest to each must do then.
    """
    below, above = low.to(like), high.to(like)
    infinity = torch.full_like(below, float("inf"))
    below = torch.where(below.double() < low.double(), torch.nextafter(below, infinity), below)
    above = torch.where(above.double() > high.double(), torch.nextafter(above, -infinity), above)
    return torch.where(below > above, low.to(like), below), torch.where(below > above, high.to(like), above)
