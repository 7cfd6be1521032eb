"""The cost of candidate actions: imagined by a world model from what an agent has seen, judged by an objective."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..models import WorldModel
from ..models.ordinary import ordinary_tensors
from ..objectives import Objective
from .simulator import SimulatorModel
from .state import EnvState


@dataclass(frozen=True)
class LatentCost:
    """A cost function for planners: a :data:`~wmcontrol.planners.search.CostFn` with a report.

    Only the latents that the objective reads are kept.

    Args:
        model: imagines.
        context: of the B environments, from ``model.context``.
        goal: tokens (B, P, D), from ``model.encode``.
        objective: judges.
    """

    model: WorldModel | SimulatorModel
    context: Any
    goal: Tensor
    objective: Objective

    @ordinary_tensors()
    def __post_init__(self) -> None:
        if self.goal.is_inference():  # gradients may be asked for later
            object.__setattr__(self, "goal", self.goal.clone())

    def __call__(self, actions: Tensor) -> Tensor:
        """Return the costs (B, S) of candidates (B, S, H, A)."""
        return self.objective(self._latents(actions), self.goal, actions)

    def report(self, actions: Tensor) -> Mapping[str, Any]:
        """Return what the objective has to say of plans (B, H, A), each (B,): whether guardrails are kept."""
        report = getattr(self.objective, "report", None)
        if report is None or getattr(self.objective, "silent", False):
            return {}
        candidates = actions[:, None]
        told = report(self._latents(candidates), self.goal, candidates)
        return {word: values[:, 0] for word, values in told.items()}

    def _latents(self, actions: Tensor) -> Tensor:
        return self.model.rollout(self.context, actions, last_only=getattr(self.objective, "last_only", False))


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
