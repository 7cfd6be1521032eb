"""What learns in a process: a predictor, its moving average and the optimiser, in one piece or sharded."""

import copy
from typing import Any

import torch
from torch import nn

from ..models import ActionConditioned, Predictor
from .distributed import DistributedContext
from .losses import PredictionLoss
from .optimizer import make_optimizer
from .settings import TrainingSettings
from .sharding import gathered, load_module, load_optimizer, shard

AnyPredictor = Predictor | ActionConditioned


class Learner:
    """A predictor's weights on their way.

    A predictor is trained in place, or if sharded a copy of it, which is shared out: each process has a part, and all
    of them must call :meth:`state` and :meth:`give_to` together.

    Args:
        predictor: whose parameters that ask for a gradient learn.
        where: this process.
        settings: of the loss, the optimiser and the moving average.
        grid: rows and columns of patches.
        sharded: whether it is.
    """

    def __init__(
        self,
        predictor: AnyPredictor,
        where: DistributedContext,
        settings: TrainingSettings,
        grid: tuple[int, int],
        *,
        sharded: bool,
    ):
        self.where, self.sharded = where, sharded
        self.predictor = copy.deepcopy(predictor) if sharded else predictor.to(where.device)
        self.ema = copy.deepcopy(self.predictor) if settings.ema_decay else None
        loss: nn.Module = PredictionLoss(
            self.predictor,
            grid,
            rollout_steps=settings.rollout_steps,
            backprop_through_rollout=settings.backprop_through_rollout,
        )
        if sharded:
            for module in [loss] if self.ema is None else [loss, self.ema]:
                shard(module, where)
        else:
            loss = where.share(loss)
        self.loss = loss
        self.optimizer = make_optimizer(
            self.predictor, settings.optimizer, settings.learning_rate, settings.weight_decay
        )

    def clip(self, limit: float | None) -> float:
        """Scale the gradient down to a norm, if it is above, and return the norm that it had."""
        learning = [parameter for parameter in self.predictor.parameters() if parameter.requires_grad]
        norm: Any = nn.utils.clip_grad_norm_(learning, float("inf") if limit is None else limit)
        return float(norm.full_tensor() if self.sharded else norm)

    @torch.no_grad()
    def follow(self, decay: float) -> None:
        """Move the moving average, if there is one, towards the weights."""
        if self.ema is not None:
            for kept, new in zip(self.ema.parameters(), self.predictor.parameters(), strict=True):
                kept.lerp_(new, 1 - decay)

    def give_to(self, predictor: AnyPredictor, *, everywhere: bool) -> None:
        """Give a predictor the weights, or their moving average; if sharded, ``everywhere`` or in the first process."""
        best = self.ema or self.predictor
        state = best.state_dict()
        if self.sharded:
            state = gathered(state, keep=everywhere or self.where.first)
        if best is not predictor and (everywhere or self.where.first):
            predictor.load_state_dict(state)

    def state(self) -> dict[str, Any]:
        """Return all that is needed to go on, whole; if sharded, in the first process alone."""
        state = {
            "predictor": self.predictor.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "ema": None if self.ema is None else self.ema.state_dict(),
        }
        return gathered(state, keep=self.where.first) if self.sharded else state

    def load(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state` returned, in one piece or sharded, now and then."""
        modules = [(self.predictor, state["predictor"])]
        if self.ema is not None:
            modules.append((self.ema, state["ema"]))
        for module, of_module in modules:
            if self.sharded:
                load_module(module, of_module)
            else:
                module.load_state_dict(of_module)
        if self.sharded:
            for part, of_part in zip(self.optimizer.parts, state["optimizer"], strict=True):
                load_optimizer(part, of_part)
        else:
            self.optimizer.load_state_dict(state["optimizer"])
