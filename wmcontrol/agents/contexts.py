"""What a model imagines from: the frames that an agent has seen, at their real times, and what was done between."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..models import WorldModel
from .simulator import SimulatorModel
from .state import Row


def steps_of(row: Row, memory: int, frameskip: int) -> list[int]:
    """Return the environment steps of the frames that the model is to see: ``frameskip`` apart, oldest first."""
    return list(range(row.step, max(0, row.step - memory) - 1, -frameskip))[::-1]


def context_of(model: WorldModel | SimulatorModel, rows: Sequence[Row], memory: int) -> Any:
    """Return the context of environments that have seen equally many frames, all of them encoded.

    Args:
        model: imagines from it.
        rows: the environments.
        memory: how many environment steps it reaches back.
    """
    if isinstance(model, SimulatorModel):
        return model.context([row.sight for row in rows if row.sight is not None])
    steps = [steps_of(row, memory, model.frameskip) for row in rows]
    tokens = torch.stack([torch.stack([row.tokens[s] for s in seen]) for row, seen in zip(rows, steps, strict=True)])
    times = torch.tensor(steps, dtype=torch.float64, device=tokens.device) / model.control_rate
    done = torch.stack([_done(model, row, len(seen) - 1) for row, seen in zip(rows, steps, strict=True)])
    return model.context(tokens, times, done.to(tokens))


def _done(model: WorldModel, row: Row, count: int) -> Tensor:
    """Return the last ``count`` model actions that were done, (count, A)."""
    normalizer = model.normalizer
    assert normalizer is not None
    if not count:
        return normalizer.mean.new_zeros(0, normalizer.action_dim)
    assert row.done is not None
    done = torch.from_numpy(row.done[-count * normalizer.frameskip :]).to(normalizer.mean.device)
    return normalizer.to_model(done.unflatten(0, (count, normalizer.frameskip)))
