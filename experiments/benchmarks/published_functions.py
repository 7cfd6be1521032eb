"""Published test functions of optimisation, as costs of plans.

All functions of any dimension of Surjanovic and Bingham's Virtual Library of Simulation Experiments
(https://www.sfu.ca/~ssurjano/optimization.html) with the domains and optima given there, but for Michalewicz, whose
optimum is not known in general, Powell, which takes only multiples of four, and Perm and Trid, whose values or domains
grow so fast with the dimension that nothing in them is comparable.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

SIDE = 2.0  # plans lie in [-SIDE, SIDE], in normalised units
_SHIFT = 0.2  # of the width of the domain, at most


@dataclass(frozen=True)
class PublishedFunction:
    """A function of points (..., d) in float64, to (...,).

    ``domain`` is the same for every number, ``minimum(d)`` the point (d,) of the least value.
    """

    name: str
    function: Callable[[Tensor], Tensor]
    domain: tuple[float, float]
    minimum: Callable[[int], Tensor]
    shifted: bool = True

    def shift(self, dimension: int) -> Tensor:
        """Return by how much (d,) the optimum is moved, or the centre, where searches start, could be the optimum."""
        if not self.shifted:
            return torch.zeros(dimension, dtype=torch.float64)
        generator = torch.Generator().manual_seed(dimension)
        share = torch.rand(dimension, generator=generator, dtype=torch.float64) * 2 - 1
        return _SHIFT * (self.domain[1] - self.domain[0]) * share

    def cost(self, actions: Tensor) -> Tensor:
        """Return the costs (B, S) of plans (B, S, H, A) in [-SIDE, SIDE], shifted; 0 is the least."""
        flat = actions.flatten(2).double()
        d = flat.shape[-1]
        points = torch.lerp(_like(flat, self.domain[0]), _like(flat, self.domain[1]), (flat + SIDE) / (2 * SIDE))
        return self.function(points - self.shift(d)) - self.function(self.minimum(d))

    def solution(self, dimension: int) -> Tensor:
        """Return the plan (d,) with the least cost."""
        low, high = self.domain
        return ((self.minimum(dimension) + self.shift(dimension) - low) / (high - low) * 2 - 1) * SIDE


def _like(tensor: Tensor, value: float) -> Tensor:
    return tensor.new_full((), value)


def _counting(x: Tensor) -> Tensor:
    return torch.arange(1, x.shape[-1] + 1, dtype=x.dtype, device=x.device)


def _ackley(x: Tensor) -> Tensor:
    waves = torch.exp(torch.cos(2 * math.pi * x).mean(-1))
    return -20 * torch.exp(-0.2 * x.square().mean(-1).sqrt()) - waves + 20 + math.e


def _dixon_price(x: Tensor) -> Tensor:
    return (x[..., 0] - 1) ** 2 + (_counting(x)[1:] * (2 * x[..., 1:] ** 2 - x[..., :-1]) ** 2).sum(-1)


def _griewank(x: Tensor) -> Tensor:
    return x.square().sum(-1) / 4000 - torch.cos(x / _counting(x).sqrt()).prod(-1) + 1


def _levy(x: Tensor) -> Tensor:
    w = 1 + (x - 1) / 4
    first, last, inner = w[..., 0], w[..., -1], w[..., :-1]
    return (
        torch.sin(math.pi * first) ** 2
        + ((inner - 1) ** 2 * (1 + 10 * torch.sin(math.pi * inner + 1) ** 2)).sum(-1)
        + (last - 1) ** 2 * (1 + torch.sin(2 * math.pi * last) ** 2)
    )


def _rastrigin(x: Tensor) -> Tensor:
    return (x**2 - 10 * torch.cos(2 * math.pi * x) + 10).sum(-1)


def _rosenbrock(x: Tensor) -> Tensor:
    return (100 * (x[..., 1:] - x[..., :-1] ** 2) ** 2 + (x[..., :-1] - 1) ** 2).sum(-1)


def _rotated_hyper_ellipsoid(x: Tensor) -> Tensor:
    return x.square().cumsum(-1).sum(-1)


def _schwefel(x: Tensor) -> Tensor:
    return (418.9829 - x * torch.sin(x.abs().sqrt())).sum(-1)


def _sphere(x: Tensor) -> Tensor:
    return x.square().sum(-1)


def _styblinski_tang(x: Tensor) -> Tensor:
    return (x**4 - 16 * x**2 + 5 * x).sum(-1) / 2


def _sum_of_different_powers(x: Tensor) -> Tensor:
    return (x.abs() ** (_counting(x) + 1)).sum(-1)


def _sum_squares(x: Tensor) -> Tensor:
    return (_counting(x) * x.square()).sum(-1)


def _zakharov(x: Tensor) -> Tensor:
    along = (0.5 * _counting(x) * x).sum(-1)
    return x.square().sum(-1) + along**2 + along**4


def _all(value: float) -> Callable[[int], Tensor]:
    return lambda d: torch.full((d,), value, dtype=torch.float64)


def _of_dixon_price(d: int) -> Tensor:
    i = torch.arange(1, d + 1, dtype=torch.float64)
    return 2 ** -(1 - 2 ** (1 - i))  # 2 ** -((2 ** i - 2) / 2 ** i)


PUBLISHED_FUNCTIONS = (
    PublishedFunction("Ackley", _ackley, (-32.768, 32.768), _all(0.0)),
    PublishedFunction("Griewank", _griewank, (-600.0, 600.0), _all(0.0)),
    PublishedFunction("Levy", _levy, (-10.0, 10.0), _all(1.0)),
    PublishedFunction("Rastrigin", _rastrigin, (-5.12, 5.12), _all(0.0)),
    # Outside of its domain it has smaller values; its optimum is far from the centre anyhow.
    PublishedFunction("Schwefel", _schwefel, (-500.0, 500.0), _all(420.968746), shifted=False),
    PublishedFunction("rotated hyper-ellipsoid", _rotated_hyper_ellipsoid, (-65.536, 65.536), _all(0.0)),
    PublishedFunction("sphere", _sphere, (-5.12, 5.12), _all(0.0)),
    PublishedFunction("different powers", _sum_of_different_powers, (-1.0, 1.0), _all(0.0)),
    PublishedFunction("sum of squares", _sum_squares, (-10.0, 10.0), _all(0.0)),
    PublishedFunction("Zakharov", _zakharov, (-5.0, 10.0), _all(0.0)),
    PublishedFunction("Dixon-Price", _dixon_price, (-10.0, 10.0), _of_dixon_price),
    PublishedFunction("Rosenbrock", _rosenbrock, (-5.0, 10.0), _all(1.0)),
    PublishedFunction("Styblinski-Tang", _styblinski_tang, (-5.0, 5.0), _all(-2.903534)),
)
