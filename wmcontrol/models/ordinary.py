"""Tensors that gradients may be computed with, whatever mode the process is in."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def ordinary_tensors() -> Iterator[None]:
    """Make ordinary tensors inside ``torch.inference_mode()`` too; there, gradients are off as they were.

    What is kept from one call to the next would otherwise refuse to be differentiated, or written into, later.
    """
    if torch.is_inference_mode_enabled():
        with torch.inference_mode(False), torch.no_grad():
            yield
    else:
        yield


def check_differentiable(network: nn.Module) -> None:
    """Refuse weights that nothing can be differentiated through, where gradients are on.

    Raises:
        ValueError: the network was made inside ``torch.inference_mode()``.
    """
    if torch.is_grad_enabled() and any(parameter.is_inference() for parameter in network.parameters()):
        raise ValueError(
            "this model was made inside torch.inference_mode(), so nothing can be differentiated through it; "
            "make it outside, or load it, or plan without gradients"
        )
