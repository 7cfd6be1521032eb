"""The contract of planners."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from .plan import CostFn, Plan
from .search import Search


class Planner(ABC):
    """Something that minimises a cost over sequences of actions inside bounds.

    A planner is a frozen dataclass of its settings and keeps nothing between plans. A new one implements ``minimise``;
    bounds, the memory of the best, counts and errors are the same for all and come with :class:`Search`.
    """

    @final
    def plan(
        self,
        cost: CostFn,
        init: Tensor,
        *,
        low: Tensor,
        high: Tensor,
        generators: Sequence[torch.Generator] | None = None,
    ) -> Plan:
        """Plan for B environments at once.

        Args:
            cost: candidates (B, S, H, A) to costs (B, S).
            init: the start (B, H, A): zeros, or the last plan, shifted; what lies outside the bounds is moved to them.
                (B, K, H, A) gives further candidates for the first iteration, such as elites of the last plan.
            low, high: bounds (A,), which hold for every candidate that is scored and every plan.
            generators: one for each row. The same generator state gives the same plan, whatever the other rows are.
                None: made from torch's global generator.

        Returns:
            The best plan that was scored, in the type of ``init``, float32 at least.

        Raises:
            TypeError, ValueError: what does not fit, before work starts; or costs that are not finite for all
                candidates of a row, which is named with the iteration.
        """
        search = Search(cost, init, low, high, generators)
        self.minimise(search)
        return search.plan()

    @abstractmethod
    def minimise(self, search: Search) -> None:
        """Score candidates with ``search`` until the budget is spent."""
