"""Planners: minimise ``cost(actions)``. They know a cost, a start and bounds, and nothing else.

Letters: ``B`` environments, ``S`` candidates, ``H`` model steps ahead, ``A`` numbers in one model action.
"""

from .best_proposal import BestProposal
from .categorical_cem import CategoricalCEM
from .cem import CEM
from .cma import CMA
from .gradient import Gradient, Hybrid
from .icem import ICEM, fast
from .mppi import MPPI
from .planner import Plan, Planner
from .random_shooting import RandomShooting
from .search import CostFn, Search

__all__ = [
    "CEM",
    "CMA",
    "ICEM",
    "MPPI",
    "BestProposal",
    "CategoricalCEM",
    "CostFn",
    "Gradient",
    "Hybrid",
    "Plan",
    "Planner",
    "RandomShooting",
    "Search",
    "fast",
]
