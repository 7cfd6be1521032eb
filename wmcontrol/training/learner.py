"""What learns in a process: a predictor, its moving average and the optimiser, in one piece or sharded.

Sharded (``fully_shard``), each process keeps a part of every parameter and of what the optimiser knows. States on disk
are whole: they do not tell how many processes there were, and a run may go on with another number.
"""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_state_dict,
    set_model_state_dict,
    set_state_dict,
)

from ..models import ActionConditioned, Predictor
from ..models.action import ActionBlock
from ..models.blocks import Block
from ..models.predictor import SIZES
from .distributed import DistributedContext
from .losses import PredictionLoss
from .optimizer import make_optimizer
from .settings import TrainingSettings

AnyPredictor = Predictor | ActionConditioned
_WHOLE = StateDictOptions(full_state_dict=True)
_IN_THE_FIRST = StateDictOptions(full_state_dict=True, cpu_offload=True)  # and nothing in the other processes


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
        weights: of the loss.
    """

    def __init__(
        self,
        predictor: AnyPredictor,
        where: DistributedContext,
        settings: TrainingSettings,
        grid: tuple[int, int],
        *,
        sharded: bool,
        weights: Sequence[float] | None = None,
    ):
        self.where, self.sharded = where, sharded
        self.predictor = copy.deepcopy(predictor) if sharded else predictor.to(where.device)
        self.predictor.zero_grad()  # of a run that failed
        self.ema = copy.deepcopy(self.predictor) if settings.ema_decay else None
        loss: nn.Module = PredictionLoss(
            self.predictor,
            grid,
            rollout_steps=settings.rollout_steps,
            backprop_through_rollout=settings.backprop_through_rollout,
            weights=weights,
        ).to(where.device)
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
        """Give a predictor the weights, or their moving average, whole; ``everywhere`` or in the first process."""
        best = self.ema or self.predictor
        if best is not predictor:
            state = get_model_state_dict(best, options=_WHOLE if everywhere else _IN_THE_FIRST)
            if everywhere or self.where.first:
                predictor.load_state_dict(state)

    def state(self) -> dict[str, Any]:
        """Return all that is needed to go on, whole; in the first process alone."""
        predictor, optimizer = get_state_dict(self.predictor, self.optimizer.parts, options=_IN_THE_FIRST)
        ema = None if self.ema is None else get_model_state_dict(self.ema, options=_IN_THE_FIRST)
        return {"predictor": predictor, "optimizer": optimizer, "ema": ema}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state` returned, in one piece or sharded, now and then."""
        set_state_dict(
            self.predictor,
            self.optimizer.parts,
            model_state_dict=state["predictor"],
            optim_state_dict=state["optimizer"],
            options=_WHOLE,
        )
        if self.ema is not None:
            set_model_state_dict(self.ema, state["ema"], options=_WHOLE)


def too_large_to_copy(predictor: AnyPredictor) -> bool:
    """Whether a predictor is of the sizes large and giant, of which not every process should hold all."""
    plain = predictor.predictor if isinstance(predictor, ActionConditioned) else predictor
    return plain.width >= SIZES["large"][0]


def shard(root: nn.Module, where: DistributedContext) -> None:
    """Share out a predictor, or what has one in it, in place, over all processes, in which it must be the same.

    A block's weights are gathered while it computes and dropped thereafter; ``root`` is what is called.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(where.device.type, (where.world_size,))
    for unit in [part for part in root.modules() if isinstance(part, Block | ActionBlock)]:
        fully_shard(unit, mesh=mesh)
    fully_shard(root, mesh=mesh)  # last: all that is in none of them
