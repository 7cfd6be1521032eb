"""Model predictive path integral control."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..checks import boolean, number, whole
from .cem import drawn_around, moments_of
from .planner import Planner
from .search import Search


@dataclass(frozen=True, kw_only=True)
class MPPI(Planner):
    """Move the mean to the average of all candidates, each weighted by ``exp(-cost / temperature)``.

    The information-theoretic update (Williams et al. 2017, arXiv 1707.02342) without its control cost, several times
    over. The temperature is relative to the spread of the costs, the median's distance from the least: a cost in other
    units gives the same plan, which an absolute temperature does not.

    Args:
        num_samples: candidates per iteration, S.
        num_iterations: how often.
        temperature: share of the spread; the smaller, the greedier.
        std: standard deviation at the start, in normalised action units.
        adapt_std: whether it follows that of the weighted candidates; else it stays.
        min_std: its floor when it does, as a share of ``std``.
        noise_beta: how smooth the noise is in time: its power falls as ``1 / f ** noise_beta``; 0 for white.
    """

    num_samples: int = whole(300)
    num_iterations: int = whole(30)
    temperature: float = number(0.2, "(0, 1e6]")
    std: float = number(1.0, "(0, 1e6]")
    adapt_std: bool = boolean(True)
    min_std: float = number(0.01, "[0, 1e6]")
    noise_beta: float = number(0.0, "[0, 10)")

    def minimise(self, search: Search) -> None:
        """Run the iterations."""
        mean = search.starts[:, 0]
        std = torch.full_like(mean, self.std)
        given = search.starts
        for _ in range(self.num_iterations):
            actions, costs = search.score(drawn_around(search, mean, std, given, self.num_samples, self.noise_beta))
            weights = path_weights(costs, self.temperature * spread(costs)).to(actions)[:, :, None, None]
            mean, weighted_std = moments_of(search, actions, weights, mean, self.std)
            if self.adapt_std:
                std = weighted_std.clamp_min(self.min_std * self.std)
            given = torch.stack([mean, search.best], 1)[:, : self.num_samples]


def path_weights(costs: Tensor, temperature: Tensor) -> Tensor:
    """Return weights (B, S), which sum to 1, of costs (B, S) at absolute temperatures (B,); infinite costs get 0."""
    # Equal costs have no spread and get equal weights.
    temperature = temperature.clamp_min(torch.finfo(costs.dtype).tiny)
    scaled = (costs.amin(1, keepdim=True) - costs) / temperature[:, None]
    # Where not one is finite, neither the least nor the temperature is a number: all are as good.
    return torch.softmax(scaled.nan_to_num(0.0, neginf=-float("inf")), 1)


def spread(costs: Tensor) -> Tensor:
    """Return how far the median of the finite costs (B, S) lies above the least of them, (B,)."""
    return costs.where(costs.isfinite(), float("nan")).nanmedian(1).values - costs.amin(1)
