"""The contract of planners: what they are asked, and what they answer.

Letters: ``B`` environments, ``S`` candidates, ``H`` model steps ahead, ``A`` numbers in one model action.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor

from ..checks import check_fields, check_whole
from .search import CostFn, Search


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """The best candidate that a planner ever scored, for each of B environments.

    ``info`` has, each (B,): ``evaluations``, how many candidates were scored, ``iterations``, in how many rounds, and
    ``non_finite``, how many had a cost that was NaN or infinite and lost for it. Planners that keep elites add
    ``elites`` (B, K, H, A), best first. A cost function may add more, such as whether guardrails are kept.
    """

    actions: Tensor  # (B, H, A) in the model's normalised units, inside the bounds
    cost: Tensor  # (B,) cost of exactly these actions
    history: Tensor  # (iterations, B) best cost so far, never rising
    info: Mapping[str, Any]

    def shift(self, steps: int, *, elites: bool = False) -> Tensor:
        """Return a start for the next plan, once ``steps`` model steps of this one were executed.

        What was executed is dropped, and the end is filled with zeros: in normalised units the mean action, from
        which planners start when they know nothing. (Planners move a start into their bounds.)

        Args:
            steps: how many, 0 or more.
            elites: return (B, 1 + K, H, A): the plan, and the K elites of ``info`` (if there are any), all shifted.
                Planners take these too as a start.

        Returns:
            (B, H, A).
        """
        check_whole("steps", steps, least=0)
        starts = self.actions[:, None]
        if elites and "elites" in self.info:
            starts = torch.cat([starts, self.info["elites"]], 1)
        kept = starts[:, :, steps:]
        filled = torch.cat([kept, starts.new_zeros(starts.shape).narrow(2, 0, starts.shape[2] - kept.shape[2])], 2)
        return filled if elites else filled[:, 0]


class Planner(ABC):
    """Something that minimises a cost over sequences of actions inside bounds.

    A planner is a frozen dataclass of its settings and keeps nothing between plans. A new one implements ``minimise``;
    bounds, the memory of the best, counts and errors are the same for all and come with :class:`Search`. Settings that
    :mod:`wmcontrol.checks` makes, as ``num_samples: int = whole(300)``, are checked.
    """

    def __post_init__(self) -> None:
        check_fields(self)

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
                (B, K, H, A) gives proposals after the start, such as elites of the last plan or the samples of an
                action prior; see docs/planners.md, "Proposals".
            low: lower bounds (A,), which hold for every candidate that is scored and every plan.
            high: upper bounds (A,).
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
        if not search.history:
            raise RuntimeError("this planner scored nothing")
        info: dict[str, Any] = dict(search.counts)
        if search.elites is not None:
            info["elites"] = search.elites
        report = getattr(cost, "report", None)
        if report is not None:
            with torch.no_grad():
                info.update(report(search.best))
        return Plan(actions=search.best, cost=search.best_cost, history=torch.stack(search.history), info=info)

    @abstractmethod
    def minimise(self, search: Search) -> None:
        """Score candidates with ``search`` until the budget is spent."""
