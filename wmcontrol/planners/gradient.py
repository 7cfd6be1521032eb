"""Descent along the gradient of the cost, from starts that are drawn or that sampling has found."""

import math
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from ..checks import choice, number, whole
from .cem import CEM, best_of
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
        num_samples: starts, S: the start itself, further ones if given, and the rest, half of them at least, drawn
            around the start. Of more that are given the best remain.
        num_iterations: how often candidates are scored: one less than there are steps.
        std: standard deviation of the starts that are drawn, in normalised action units.
        learning_rate: how far the first step moves each number, in normalised action units (with ``"sgd"``: the root
            mean square over them).
        optimizer: ``"adam"`` (Kingma and Ba 2015, with its usual constants) or ``"sgd"``, without momentum.
    """

    num_samples: int = whole(30)
    num_iterations: int = whole(100)
    std: float = number(1.0, "(0, 1e6]")
    learning_rate: float = number(0.3, "(0, 1e6]")
    optimizer: Optimizer = choice("adam", Optimizer)  # noqa: RUF009 a field

    def minimise(self, search: Search) -> None:
        """Descend."""
        given, room = search.starts, self.num_samples - self.num_samples // 2
        if given.shape[1] > room:
            given, _ = best_of(search, *search.score(given), room)
        self.descend(search, given, search.starts[:, :1])

    def descend(self, search: Search, given: Tensor, start: Tensor) -> None:
        """Descend from candidates (B, K, H, A), and from others that are drawn around a start (B, 1, H, A)."""
        given = given[:, : self.num_samples]
        drawn = start + self.std * search.normal(self.num_samples - given.shape[1])
        actions = torch.cat([given, drawn], 1)
        scale, first, second = None, torch.zeros_like(actions), torch.zeros_like(actions)
        for step in range(1, self.num_iterations):
            actions, _, gradients = search.score_and_gradient(actions)
            scale = _root_mean_square(gradients) if scale is None else scale
            direction = gradients / scale
            if self.optimizer == "adam":
                first = 0.9 * first + 0.1 * direction
                second = 0.999 * second + 0.001 * direction**2
                direction = first / (1 - 0.9**step) / ((second / (1 - 0.999**step)).sqrt() + 1e-8)
            rate = self.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - 1) / self.num_iterations))
            actions = actions - rate * direction
        search.score(actions)


def _root_mean_square(gradients: Tensor) -> Tensor:
    """Return that of each candidate's gradient (B, S, H, A), (B, S, 1, 1); over 0."""
    # The largest is taken out before squaring, so that tiny and huge costs lose no digits.
    largest = gradients.abs().amax((2, 3), keepdim=True).clamp_min(torch.finfo(gradients.dtype).tiny)
    return largest * (gradients / largest).square().mean((2, 3), keepdim=True).sqrt().clamp_min(1e-6)


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
        if not isinstance(self.sampling, (CEM, ICEM)):
            raise TypeError(f"sampling must be a CEM or an ICEM, got {self.sampling!r}")
        if not isinstance(self.refinement, Gradient):
            raise TypeError(f"refinement must be a Gradient, got {self.refinement!r}")

    def minimise(self, search: Search) -> None:
        """Sample, then descend from the elites, the best candidate of all before them."""
        self.sampling.minimise(search)
        assert search.elites is not None
        best = search.best[:, None]
        self.refinement.descend(search, torch.cat([best, search.elites[:, 1:]], 1), best)
