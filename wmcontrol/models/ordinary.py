"""Tensors that gradients may be computed with, whatever mode the process is in."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


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
