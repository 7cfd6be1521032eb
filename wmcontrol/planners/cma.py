"""Covariance matrix adaptation, through the ``cma`` package."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ..checks import number, whole
from .planner import Planner
from .search import Search


@dataclass(frozen=True, kw_only=True)
class CMA(Planner):
    """CMA-ES (Hansen, arXiv 1604.00772) by ask and tell: ``pip install "wmcontrol[cma]"``.

    It learns how the numbers of a plan are correlated, and takes time for it: each environment has an evolution of
    its own, in NumPy. A row stops when it has converged by the package's own criteria.

    Args:
        num_samples: candidates per iteration, S, 4 or more.
        num_iterations: how often, at most.
        std: standard deviation at the start, in normalised action units.
    """

    num_samples: int = whole(30, least=4)
    num_iterations: int = whole(300)
    std: float = number(0.5, "(0, 1e6]")

    def minimise(self, search: Search) -> None:
        """Ask each row's process for candidates, score all rows at once, and tell."""
        if search.starts.shape[1] > 1:
            search.score(search.starts)
        start = search.best[:, None]
        processes = [self._process(search, row) for row in range(len(start))]
        free = (search.low < search.high).expand(start.shape[2:]).reshape(-1)
        for iteration in range(self.num_iterations):
            candidates = start.repeat(1, self.num_samples, 1, 1)
            asked = [process.ask() if search.active[row] else [] for row, process in enumerate(processes)]
            flat = candidates.view(len(processes), self.num_samples, -1)
            for row, answers in enumerate(asked):
                if answers:
                    flat[row, :, free] = torch.from_numpy(np.array(answers)).to(flat)
            if iteration == 0:
                candidates[:, :1] = start
                for row, answers in enumerate(asked):
                    answers[:1] = list(start[row].flatten(1)[:, free].double().cpu().numpy())
            _, costs = search.score(candidates)
            # It looks at nothing but their order; of ranks none is infinite, and the cost's unit does not show.
            ranks = costs.argsort(dim=1, stable=True).argsort(dim=1).double().tolist()
            for row, process in enumerate(processes):
                if asked[row]:
                    # To the bit what it asked for: what is rounded counts as another's, and it hardly learns from that.
                    process.tell(asked[row], ranks[row])
            search.finish(torch.tensor([bool(process.stop()) for process in processes], dtype=torch.bool, device="cpu"))
            if search.done:
                return

    def _process(self, search: Search, row: int) -> Any:
        """Start one row's evolution, over the numbers that are free, with randomness from the row's generator alone."""
        try:
            import cma
        except ImportError as error:
            raise ImportError('CMA needs the package "cma": pip install "wmcontrol[cma]"') from error
        start = search.best[row]
        low, high = (bound.expand_as(start).flatten() for bound in (search.low, search.high))
        free = low < high
        if int(free.sum()) < 2:
            raise ValueError(f"CMA needs 2 free numbers or more in a plan, got {int(free.sum())}; take CEM")
        rng = np.random.default_rng(search.seed(row))
        options = {
            "bounds": [bound[free].double().cpu().numpy() for bound in (low, high)],
            "popsize": self.num_samples,
            "randn": lambda *shape: rng.standard_normal(shape),
            "seed": float("nan"),  # or it would seed NumPy's global generator
            "verbose": -9,
            # Ranks do not fall: that they stand still says nothing. Steps without length still end a search.
            "tolfun": 0,
            "tolfunhist": 0,
            "tolstagnation": 10**9,
            "tolflatfitness": 10**9,
        }
        return cma.CMAEvolutionStrategy(start.flatten()[free].double().cpu().numpy(), self.std, options)
