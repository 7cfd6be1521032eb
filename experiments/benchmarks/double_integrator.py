"""A planning problem of the usual size whose optimum is known to nine digits."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

HORIZON, FRAMESKIP, SIDE = 5, 5, 2.0
_STEPS = HORIZON * FRAMESKIP
ACTION_DIM = 2 * FRAMESKIP
_SECONDS = 0.2  # of an environment step
_ACCELERATION = 0.5  # of one normalised unit
_START = (3.0, -2.0)


@dataclass(frozen=True)
class DoubleIntegrator:
    """Bring a point mass in the plane from rest at (3, -2) to rest at the origin in five seconds.

    Plans are 5 model actions of 5 accelerations each, in [-2, 2], which binds. The cost is the mean over the 25 steps
    of the squared distance, a tenth of the squared speed and a hundredth of the squared acceleration.
    """

    def cost(self, actions: Tensor) -> Tensor:
        """Return the costs (B, S) of plans (B, S, H, A)."""
        push = _ACCELERATION * actions.reshape(*actions.shape[:2], _STEPS, 2)
        velocity = _SECONDS * push.cumsum(2)
        position = actions.new_tensor(_START) + _SECONDS * velocity.cumsum(2)
        return (position.square() + 0.1 * velocity.square() + 0.01 * push.square()).sum(3).mean(2)

    @cached_property
    def optimum(self) -> Tensor:
        """The plan (H, A) of least cost: projected gradient descent with momentum, until it rests."""
        shape = (1, 1, HORIZON, ACTION_DIM)
        best = torch.zeros(shape, dtype=torch.float64)
        n = best.numel()
        curvature = torch.autograd.functional.hessian(lambda a: self.cost(a).sum(), best).view(n, n)
        slope = torch.autograd.functional.jacobian(lambda a: self.cost(a).sum(), best).view(n)
        rate = 1 / float(torch.linalg.eigvalsh(curvature)[-1])
        plan, ahead, momentum = best.view(n), best.view(n), 1.0
        for _ in range(100_000):
            new = (ahead - rate * (curvature @ ahead + slope)).clamp(-SIDE, SIDE)
            if (ahead - new) @ (new - plan) > 0:  # momentum leads uphill: start it afresh
                momentum = 1.0
            next_momentum = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
            ahead = new + (momentum - 1) / next_momentum * (new - plan)
            moved, plan, momentum = float((new - plan).abs().max()), new, next_momentum
            if moved < 1e-14:
                break
        return plan.view(HORIZON, ACTION_DIM)

    @cached_property
    def least(self) -> float:
        """The least cost."""
        return float(self.cost(self.optimum[None, None]))
