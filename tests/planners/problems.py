"""Costs whose least value is known."""

from collections.abc import Callable
from dataclasses import dataclass

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

    @property
    def start_cost(self) -> float:
        return float(self.cost(torch.zeros(1, 1, *self.best_actions.shape, dtype=self.low.dtype)))


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


PROBLEMS = {f.__name__: f for f in (inside, outside, rotated, double_integrator, two_wells)}
