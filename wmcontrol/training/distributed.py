"""One process or many: what ``torchrun`` sets up, and how a loss is shared out."""

import atexit
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from ..hardware import usable_device


@dataclass(frozen=True)
class DistributedContext:
    """Which process this is, of how many, and where it computes."""

    rank: int
    world_size: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether it is the one that writes."""
        return self.rank == 0

    def share(self, loss: nn.Module) -> nn.Module:
        """Wrap what computes the loss, so that gradients are averaged over all processes."""
        if self.world_size == 1:
            return loss
        devices = [self.device] if self.device.type == "cuda" else None
        wrapped: nn.Module = DistributedDataParallel(loss, device_ids=devices)
        return wrapped

    def mean(self, value: float) -> float:
        """Return the mean of a number over all processes."""
        if self.world_size == 1:
            return value
        tensor = torch.tensor(value, dtype=torch.float64, device=self.device)
        dist.all_reduce(tensor)
        return float(tensor) / self.world_size

    def from_first(self, value: Any) -> Any:
        """Return what the first process has, a value that can be pickled."""
        if self.world_size == 1:
            return value
        given = [value]
        dist.broadcast_object_list(given, 0, device=self.device)
        return given[0]

    def wait(self) -> None:
        """Wait for all others."""
        if self.world_size > 1:
            dist.barrier()


@contextmanager
def without_exchange(loss: nn.Module) -> Iterator[None]:
    """In this context gradients stay in their process: for all but the last part of an accumulated batch.

    Both the loss and its gradients must be computed in it.
    """
    if isinstance(loss, DistributedDataParallel):
        with loss.no_sync():
            yield
        return
    exchange: Callable[[bool], None] = getattr(loss, "set_requires_gradient_sync", lambda _: None)  # of fully_shard
    exchange(False)
    try:
        yield
    finally:
        exchange(True)


@contextmanager
def distributed(device: str | torch.device = "auto") -> Iterator[DistributedContext]:
    """Join the processes that ``torchrun`` started, for as long as this one runs; without it there is one.

    Args:
        device: where to compute, as for :func:`~wmcontrol.hardware.usable_device`.
    """
    rank, world_size = (int(os.environ.get(name, default)) for name, default in (("RANK", "0"), ("WORLD_SIZE", "1")))
    place = usable_device(device)
    if world_size == 1:
        yield DistributedContext(0, 1, place)
        return
    if place.type == "cuda":
        torch.cuda.set_device(place)  # where what is sharded is put
    if not dist.is_initialized():
        dist.init_process_group("nccl" if place.type == "cuda" else "gloo")
        atexit.register(dist.destroy_process_group)  # not sooner: a second group soon after the first may hang
    yield DistributedContext(rank, world_size, place)
    dist.barrier()  # nobody leaves while another still talks to it
