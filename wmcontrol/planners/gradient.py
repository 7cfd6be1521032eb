"""Descent along the gradient of the cost, from starts that are drawn or that sampling has found."""

import math
from dataclasses import dataclass, field
from typing import Literal, get_args

import torch
from torch import Tensor

from .cem import CEM
from .checks import check_positive, check_whole
from .icem import ICEM
from .planner import Planner
from .search import Search

Optimizer = Literal["adam", "sgd"]


@dataclass(frozen=True, kw_only=True)
class Gradient(Planner):
    """Descend from several starts at once, and project on the bounds after each step.

    Steps get shorter along half a cosine. They are the same for a cost in other units: gradients are divided by the
    root mean square of each start's first. The best candidate on all paths is returned, not the last. The cost must be
    differentiable; the parameters of a model behind it get no gradient. A gradient costs about two evaluations, so the
    default budget takes as long as that of ``CEM``.

    Args:
        num_samples: starts, S: the start itself, further ones if given, and the rest drawn around the start.
        num_iterations: how often candidates are scored: one less than there are steps.
        std: standard deviation of the starts that are drawn, in normalised action units.
        learning_rate: how far the first step moves each number, in normalised action units (with ``"sgd"``: the root
            mean square over them).
        optimizer: ``"adam"`` (Kingma and Ba 2015, with its usual constants) or ``"sgd"``, without momentum.
    """

    num_samples: int = 30
    num_iterations: int = 100
    std: float = 1.0
    learning_rate: float = 0.3
    optimizer: Optimizer = "adam"

    def __post_init__(self) -> None:
        check_whole("num_samples", self.num_samples)
        check_whole("num_iterations", self.num_iterations)
        check_positive("std", self.std)
        check_positive("learning_rate", self.learning_rate)
        if not isinstance(self.optimizer, str) or self.optimizer not in get_args(Optimizer):
            raise ValueError(f"optimizer must be one of {list(get_args(Optimizer))}, got {self.optimizer!r}")

    def minimise(self, search: Search) -> None:
        """Descend."""
        given = search.starts[:, : self.num_samples]
        drawn = search.starts[:, :1] + self.std * search.normal(self.num_samples - given.shape[1])
        actions = torch.cat([given, drawn], 1)
        direction = _Adam() if self.optimizer == "adam" else _SGD()
        for iteration in range(self.num_iterations - 1):
            actions, _, gradients = search.score_and_gradient(actions)
            rate = self.learning_rate * 0.5 * (1 + math.cos(math.pi * iteration / self.num_iterations))
            actions = actions - rate * direction(gradients)
        search.score(actions)


@dataclass(frozen=True, kw_only=True)
class Hybrid(Planner):
    """Find the right valley by sampling, and its bottom by gradients from the elites.

    Args:
        sampling: the planner that goes first, ``CEM`` or ``ICEM``.
        refinement: the one that goes on from as many elites as it has starts.
    """

    sampling: CEM | ICEM = field(default_factory=lambda: CEM(num_iterations=20))
    refinement: Gradient = field(default_factory=lambda: Gradient(num_samples=10, learning_rate=0.05))

    def __post_init__(self) -> None:
        for name, kinds in (("sampling", (CEM, ICEM)), ("refinement", (Gradient,))):
            if not isinstance(getattr(self, name), kinds):
                expected = " or ".join(kind.__name__ for kind in kinds)
                raise TypeError(f"{name} must be a {expected}, got {getattr(self, name)!r}")

    def minimise(self, search: Search) -> None:
        """Sample, then descend from the elites, the best candidate of all before them."""
        self.sampling.minimise(search)
        assert search.elites is not None
        search.starts = torch.cat([search.best[:, None], search.elites[:, 1:]], 1)
        self.refinement.minimise(search)


class _Adam:
    """Adam's direction, whatever the cost's units."""

    def __init__(self) -> None:
        self._scaled = _SGD()
        self._steps = 0
        self._first: Tensor | float = 0.0
        self._second: Tensor | float = 0.0

    def __call__(self, gradients: Tensor) -> Tensor:
        self._steps += 1
        gradients = self._scaled(gradients)
        self._first = 0.9 * self._first + 0.1 * gradients
        self._second = 0.999 * self._second + 0.001 * gradients**2
        first, second = self._first / (1 - 0.9**self._steps), self._second / (1 - 0.999**self._steps)
        return first / (second.sqrt() + 1e-8)


class _SGD:
    """The gradient itself, in units of each candidate's first."""

    def __init__(self) -> None:
        self._scale: Tensor | None = None

    def __call__(self, gradients: Tensor) -> Tensor:
        if self._scale is None:
            # The largest is taken out before squaring, so that tiny and huge costs lose no digits.
            largest = gradients.abs().amax((2, 3), keepdim=True).clamp_min(torch.finfo(gradients.dtype).tiny)
            self._scale = largest * (gradients / largest).square().mean((2, 3), keepdim=True).sqrt().clamp_min(1e-6)
        return gradients / self._scale
