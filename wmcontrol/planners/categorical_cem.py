"""The cross-entropy method for choices."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..checks import check_whole, number, whole
from .cem import best_of, check_elites
from .planner import Planner
from .search import Search


@dataclass(frozen=True, kw_only=True)
class CategoricalCEM(Planner):
    """Sample choices with probabilities, and move these to how often the best candidates chose each.

    For discrete actions, which a plan has one-hot: of each choice one number is at its upper bound, 1, and the others
    are at their lower, 0. A number whose bounds are equal is never chosen. (Rubinstein and Kroese, The Cross-Entropy
    Method, 2004, section 4.)

    A start that is one-hot is a candidate, and half of the probability at the start; one that is the same for all
    values of a choice, as zeros are, says nothing of that choice.

    Args:
        choices: between how many values each number of an environment's action chooses; a model action has the choices
            of one environment action or of several. By default all of its numbers are one choice; a
            :class:`~wmcontrol.PlanningAgent` takes its model's. For example [3,2].
        num_samples: candidates per iteration, S.
        num_elites: how many of the best make the next probabilities.
        num_iterations: how often.
        momentum: how much of the old probabilities stays in an iteration, from 0 to below 1.
        min_probability: of a choice at random, at the start; it falls to 0 along a line over the iterations, so that
            no value is lost for good early on.
    """

    choices: Sequence[int] | None = None
    num_samples: int = whole(200)
    num_elites: int = whole(20)
    num_iterations: int = whole(10)
    momentum: float = number(0.1, "[0, 1)")
    min_probability: float = number(0.1, "[0, 1]")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.choices is not None:
            object.__setattr__(self, "choices", tuple(self.choices))
            for number, count in enumerate(self.choices):
                check_whole(f"choices[{number}]", count)
        check_elites(self.num_elites, self.num_samples)

    def minimise(self, search: Search) -> None:
        """Run the iterations; the last elites stay with the plan."""
        sizes = self._sizes(len(search.low))
        free = (search.low < search.high).to(search.starts)
        uniform = free / _totals(free, sizes).clamp_min(1)  # (A,)

        def chosen(scores: Tensor) -> Tensor:
            """Choose the highest score of each choice (…, A): the candidate."""
            return torch.where(_highest(scores.where(free > 0, -torch.inf), sizes), search.high, search.low)

        start = search.starts[:, 0]
        told = (start - search.low > 0) & (free > 0)  # what it chooses, where it chooses one
        known = _totals(told.to(start), sizes) == 1
        probabilities = torch.where(known, 0.5 * uniform + 0.5 * told, uniform)  # (B, H, A)
        given = chosen(search.starts)
        for iteration in range(self.num_iterations):
            drawn = chosen(probabilities.log()[:, None] + search.gumbel(search.num_candidates(self.num_samples)))
            drawn[:, : given.shape[1]] = given
            elites, weights = best_of(search, *search.score(drawn), self.num_elites)
            search.keep(elites)
            often = (weights * (elites > search.low)).sum(1) / weights.sum(1)
            probabilities = torch.lerp(often, probabilities, self.momentum)
            share = self.min_probability * (1 - (iteration + 1) / self.num_iterations)
            probabilities = torch.lerp(probabilities, uniform.expand_as(probabilities), share)
            given = torch.stack([chosen(probabilities), search.best], 1)[:, : self.num_samples]

    def _sizes(self, action_dim: int) -> list[int]:
        """Return how many numbers each choice of a model action has."""
        choices = self.choices or (action_dim,)
        if action_dim % sum(choices):
            raise ValueError(
                f"choices: a model action of {action_dim} numbers does not hold choices of {list(choices)}, which are "
                f"{sum(choices)}"
            )
        return [*choices] * (action_dim // sum(choices))


def _totals(numbers: Tensor, sizes: Sequence[int]) -> Tensor:
    """Return the sum over each choice, in the place of each of its numbers (…, A)."""
    parts = numbers.split(list(sizes), -1)
    return torch.cat([part.sum(-1, keepdim=True).expand_as(part) for part in parts], -1)


def _highest(scores: Tensor, sizes: Sequence[int]) -> Tensor:
    """Say which is the highest score of each choice, (…, A) bool; of equal ones the first."""
    highest = torch.zeros_like(scores, dtype=torch.bool)
    for part, marks in zip(scores.split(list(sizes), -1), highest.split(list(sizes), -1), strict=True):
        marks.scatter_(-1, part.argmax(-1, keepdim=True), True)
    return highest
