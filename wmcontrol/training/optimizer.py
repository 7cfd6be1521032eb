"""What changes the weights: AdamW, or Muon for the matrices of the blocks and AdamW for the rest."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from ..checks import check_choice

OPTIMIZERS = ("adamw", "muon")


class Optimizers:
    """Several optimisers that step as one.

    Args:
        parts: each with parameters of its own.
    """

    def __init__(self, parts: Sequence[torch.optim.Optimizer]):
        self.parts = list(parts)

    def set_rate(self, rate: float, backbone_scale: float = 1.0) -> None:
        """Set the learning rate, and that of the backbone to ``backbone_scale`` times as much."""
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = rate * (backbone_scale if group["backbone"] else 1.0)

    def step(self) -> None:
        """Change the weights by their gradients."""
        for part in self.parts:
            part.step()

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for part in self.parts:
            part.zero_grad(set_to_none=True)


def make_optimizer(predictor: nn.Module, name: str, rate: float, weight_decay: float) -> Optimizers:
    """Return what trains the parameters that ask for a gradient.

    ``"adamw"`` is DINO-world's. ``"muon"`` gives the matrices within blocks an update whose singular values are all
    alike (Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024), scaled so that AdamW's rate
    fits it too (Liu et al., arXiv 2502.16982); embeddings, head and vectors stay with AdamW. The tiny predictor learns
    with it in a quarter of the steps.

    Args:
        predictor: whose parameters learn.
        name: of the optimiser.
        rate: the learning rate.
        weight_decay: of matrices; biases, scales and the query have none.
    """
    check_choice("optimizer", name, OPTIMIZERS)
    learning = [(path, p) for path, p in predictor.named_parameters() if p.requires_grad]
    groups: dict[str, list[dict[str, Any]]] = {"muon": [], "adamw": []}
    for backbone in (True, False):
        mine = [(path, p) for path, p in learning if path.startswith("predictor.") is backbone]
        hidden = [p for path, p in mine if name == "muon" and p.ndim == 2 and "blocks." in path]
        chosen = {id(p) for p in hidden}
        rest = [p for _, p in mine if id(p) not in chosen]
        matrices, vectors = [p for p in rest if p.ndim >= 2], [p for p in rest if p.ndim < 2]
        for by, given, decay in (
            ("muon", hidden, weight_decay),
            ("adamw", matrices, weight_decay),
            ("adamw", vectors, 0.0),
        ):
            if given:
                groups[by].append({"params": given, "weight_decay": decay, "backbone": backbone})
    parts: list[torch.optim.Optimizer] = [torch.optim.AdamW(groups["adamw"], lr=rate, fused=True)]
    if groups["muon"]:
        parts.append(
            torch.optim.Muon(groups["muon"], lr=rate, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw")
        )
    return Optimizers(parts)
