"""How a predictor is trained: settings of the loop, of pretraining and of fine-tuning.

Their fields are of plain types, so that a command line, YAML and JSON can say all of them.
"""

import math
from dataclasses import dataclass
from typing import Any

from ..checks import boolean, check_fields, check_number, choice, number, whole
from ..models.predictor import SIZES
from .optimizer import OPTIMIZERS


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """What :class:`~wmcontrol.training.Trainer` does; defaults are for the tiny size.

    DINO-world's (arXiv 2507.19468, 3.2 and appendix A) are optimizer=adamw learning_rate=1e-4 min_lr_ratio=1
    warmup_steps=5000 weight_decay=0.4 max_grad_norm=null.

    Args:
        num_steps: optimiser steps. For example 300000.
        optimizer: adamw, or muon, which learns in fewer steps, see
            :func:`~wmcontrol.training.optimizer.make_optimizer`. For example adamw.
        learning_rate: after the warm-up. For example 1e-4.
        warmup_steps: over which the learning rate grows linearly. For example 5000.
        min_lr_ratio: the learning rate at the end over that after the warm-up, along half a cosine; 1 keeps it
            constant. For example 1.
        weight_decay: of matrices; biases, scales and the query have none. For example 0.4.
        max_grad_norm: gradients with a larger norm are scaled down to it; null for no clipping. For example 0.5.
        grad_accum_steps: parts that each process splits its batch into, to save memory. For example 4.
        ema_decay: decay per step of an exponential moving average of the weights, which is then what is kept; 0 for
            none. For example 0.999.
        rollout_steps: passes of :class:`~wmcontrol.training.PredictionLoss`; 1 is teacher forcing. For example 2.
        backprop_through_rollout: let gradients flow through all of these passes, not only through the last. For
            example true.
        seed: of fresh weights, of the order of the data, and of the split. For example 1.
        dtype: to compute in; auto is bfloat16 where the device has arithmetic for it, else float32. Weights are in
            float32 in any case. For example float32.
        compile: let torch.compile make it faster: a minute at first. For example true.
        shard: share out weights and the optimiser's state over the processes of torchrun, rather than have all of them
            in each; by default for large and giant. For example true.

    Raises:
        ValueError: a setting is not what is expected; it is named.
    """

    num_steps: int = whole()
    optimizer: str = choice("muon", OPTIMIZERS)
    learning_rate: float = number(5e-3, "(0, inf)")
    warmup_steps: int = whole(500, least=0)
    min_lr_ratio: float = number(0.0, "[0, 1]")
    weight_decay: float = number(0.05, "[0, inf)")
    max_grad_norm: float | None = number(1.0, "(0, inf)", optional=True)
    grad_accum_steps: int = whole(1)
    ema_decay: float = number(0.0, "[0, 1)")
    rollout_steps: int = whole(1)
    backprop_through_rollout: bool = boolean(False)
    seed: int = whole(0, least=0)
    dtype: str = choice("auto", ("auto", "float32", "bfloat16"))
    compile: bool = boolean(False)
    shard: bool | None = boolean(None)

    def __post_init__(self) -> None:
        check_fields(self)
        num_frames = getattr(self, "num_frames", math.inf)
        if self.rollout_steps >= num_frames:
            raise ValueError(f"rollout_steps: expected fewer than num_frames={num_frames}, got {self.rollout_steps}")

    def rate(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0."""
        warm = min(1.0, (step + 1) / self.warmup_steps) if self.warmup_steps else 1.0
        rest = max(1, self.num_steps - self.warmup_steps)
        done = min(1.0, max(0.0, (step - self.warmup_steps) / rest))
        cosine = self.min_lr_ratio + (1 - self.min_lr_ratio) * 0.5 * (1 + math.cos(math.pi * done))
        return self.learning_rate * warm * cosine


@dataclass(frozen=True, kw_only=True)
class PretrainSettings(TrainingSettings):
    """How :func:`~wmcontrol.training.pretrain` trains; the paper's also are num_steps=300000 batch_size=1024.

    Args:
        size: of the predictor: tiny, small, base, large or giant. For example base.
        num_frames: frames of a clip. For example 4.
        step_seconds: the shortest and the longest time from one frame to the next. For example 0.05,1.0.
        batch_size: clips of a step, of all processes together. For example 1024.
    """

    size: str = choice("tiny", SIZES)
    num_frames: int = whole(8, least=2)
    step_seconds: tuple[float, float] = (0.1, 0.6)
    num_steps: int = whole(10_000)
    batch_size: int = whole(256)

    def __post_init__(self) -> None:
        super().__post_init__()
        pair: Any = self.step_seconds
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise ValueError(f"step_seconds must be two numbers, the shortest time and the longest, got {pair!r}")
        for seconds in pair:
            check_number("step_seconds", seconds, "(0, inf)")
        if pair[0] > pair[1]:
            raise ValueError(f"step_seconds must be the shortest time and the longest, got {pair!r}")
        object.__setattr__(self, "step_seconds", tuple(pair))  # YAML has lists


@dataclass(frozen=True, kw_only=True)
class FinetuneSettings(TrainingSettings):
    """How :func:`~wmcontrol.training.finetune` trains; the paper's also are num_frames=4 and no backbone_….

    Args:
        num_train_trajectories: train on only so many trajectories; by default on all that are not held out. For
            example 200.
        size: of the predictor, without a base: tiny, small, base, large or giant. For example base.
        frameskip: environment steps of a model step. For example 4.
        repeat_action: plan one action for each model step, repeated in it, in place of frameskip different ones. For
            example true.
        num_frames: frames of a window; the paper's is 4, but a plan of 5 steps after 3 frames sees 7 before the last.
            For example 4.
        batch_size: windows of a step, of all processes together. For example 1024.
        backbone_lr_scale: with mode=full, factor of the learning rate for what was pretrained. For example 1.
        backbone_freeze_fraction: with mode=full, share of the steps, from the first, in which what was pretrained is
            frozen (Kumar et al., arXiv 2202.10054, train the new head first likewise). For example 0.
        split_seed: decides which trajectories are held out; by default seed. For example 0.
        standardize: from 0 to 1, the power of its standard deviation that errors of each number of a token are divided
            by; with 1 all numbers count alike, as they do in a plan by standardized distances. For example 1.
        practice_share: share of a batch that comes from the store of practice, where one is given. For example 0.25.
    """

    num_train_trajectories: int | None = whole(None)
    size: str = choice("tiny", SIZES)
    frameskip: int = whole(5)
    repeat_action: bool = boolean(False)
    num_frames: int = whole(8, least=2)
    num_steps: int = whole(4000)
    batch_size: int = whole(128)
    warmup_steps: int = whole(200, least=0)
    backbone_lr_scale: float = number(0.3, "(0, inf)")
    backbone_freeze_fraction: float = number(0.3, "[0, 1)")
    split_seed: int | None = whole(None, least=0)
    standardize: float = number(0.0, "[0, 1]")
    practice_share: float = number(0.5, "(0, 1)")

    def backbone_scale(self, step: int) -> float:
        """Return the factor of a step's rate for what was pretrained."""
        return 0.0 if step < self.backbone_freeze_fraction * self.num_steps else self.backbone_lr_scale
