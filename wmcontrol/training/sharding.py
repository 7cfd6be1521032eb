"""Sharded training (``fully_shard``): each process keeps a part of every parameter, and of what the optimiser knows.

States on disk are whole: they do not tell how many processes there were, and a run may go on with another number.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ..models import ActionConditioned, Predictor
from ..models.action import ActionBlock
from ..models.blocks import Block
from ..models.predictor import SIZES
from .distributed import DistributedContext


def too_large_to_copy(predictor: Predictor | ActionConditioned) -> bool:
    """Whether a predictor is of the sizes large and giant, of which not every process should hold all."""
    plain = predictor.predictor if isinstance(predictor, ActionConditioned) else predictor
    return plain.width >= SIZES["large"][0]


def shard(root: nn.Module, where: DistributedContext) -> None:
    """Share out a predictor, or what has one in it, in place: the first process's parameters, over all of them.

    A block's weights are gathered while it computes and dropped thereafter; ``root`` is what is called.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    with torch.no_grad():
        for parameter in root.parameters():
            whole = parameter.to(where.device)
            dist.broadcast(whole, 0)
            parameter.copy_(whole)
    mesh = init_device_mesh(where.device.type, (where.world_size,))
    for unit in [part for part in root.modules() if isinstance(part, Block | ActionBlock)]:
        fully_shard(unit, mesh=mesh)
    fully_shard(root, mesh=mesh)  # last: all that is in none of them


def gathered(state: Any, keep: bool) -> Any:
    """Return a state dictionary with every tensor whole and on the CPU; all processes must take part.

    Args:
        state: of a sharded module or its optimiser.
        keep: whether this process wants it; otherwise there is None for what was gathered, to save memory.
    """
    from torch.distributed.tensor import DTensor

    if isinstance(state, DTensor):
        whole = state.full_tensor()
        return whole.cpu() if keep else None
    if isinstance(state, dict):
        return {name: gathered(value, keep) for name, value in state.items()}
    if isinstance(state, list):
        return [gathered(value, keep) for value in state]
    return state


def load_module(module: nn.Module, state: dict[str, Tensor]) -> None:
    """Load a whole state into a sharded module, of which this process takes its part."""
    own = module.state_dict()
    module.load_state_dict({name: _part(value, own[name]) for name, value in state.items()})


def load_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Load a whole state into the optimiser of a sharded module."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    parts = {
        number: {name: _part(value, parameters[number]) for name, value in of_one.items()}
        for number, of_one in state["state"].items()
    }
    optimizer.load_state_dict({**state, "state": parts})


def _part(value: Any, like: Tensor) -> Any:
    from torch.distributed.tensor import DTensor, distribute_tensor

    if not isinstance(like, DTensor) or not isinstance(value, Tensor) or value.shape != like.shape:
        return value  # such as the number of steps
    # None: every process has read the whole, so that nothing need be sent.
    return distribute_tensor(value, like.device_mesh, like.placements, src_data_rank=None)
