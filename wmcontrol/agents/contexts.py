"""What a model imagines from: the frames that an agent has seen, at their real times, and what was done between."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..models import WorldModel
from .simulator import SimulatorModel
from .state import EnvState


def steps_of(env: EnvState, memory: int, frameskip: int) -> list[int]:
    """Return the environment steps of the frames that the model is to see: ``frameskip`` apart, oldest first."""
    return list(range(env.step, max(0, env.step - memory) - 1, -frameskip))[::-1]


def context_of(model: WorldModel | SimulatorModel, envs: Sequence[EnvState], memory: int) -> Any:
    """Return the context of environments that have seen equally many frames, all of them encoded.

    Args:
        model: imagines from it.
        envs: the environments.
        memory: how many environment steps it reaches back.
    """
    if isinstance(model, SimulatorModel):
        return model.context([env.newest for env in envs if env.newest is not None])
    steps = [steps_of(env, memory, model.frameskip) for env in envs]
    tokens = torch.stack([torch.stack([env.tokens[s] for s in seen]) for env, seen in zip(envs, steps, strict=True)])
    times = torch.tensor(steps, dtype=torch.float64, device=tokens.device) / model.control_rate
    done = torch.stack([_taken(model, env, len(seen) - 1) for env, seen in zip(envs, steps, strict=True)])
    return model.context(tokens, times, done.to(tokens))


def _taken(model: WorldModel, env: EnvState, count: int) -> Tensor:
    """Return the last ``count`` model actions that were done, (count, A)."""
    normalizer = model.normalizer
    assert normalizer is not None
    if not count:
        return normalizer.mean.new_zeros(0, normalizer.action_dim)
    assert env.taken is not None
    done = torch.from_numpy(env.taken[-count * normalizer.frameskip :]).to(normalizer.mean.device)
    return normalizer.to_model(done.unflatten(0, (count, normalizer.frameskip)))
