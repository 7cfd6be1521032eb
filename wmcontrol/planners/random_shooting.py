"""Random shooting."""

from dataclasses import dataclass

from ..checks import whole
from .planner import Planner
from .search import Search


@dataclass(frozen=True, kw_only=True)
class RandomShooting(Planner):
    """Draw candidates uniformly between the bounds, and keep the best: the floor under every other planner.

    The start is among them. The bounds must be finite.

    Args:
        num_samples: candidates per iteration, S.
        num_iterations: how often; more candidates than memory holds at once.
    """

    num_samples: int = whole(300)
    num_iterations: int = whole(30)

    def minimise(self, search: Search) -> None:
        """Draw and score."""
        if not (search.high - search.low).isfinite().all():
            raise ValueError(
                "RandomShooting draws uniformly between the bounds, which must be finite; "
                f"got low {search.low.tolist()} and high {search.high.tolist()}"
            )
        given = search.starts
        for _ in range(self.num_iterations):
            candidates = search.uniform(search.num_candidates(self.num_samples))
            candidates[:, : given.shape[1]] = given
            search.score(candidates)
            given = given[:, :0]
