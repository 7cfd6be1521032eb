"""Costs whose least value is known."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

H, A = 4, 2


@dataclass(frozen=True)
class Problem:
    """A cost (B, S, H, A) -> (B, S) inside bounds (A,), and its optimum."""

    cost: Callable[[Tensor], Tensor]
    low: Tensor
    high: Tensor
    best_actions: Tensor  # (H, A)
    best_cost: float
    start: Tensor | None = None  # what is scored of a start of zeros, where it is not zeros

    @property
    def start_cost(self) -> float:
        start = torch.zeros_like(self.best_actions) if self.start is None else self.start
        return float(self.cost(start[None, None].to(self.low.dtype)))


def box(side: float = 2.0, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    return torch.full((A,), -side, dtype=dtype), torch.full((A,), side, dtype=dtype)


def bowl(target: Tensor, side: float = 2.0) -> Problem:
    """The squared distance to a target, which may lie outside the box: the optimum is its projection."""
    low, high = box(side)
    best = target.clamp(low, high)
    return Problem(
        lambda a: ((a - target.to(a)) ** 2).sum((-1, -2)), low, high, best, float(((best - target) ** 2).sum())
    )


def inside() -> Problem:
    return bowl(torch.linspace(-1.2, 1.2, H * A).view(H, A))


def outside() -> Problem:
    return bowl(torch.linspace(-4.0, 4.0, H * A).view(H, A))


def rotated() -> Problem:
    """A quadratic with axes turned at random and curvatures from 1 to 100."""
    generator = torch.Generator().manual_seed(3)
    turn, _ = torch.linalg.qr(torch.randn(H * A, H * A, generator=generator))
    matrix = turn @ torch.diag(torch.logspace(0, 2, H * A)) @ turn.T
    target = torch.linspace(1.0, -1.0, H * A)

    def cost(a: Tensor) -> Tensor:
        away = a.flatten(-2) - target.to(a)
        return torch.einsum("...i,ij,...j", away, matrix.to(a), away)

    low, high = box()
    return Problem(cost, low, high, target.view(H, A), 0.0)


def double_integrator() -> Problem:
    """Bring a point mass at (1.5, -1) in the plane to rest at the origin; the bounds bind.

    A convex quadratic programme: the optimum is that of projected gradient descent, run to convergence.
    """
    side, dt, horizon = 0.6, 0.5, H
    low, high = box(side)

    def cost(a: Tensor) -> Tensor:
        position = torch.tensor([1.5, -1.0], dtype=a.dtype).expand(*a.shape[:2], 2)
        velocity = torch.zeros_like(position)
        total = a.new_zeros(a.shape[:2])
        for h in range(horizon):
            velocity = velocity + dt * a[:, :, h]
            position = position + dt * velocity
            total = total + (position**2).sum(-1) + 0.1 * (velocity**2).sum(-1) + 0.01 * (a[:, :, h] ** 2).sum(-1)
        return total

    best = torch.zeros(1, 1, horizon, A, dtype=torch.float64)
    curvature = torch.autograd.functional.hessian(lambda a: cost(a).sum(), best).view(H * A, H * A)
    rate = 1.0 / float(torch.linalg.eigvalsh(curvature).max())
    for _ in range(3000):
        best = best.requires_grad_()
        (gradient,) = torch.autograd.grad(cost(best).sum(), best)
        best = (best - rate * gradient).detach().clamp(-side, side)
    assert (best.abs() == side).any()  # or the bounds would test nothing
    return Problem(cost, low, high, best[0, 0].float(), float(cost(best)))


def two_wells() -> Problem:
    """Two wells, at -1 and at +1 in every number; that at +1 is deeper, and a ridge stands between them."""
    low, high = box()

    def cost(a: Tensor) -> Tensor:
        left = ((a + 1) ** 2).mean((-1, -2)) + 0.3
        right = ((a - 1) ** 2).mean((-1, -2))
        return torch.minimum(left, right)

    return Problem(cost, low, high, torch.ones(H, A), 0.0)


CHOICES = (4, 2)  # of one action, one-hot: six numbers


def choices_apart() -> Problem:
    """The squared distance to a target of numbers: the optimum has the largest number of each choice."""
    width = sum(CHOICES)
    target = torch.linspace(-1.0, 1.0, H * width).view(H, width)
    return _one_hot(target, lambda a: ((a - target.to(a)) ** 2).sum((-1, -2)))


def choices_together() -> Problem:
    """How good each choice is depends on the choice before: the optimum is that of dynamic programming."""
    generator = torch.Generator().manual_seed(0)
    pairs = torch.randn(H - 1, sum(CHOICES), sum(CHOICES), generator=generator)

    def cost(a: Tensor) -> Tensor:
        return 10 + torch.einsum("...hi,hij,...hj->...", a[..., :-1, :], pairs.to(a), a[..., 1:, :])

    steps = _one_hot_steps()  # all values of one step
    value = torch.zeros(len(steps))
    after = []
    for h in reversed(range(H - 1)):
        ahead = steps @ pairs[h] @ steps.T + value
        after.insert(0, ahead.argmin(1))
        value = ahead.amin(1)
    best = [int(value.argmin())]
    for h in range(H - 1):
        best.append(int(after[h][best[-1]]))
    return replace(
        _one_hot(torch.zeros(H, sum(CHOICES)), cost), best_actions=steps[best], best_cost=10 + float(value.min())
    )


def _one_hot_steps() -> Tensor:
    return torch.tensor([[*first, *second] for first in torch.eye(4).tolist() for second in torch.eye(2).tolist()])


def _one_hot(scores: Tensor, cost: Callable[[Tensor], Tensor]) -> Problem:
    """Return the problem whose optimum has the highest score of each choice."""
    steps = _one_hot_steps()
    best = steps[(scores @ steps.T).argmax(-1)]
    low = torch.zeros(sum(CHOICES))
    return Problem(cost, low, low + 1, best, float(cost(best)), start=steps[:1].expand(H, -1))


PROBLEMS = {f.__name__: f for f in (inside, outside, rotated, double_integrator, two_wells)}
OF_CHOICES = {f.__name__: f for f in (choices_apart, choices_together)}
