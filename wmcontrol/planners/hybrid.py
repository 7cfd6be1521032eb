"""Sampling, then gradients."""

from dataclasses import dataclass, field

import torch

from .cem import CEM
from .gradient import Gradient
from .icem import ICEM
from .planner import Planner
from .search import Search


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
