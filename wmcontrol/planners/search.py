"""A problem while a planner works on it: the only way to score candidates, and the memory of the best.

Whatever a planner does, what is scored lies inside the bounds, the best ever scored is what is returned, and no row
sees another.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache

import torch
from torch import Tensor

from ..bounds import rounded_inwards

CostFn = Callable[[Tensor], Tensor]
"""Candidates (B, S, H, A) to costs (B, S). Planners that follow gradients need it differentiable.

It must not write into the candidates. If it has a method ``report(actions)``, (B, H, A) to a mapping, what that says of
the final plan joins the plan's info.
"""

_INFINITY = float("inf")


class Search:
    """The problems of B rows, and what is known of them so far.

    Args:
        cost: as for :meth:`Planner.plan`, as all that follow.
        init: (B, H, A), or with proposals after the start (B, K, H, A).
        low: (A,).
        high: (A,).
        generators: one for each row, or None.

    Attributes:
        starts: (B, K, H, A), inside the bounds; the first of them is the start, the others are proposals.
        low, high: (A,).
        best: (B, H, A), the best candidate so far; the start before any was scored.
        best_cost: (B,), its cost; infinite before any was scored.
        elites: (B, K, H, A), best first, if the planner keeps some; see ``keep``.
        active: for each row, whether it still searches; see ``finish``.
        history: of each iteration so far, ``best_cost`` after it.
        counts: evaluations, iterations and candidates without a finite cost, each (B,).
    """

    def __init__(
        self,
        cost: CostFn,
        init: Tensor,
        low: Tensor,
        high: Tensor,
        generators: Sequence[torch.Generator] | None = None,
    ):
        _check_start(init)
        _check_bounds(low, high, init.shape[-1])
        starts = init[:, None] if init.ndim == 3 else init
        # What is scored is what is returned, so nothing may be rounded in between.
        starts = starts.detach().to(torch.promote_types(init.dtype, torch.float32))
        B = len(starts)
        if generators is None:
            seeds = torch.randint(2**63 - 1, (B,), dtype=torch.int64, device="cpu").tolist()
            generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        _check_generators(generators, B)
        self._cost = cost
        self._generators = generators
        # One number for each of a plan's: clamping broadcasts over whole plans in a third of the time.
        low, high = rounded_inwards(low.detach(), high.detach(), starts)
        self._low = low.expand_as(starts[0, 0]).contiguous()
        self._high = high.expand_as(starts[0, 0]).contiguous()
        self.low, self.high = self._low[0], self._high[0]
        self.starts = starts.clamp(self._low, self._high)
        self.best = self.starts[:, 0]
        self.best_cost = starts.new_full((B,), _INFINITY)
        self.elites: Tensor | None = None
        self.active = [True] * B
        self.history: list[Tensor] = []
        self.counts = {
            name: torch.zeros(B, dtype=torch.int64, device="cpu")
            for name in ("evaluations", "iterations", "non_finite")
        }

    @property
    def done(self) -> bool:
        """Whether every row has finished."""
        return not any(self.active)

    def num_candidates(self, num_samples: int) -> int:
        """Return how many candidates a planner of ``num_samples`` an iteration scores next.

        In the first they are more where starts, which all are candidates, would not leave it half of its own.
        """
        return num_samples if self.history else max(num_samples, self.starts.shape[1] + num_samples // 2)

    def normal(self, num_samples: int, noise_beta: float = 0.0) -> Tensor:
        """Draw standard normal noise (B, num_samples, H, A), each row from its own generator.

        Its power falls with frequency as ``1 / f ** noise_beta`` along H.
        """
        return self._drawn(num_samples, lambda numbers, g: coloured(numbers.normal_(generator=g), noise_beta))

    def gumbel(self, num_samples: int) -> Tensor:
        """Draw standard Gumbel noise (B, num_samples, H, A), each row from its own generator."""
        return self._drawn(num_samples, lambda numbers, g: -numbers.exponential_(generator=g).log_())

    def uniform(self, num_samples: int) -> Tensor:
        """Draw candidates (B, num_samples, H, A) uniformly between the bounds, each row from its own generator."""
        share = self._drawn(num_samples, lambda numbers, g: numbers.uniform_(generator=g))
        return torch.addcmul(self._low, self._high - self._low, share)

    def _drawn(self, num_samples: int, draw: Callable[[Tensor, torch.Generator], Tensor]) -> Tensor:
        """Return what is drawn for each row, (B, num_samples, H, A); 0 for rows that have finished."""
        B, _, *shape = self.starts.shape
        found = self.starts.new_zeros(B, num_samples, *shape)
        for row, generator in enumerate(self._generators):
            if self.active[row]:
                numbers = torch.empty(num_samples, *shape, dtype=found.dtype, device=generator.device)
                found[row] = draw(numbers, generator)
        return found

    def seed(self, row: int) -> int:
        """Draw a seed from a row's generator, for a library with randomness of its own."""
        generator = self._generators[row]
        return int(torch.randint(2**63 - 1, (), generator=generator, dtype=torch.int64, device=generator.device))

    def score(self, candidates: Tensor) -> tuple[Tensor, Tensor]:
        """Score candidates (B, S, H, A): one iteration, which may be the last.

        Returns:
            The candidates, moved into the bounds, and their costs (B, S), infinite where the cost is not finite.

        Raises:
            ValueError: costs of another shape; not a finite one in a row so far; or a cost that writes into candidates.
        """
        with torch.no_grad():
            actions = self._inside(candidates.detach())
            return actions, self._remember(actions, self._costs(actions))

    def score_and_gradient(self, candidates: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Score as ``score`` does, and return also the gradients of the costs (B, S, H, A); not finite ones are 0.

        Only candidates get gradients: nothing gathers on the parameters of a model behind the cost.
        """
        with torch.inference_mode(False), torch.enable_grad():
            actions = self._inside(candidates.detach()).requires_grad_()
            costs = self._costs(actions)
            if not costs.requires_grad:
                raise ValueError(
                    "the cost must be differentiable by the actions, and it is not: does it detach them, or run "
                    "under torch.no_grad()? Without gradients, take CEM, ICEM, MPPI or CMA"
                )
            (gradients,) = torch.autograd.grad(costs.sum(), actions)
        actions = actions.detach()
        return actions, self._remember(actions, costs.detach()), gradients.nan_to_num(0.0, 0.0, 0.0)

    def keep(self, elites: Tensor) -> Tensor:
        """Make these the elites (B, K, H, A), and return them; rows that have finished keep theirs."""
        if self.elites is not None and not all(self.active):
            searching = torch.tensor(self.active, dtype=torch.bool, device=elites.device)[:, None, None, None]
            elites = elites.where(searching, self.elites)
        self.elites = elites
        return elites

    def finish(self, rows: Tensor) -> None:
        """Finish rows (B,) bool: nothing more is drawn for them, and their best plan no longer changes.

        They still stand in every batch of candidates; what becomes of them there does not count.
        """
        self.active = [active and not finished for active, finished in zip(self.active, rows.tolist(), strict=True)]

    def _inside(self, candidates: Tensor) -> Tensor:
        if candidates.shape[:1] + candidates.shape[2:] != self.starts.shape[:1] + self.starts.shape[2:]:
            B, _, H, A = self.starts.shape
            raise ValueError(f"candidates must have shape ({B}, S, {H}, {A}), got {tuple(candidates.shape)}")
        return candidates.clamp(self._low, self._high)

    def _costs(self, actions: Tensor) -> Tensor:
        """Call the cost and check that it did not modify the candidates."""
        before = None if actions.is_inference() else actions._version
        costs = self._cost(actions)
        if before is not None and actions._version != before:
            raise ValueError("the cost wrote into the candidates that it was to score; let it work on a copy of them")
        expected = tuple(actions.shape[:2])
        if not isinstance(costs, Tensor) or tuple(costs.shape) != expected or not costs.is_floating_point():
            got = f"{tuple(costs.shape)} of {costs.dtype}" if isinstance(costs, Tensor) else type(costs).__name__
            raise ValueError(
                f"the cost of candidates {tuple(actions.shape)} must be {expected} floating-point numbers, got {got}"
            )
        return costs

    def _remember(self, actions: Tensor, costs: Tensor) -> Tensor:
        """Note the best of these candidates and count them; return their costs, infinite where not finite."""
        num_samples, active = costs.shape[1], torch.tensor(self.active, dtype=torch.bool, device="cpu")
        finite = costs.isfinite()
        costs = costs.to(torch.promote_types(costs.dtype, self.starts.dtype)).where(finite, _INFINITY)
        lost = (num_samples - finite.sum(1)).cpu() * active
        nothing = (lost == num_samples) & self.best_cost.isinf().cpu()
        if nothing.any():
            row = int(nothing.nonzero()[0])
            raise ValueError(
                f"row {row}, iteration {len(self.history)}: the costs of all {num_samples} candidates are NaN or "
                "infinite, and no other was scored before; look for NaN in the observation, the goal or the model"
            )
        value, index = costs.min(1)
        better = (value < self.best_cost) & active.to(value.device)
        chosen = actions.take_along_dim(index[:, None, None, None], 1)[:, 0]
        self.best = chosen.where(better[:, None, None], self.best)
        self.best_cost = value.where(better, self.best_cost)
        self.history.append(self.best_cost)
        self.counts["evaluations"] += num_samples * active
        self.counts["iterations"] += active
        self.counts["non_finite"] += lost
        return costs


def coloured(noise: Tensor, beta: float) -> Tensor:
    """Correlate white noise (S, H, A) along H, so that its power falls with frequency as ``1 / f ** beta``.

    Every single number keeps variance 1. 0 is white, 1 pink, 2 red: the larger, the smoother (iCEM, arXiv 2008.06389,
    section 3.1; there the noise is drawn in the frequency domain, which is the same distribution).
    """
    if beta == 0 or noise.shape[1] == 1:
        return noise
    with torch.autocast(noise.device.type, enabled=False):  # within autocast too, noise has the type of candidates
        return (noise.mT @ _filter(noise.shape[1], beta).to(noise).T).mT


@lru_cache(maxsize=32)
def _filter(horizon: int, beta: float) -> Tensor:
    """Return the circular filter (H, H) with the amplitudes ``f ** (-beta / 2)``, its rows of norm 1."""
    frequencies = torch.fft.rfftfreq(horizon, dtype=torch.float64, device="cpu")
    amplitudes = frequencies.clamp_min(1 / horizon) ** (-beta / 2)  # the mean gets what the slowest wave has
    kernel = torch.fft.irfft(amplitudes, n=horizon)
    kernel = kernel / kernel.norm()
    return torch.stack([kernel.roll(step) for step in range(horizon)]).float()


def _check_start(init: Tensor) -> None:
    """Refuse a start that is not (B, H, A), or (B, K, H, A) with proposals, of finite real numbers."""
    if not isinstance(init, Tensor) or not init.is_floating_point():
        kind = f"a tensor of {init.dtype}" if isinstance(init, Tensor) else type(init).__name__
        raise TypeError(f"init must be a tensor of floating-point numbers, got {kind}")
    if init.ndim not in (3, 4) or not init.numel():
        raise ValueError(
            "init must have shape (B, H, A), none of them 0, or (B, K, H, A) with proposals after the start; "
            f"got {tuple(init.shape)}"
        )
    if not init.isfinite().all():
        row = int((~init.isfinite()).flatten(1).any(1).nonzero()[0])
        raise ValueError(f"init must be finite; row {row} is not")


def _check_bounds(low: Tensor, high: Tensor, action_dim: int) -> None:
    """Refuse bounds that are not (A,) each, NaN, or the wrong way round."""
    for name, bound in (("low", low), ("high", high)):
        if not isinstance(bound, Tensor):
            raise TypeError(f"{name} must be a tensor of shape ({action_dim},), got {type(bound).__name__}")
        if tuple(bound.shape) != (action_dim,):
            raise ValueError(f"{name} must have shape ({action_dim},), as init's last axis, got {tuple(bound.shape)}")
        if bound.is_complex() or bound.isnan().any():
            raise ValueError(f"{name} must be real numbers and not NaN, got {bound.tolist()}")
    if not (low <= high).all():
        number = int((low > high).nonzero()[0])
        raise ValueError(f"low must not be over high; number {number} has {low[number]:g} and {high[number]:g}")
    if (low == float("inf")).any() or (high == -float("inf")).any():
        raise ValueError(f"no action lies between low {low.tolist()} and high {high.tolist()}")


def _check_generators(generators: Sequence[torch.Generator], rows: int) -> None:
    """Refuse anything but one generator of its own for each row."""
    if not hasattr(generators, "__len__"):
        raise TypeError(f"generators must be a list of {rows}, one for each row of init, got {generators!r}")
    if len(generators) != rows:
        raise ValueError(f"generators must be {rows}, one for each row of init, got {len(generators)}")
    for row, generator in enumerate(generators):
        if not isinstance(generator, torch.Generator):
            raise TypeError(f"generators[{row}] must be a torch.Generator, got {type(generator).__name__}")
    if len({id(generator) for generator in generators}) < rows:
        raise ValueError("generators must differ: with one generator in two rows, each plan would depend on the other")
