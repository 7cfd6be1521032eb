"""How a predictor is trained."""

import math
from dataclasses import dataclass, fields
from typing import get_args

from .optimizer import OptimizerName

_WHOLE = {"num_steps": 1, "warmup_steps": 0, "accumulate": 1, "rollout_steps": 1, "seed": 0}


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """The settings of a run; defaults are DINO-world's (arXiv 2507.19468, section 3.2 and appendix A).

    Args:
        num_steps: optimiser steps.
        optimizer: ``"adamw"`` or ``"muon"``, see :func:`~wmcontrol.training.optimizer.make_optimizer`.
        learning_rate: after the warm-up.
        warmup_steps: over which it grows linearly.
        final_rate: share of it at the end, along half a cosine; 1 keeps it constant, as the paper does.
        trunk_rate: share of the rate for what an :class:`~wmcontrol.models.ActionConditioned` wraps: its predictor
            without actions, which was pretrained while the rest begins anew.
        actions_first: share of the steps, from the first, in which the wrapped predictor stands still and only what
            takes actions learns (Kumar et al., arXiv 2202.10054, train the new head first likewise).
        weight_decay: of matrices; biases, scales and the query have none.
        clip_norm: norm of the gradient that is not exceeded; None for no clipping.
        accumulate: parts that a process works its share of a batch off in, to save memory.
        average: decay per step of a running average of the weights, which is then what is kept; 0 for none.
        rollout_steps, through: of :class:`~wmcontrol.training.losses.PredictionLoss`.
        seed: of fresh weights and of the order of the data.

    Raises:
        ValueError: a number out of range.
    """

    num_steps: int
    optimizer: OptimizerName = "adamw"
    learning_rate: float = 1e-4
    warmup_steps: int = 5000
    final_rate: float = 1.0
    trunk_rate: float = 1.0
    actions_first: float = 0.0
    weight_decay: float = 0.4
    clip_norm: float | None = None
    accumulate: int = 1
    average: float = 0.0
    rollout_steps: int = 1
    through: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in _WHOLE.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"{name} must be a whole number from {least} up, got {value!r}")
        checks = {
            "optimizer": self.optimizer in get_args(OptimizerName),
            "learning_rate": 0 < self.learning_rate < math.inf,
            "final_rate": 0 <= self.final_rate <= 1,
            "trunk_rate": 0 < self.trunk_rate < math.inf,
            "actions_first": 0 <= self.actions_first < 1,
            "weight_decay": 0 <= self.weight_decay < math.inf,
            "clip_norm": self.clip_norm is None or 0 < self.clip_norm < math.inf,
            "average": 0 <= self.average < 1,
        }
        for field in fields(self):
            if not checks.get(field.name, True):
                raise ValueError(f"{field.name} is out of range: {getattr(self, field.name)!r}")

    def rate(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0."""
        warm = min(1.0, (step + 1) / self.warmup_steps) if self.warmup_steps else 1.0
        rest = max(1, self.num_steps - self.warmup_steps)
        done = min(1.0, max(0.0, (step - self.warmup_steps) / rest))
        cosine = self.final_rate + (1 - self.final_rate) * 0.5 * (1 + math.cos(math.pi * done))
        return self.learning_rate * warm * cosine

    def trunk(self, step: int) -> float:
        """Return the share of a step's rate that the wrapped predictor learns at."""
        return 0.0 if step < self.actions_first * self.num_steps else self.trunk_rate
