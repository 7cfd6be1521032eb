"""How a predictor is trained."""

import math
from dataclasses import dataclass, fields
from typing import get_args

from .optimizer import OptimizerName

_WHOLE = {"num_steps": 1, "warmup_steps": 0, "grad_accum_steps": 1, "rollout_steps": 1, "seed": 0}


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """The settings of a run; defaults are DINO-world's (arXiv 2507.19468, section 3.2 and appendix A).

    Args:
        num_steps: optimiser steps.
        optimizer: ``"adamw"`` or ``"muon"``, see :func:`~wmcontrol.training.optimizer.make_optimizer`.
        learning_rate: after the warm-up.
        warmup_steps: over which it grows linearly.
        min_lr_ratio: the rate at the end over that after the warm-up, along half a cosine; 1 keeps it constant, as the
            paper does.
        backbone_lr_scale: factor of the rate for the backbone: the pretrained predictor that an
            :class:`~wmcontrol.models.ActionConditioned` wraps.
        backbone_freeze_fraction: share of the steps, from the first, in which the backbone is frozen and only the
            action blocks are trained (Kumar et al., arXiv 2202.10054, train the new head first likewise).
        weight_decay: of matrices; biases, scales and the query have none.
        max_grad_norm: gradients with a larger norm are scaled down to it; None for no clipping.
        grad_accum_steps: parts that each process splits its batch into, to save memory; gradients are summed.
        ema_decay: decay per step of an exponential moving average of the weights, which is then what is kept; 0: none.
        rollout_steps, backprop_through_rollout: of :class:`~wmcontrol.training.losses.PredictionLoss`.
        seed: of fresh weights and of the order of the data.

    Raises:
        ValueError: a number out of range.
    """

    num_steps: int
    optimizer: OptimizerName = "adamw"
    learning_rate: float = 1e-4
    warmup_steps: int = 5000
    min_lr_ratio: float = 1.0
    backbone_lr_scale: float = 1.0
    backbone_freeze_fraction: float = 0.0
    weight_decay: float = 0.4
    max_grad_norm: float | None = None
    grad_accum_steps: int = 1
    ema_decay: float = 0.0
    rollout_steps: int = 1
    backprop_through_rollout: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in _WHOLE.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"{name} must be a whole number from {least} up, got {value!r}")
        checks = {
            "optimizer": self.optimizer in get_args(OptimizerName),
            "learning_rate": 0 < self.learning_rate < math.inf,
            "min_lr_ratio": 0 <= self.min_lr_ratio <= 1,
            "backbone_lr_scale": 0 < self.backbone_lr_scale < math.inf,
            "backbone_freeze_fraction": 0 <= self.backbone_freeze_fraction < 1,
            "weight_decay": 0 <= self.weight_decay < math.inf,
            "max_grad_norm": self.max_grad_norm is None or 0 < self.max_grad_norm < math.inf,
            "ema_decay": 0 <= self.ema_decay < 1,
        }
        for field in fields(self):
            if not checks.get(field.name, True):
                raise ValueError(f"{field.name} is out of range: {getattr(self, field.name)!r}")

    def rate(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0."""
        warm = min(1.0, (step + 1) / self.warmup_steps) if self.warmup_steps else 1.0
        rest = max(1, self.num_steps - self.warmup_steps)
        done = min(1.0, max(0.0, (step - self.warmup_steps) / rest))
        cosine = self.min_lr_ratio + (1 - self.min_lr_ratio) * 0.5 * (1 + math.cos(math.pi * done))
        return self.learning_rate * warm * cosine

    def backbone_scale(self, step: int) -> float:
        """Return the factor of a step's rate for the backbone."""
        return 0.0 if step < self.backbone_freeze_fraction * self.num_steps else self.backbone_lr_scale
