"""Linear maps for rollouts without gradients, with weights in the order in which a processor multiplies them."""

from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

_mkldnn: Any = torch.ops.mkldnn


class PackedLinear:
    """``x @ weight.T + bias``, without gradients, and what often follows it.

    In bfloat16 on a CPU, PyTorch brings the weight into the order that oneDNN computes with at every call. Here that
    is done once, and what follows is computed while the result is in registers: rollouts take a fifth less time. The
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
        """Map (N, in) to (N, out), and add ``other``, (N, out)."""
        if not self.packed:
            return F.linear(x, self._weight, self._bias).add_(other)
        args = (x.contiguous(), other.contiguous(), self._weight, self._bias, "add")
        y: Tensor = _mkldnn._linear_pointwise.binary(*args)
        return y

    def _fused(self, x: Tensor, then: str, how: str) -> Tensor:
        y: Tensor = _mkldnn._linear_pointwise(x.contiguous(), self._weight, self._bias, then, [], how)
        return y


@cache
def can_pack() -> bool:
    """Whether PyTorch has these operators, which are private to it, and the processor has arithmetic for bfloat16."""
    names = ("_linear_pointwise", "_reorder_linear_weight", "_is_mkldnn_bf16_supported")
    return all(hasattr(_mkldnn, name) for name in names) and bool(_mkldnn._is_mkldnn_bf16_supported())
