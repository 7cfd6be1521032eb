"""No search."""

from dataclasses import dataclass

from .planner import Planner
from .search import Search


@dataclass(frozen=True, kw_only=True)
class BestProposal(Planner):
    """Search nothing: take the best of the proposals, by their cost.

    Proposals are the starts that come after the first, such as those of an action prior; without any, the start is the
    plan. A single proposal is taken whatever it costs: goal-conditioned behaviour cloning.
    """

    def minimise(self, search: Search) -> None:
        """Score the proposals."""
        proposals = search.starts[:, 1:]
        search.score(proposals if proposals.shape[1] else search.starts)
