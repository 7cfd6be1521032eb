"""The cross-entropy method."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..checks import number, whole
from .planner import Planner
from .search import Search


@dataclass(frozen=True, kw_only=True)
class CEM(Planner):
    """Sample around a mean, and move mean and standard deviation to those of the best candidates.

    The budget is that of DINO-world (arXiv 2507.19468, table 8). Unlike there, the mean itself and the best candidate
    so far are among the candidates, and the search does not die early: the elites' standard deviation is taken around
    the mean that they were drawn from, and has a floor until the end.

    Args:
        num_samples: candidates per iteration, S.
        num_elites: how many of the best make the next mean and standard deviation.
        num_iterations: how often.
        std: standard deviation at the start, in normalised action units.
        min_std: its floor at the start, as a share of ``std``; the floor falls to 0 along a line over the iterations.
        momentum: how much of the old mean and standard deviation stays in an iteration, from 0 to below 1.
        tolerance: an environment's search ends early once the elites' standard deviation is nowhere over this; 0
            for never, so that the budget is fixed.
    """

    num_samples: int = whole(300)
    num_elites: int = whole(10)
    num_iterations: int = whole(30)
    std: float = number(1.0, "(0, 1e6]")
    min_std: float = number(0.01, "[0, 1e6]")
    momentum: float = number(0.0, "[0, 1)")
    tolerance: float = number(0.0, "[0, inf)")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_elites(self.num_elites, self.num_samples)

    def minimise(self, search: Search) -> None:
        """Run the iterations; the last elites stay with the plan."""
        mean = search.starts[:, 0]
        std = torch.full_like(mean, self.std)
        given = search.starts
        for iteration in range(self.num_iterations):
            elites, weights = elites_around(search, mean, std, given, self.num_samples, self.num_elites)
            search.keep(elites)
            elite_mean, elite_std = moments_of(search, elites, weights, mean, self.std)
            mean = torch.lerp(elite_mean, mean, self.momentum)
            floor = self.min_std * self.std * (1 - (iteration + 1) / self.num_iterations)
            std = torch.lerp(elite_std, std, self.momentum).clamp_min(floor)
            given = torch.stack([mean, search.best], 1)[:, : self.num_samples]
            if self.tolerance:
                search.finish(elite_std.flatten(1).amax(1) <= self.tolerance)
                if search.done:
                    return


def check_elites(num_elites: int, num_samples: int) -> None:
    """Refuse more elites than candidates."""
    if num_elites > num_samples:
        raise ValueError(
            f"num_elites must be at most num_samples, {num_samples}, of which they are the best; got {num_elites}"
        )


def elites_around(
    search: Search,
    mean: Tensor,
    std: Tensor,
    given: Tensor,
    num_samples: int,
    num_elites: int,
    noise_beta: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Score ``given`` (B, K, H, A) and candidates drawn around ``mean``, as many as :func:`drawn_around` returns.

    Returns:
        The best (B, num_elites, H, A), best first, and which of them count (B, num_elites, 1, 1): a candidate whose
        cost is infinite does not. Where no cost is finite, the best of all iterations stands in their place.
    """
    return best_of(search, *search.score(drawn_around(search, mean, std, given, num_samples, noise_beta)), num_elites)


def best_of(search: Search, actions: Tensor, costs: Tensor, num_elites: int) -> tuple[Tensor, Tensor]:
    """Return the elites among candidates (B, S, H, A) with costs (B, S), as :func:`elites_around` does."""
    least, index = costs.topk(num_elites, dim=1, largest=False)
    elites = actions.take_along_dim(index[:, :, None, None], 1)
    counts = least.isfinite()
    if not counts[:, 0].all():
        none = ~counts[:, :1]
        elites, counts = search.best[:, None].where(none[:, :, None, None], elites), counts | none
    return elites, counts.to(actions)[:, :, None, None]


def drawn_around(
    search: Search, mean: Tensor, std: Tensor, given: Tensor, num_samples: int, noise_beta: float = 0.0
) -> Tensor:
    """Return ``given`` (B, K, H, A) and candidates drawn around ``mean``, (B, S, H, A) in all.

    S is ``num_samples``, or in the first iteration what :meth:`Search.num_candidates` says.
    """
    noise = search.normal(search.num_candidates(num_samples), noise_beta)
    drawn = torch.addcmul(mean[:, None], std[:, None], noise, out=noise)
    drawn[:, : given.shape[1]] = given
    return drawn


def moments_of(search: Search, actions: Tensor, weights: Tensor, mean: Tensor, std: float) -> tuple[Tensor, Tensor]:
    """Return the weighted mean and the deviation of the candidates (B, S, H, A) of an iteration, for the next one.

    Most were drawn around ``mean``, see :func:`moments`. Proposals, among those of the first iteration, were not: their
    deviation is that from their own mean, so that the search is as wide as those of them that the cost likes, and a
    quarter of the ``std`` at the start or more.
    """
    if len(search.history) > 1 or search.starts.shape[1] == 1:
        return moments(actions, weights, around=mean)
    mean, _ = moments(actions, weights, around=mean)
    return mean, moments(actions, weights, around=mean)[1].clamp_min(std / 4)


def moments(actions: Tensor, weights: Tensor, around: Tensor) -> tuple[Tensor, Tensor]:
    """Return the weighted mean of candidates (B, S, H, A), and their deviation from ``around``, both (B, H, A).

    Weights are (B, S, 1, 1). Around the mean that candidates were drawn from, as in CMA-ES, the deviation stays large
    along the way that the mean takes; around their own mean it vanishes there long before the way is at its end.
    """
    total = weights.sum(1)
    mean = (weights * actions).sum(1) / total
    away = (actions - around[:, None]).square_().mul_(weights)
    return mean, (away.sum(1) / total).sqrt()
