"""The cost of candidate actions: imagined by a world model, judged by an objective."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from ..models.ordinary import ordinary_tensors
from ..objectives import Objective


class Imagines(Protocol):
    """A world model, or what stands in its place."""

    def rollout(self, context: Any, actions: Tensor, *, last_only: bool = False) -> Tensor:
        """Return what candidates lead to, as ``WorldModel.rollout`` does."""


@dataclass(frozen=True)
class LatentCost:
    """A cost function for planners: a :data:`~wmcontrol.planners.plan.CostFn` with a report.

    Only the latents that the objective reads are kept.

    Args:
        model: imagines.
        context: of the B environments, from ``model.context``.
        goal: tokens (B, P, D), from ``model.encode``.
        objective: judges.
    """

    model: Imagines
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
