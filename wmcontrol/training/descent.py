"""The loop that trains a small network, such as an action prior or a head, and goes on after a kill."""

import copy
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from .state import Log, OnLog, load_state, save_state

_EVERY = 50  # steps from one line of the log to the next
_DECAY = 0.99  # of the moving average, per step
_SAVE_SECONDS = 60.0
Network = TypeVar("Network", bound=nn.Module)


def cosine(done: float) -> float:
    """Return the factor of the learning rate where a share of the steps is done: half a cosine, from 1 to 0."""
    return 0.5 * (1 + math.cos(math.pi * done))


def descend(
    network: Network,
    optimizer: torch.optim.Optimizer,
    loss_of: Callable[[int], Tensor],
    *,
    num_steps: int,
    rate: Callable[[float], float],
    folder: Path | None,
    device: torch.device,
    progress: Callable[[int, int], None] | None,
    on_log: OnLog | None,
    held_out_loss: Callable[[Network], Tensor] | None = None,
) -> tuple[float, float]:
    """Train a network, in place, to the same weights whether it was killed or not.

    Args:
        network: that learns.
        optimizer: of its parameters, with the learning rate of the start.
        loss_of: the loss of a step, which depends on nothing but the weights and the step's number.
        num_steps: how many.
        rate: factor of the learning rate, of the share of the steps that is done.
        folder: for the state and the log; None where nothing is kept.
        device: where the network is.
        progress: called with the steps done, and of how many; first before the first step.
        on_log: called with a step and what the log says of it.
        held_out_loss: the loss of such a network on data that it does not learn from. With it a moving average of the
            weights is tested every 50 steps, and the network has in the end the best of these averages: what few data
            teach first holds for others too, what comes later is learned by heart.

    Returns:
        The loss of the last step, and the seconds that all steps took, those before a kill included.

    Raises:
        ValueError: a loss is not finite; or torchrun has started more processes than one.
        OSError: the folder cannot be written to.
    """
    if dist.is_initialized() and dist.get_world_size() > 1:
        raise ValueError(
            f"this trains in one process, and torchrun has started {dist.get_world_size()}; run it without torchrun"
        )
    rates = [group["lr"] for group in optimizer.param_groups]
    state, step, value, before = None if folder is None else load_state(folder, device), 0, math.nan, 0.0
    best = None if held_out_loss is None else _Best(network, held_out_loss)
    if state is not None:
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        step, value, before = state["step"], state["loss"], state["seconds"]
        if best is not None:
            best.load(state["best"])
    log = None if folder is None else Log(folder, step, on_log)
    saved = started = time.monotonic()
    if progress is not None:
        progress(step, num_steps)
    while step < num_steps:
        for group, first in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = first * rate(step / num_steps)
        loss = loss_of(step)
        value, step = float(loss.detach()), step + 1
        if not math.isfinite(value):
            raise ValueError(f"step {step}: the loss is {value}; a lower learning_rate may help")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        last = step == num_steps
        told = {"loss": value}
        if best is not None:
            best.follow(network, step)
            if step % _EVERY == 0 or last:
                told["held_out_loss"] = best.test()
        if log is not None and (step % _EVERY == 0 or last):
            log(step, **told)
        if progress is not None:
            progress(step, num_steps)
        if folder is not None and (last or time.monotonic() - saved > _SAVE_SECONDS):
            saved = time.monotonic()
            learned = {"network": network.state_dict(), "optimizer": optimizer.state_dict()}
            learned["best"] = {} if best is None else best.state()
            save_state(folder, {**learned, "step": step, "loss": value, "seconds": before + saved - started})
    if best is not None:
        network.load_state_dict(best.weights)
    return value, before + time.monotonic() - started


class _Best(Generic[Network]):
    """The best of the moving averages of a network's weights, by its loss on held-out data."""

    def __init__(self, network: Network, loss_of: Callable[[Network], Tensor]):
        self._average, self._loss_of, self._loss = copy.deepcopy(network), loss_of, math.inf
        self.weights = copy.deepcopy(network.state_dict())

    @torch.no_grad()
    def follow(self, network: Network, step: int) -> None:
        for kept, new in zip(self._average.parameters(), network.parameters(), strict=True):
            kept.lerp_(new, 1 - min(_DECAY, step / (step + 10)))  # of the first steps, as many as there are

    @torch.no_grad()
    def test(self) -> float:
        loss = float(self._loss_of(self._average))
        if loss < self._loss:
            self._loss, self.weights = loss, copy.deepcopy(self._average.state_dict())
        return loss

    def state(self) -> dict[str, Any]:
        return {"average": self._average.state_dict(), "loss": self._loss, "weights": self.weights}

    def load(self, state: dict[str, Any]) -> None:
        self._average.load_state_dict(state["average"])
        self._loss, self.weights = state["loss"], state["weights"]
