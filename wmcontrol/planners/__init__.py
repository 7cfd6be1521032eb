"""Planners: minimise ``cost(actions)``. They know a cost, a start and bounds, and nothing else.

Letters: ``B`` environments, ``S`` candidates, ``H`` model steps ahead, ``A`` numbers in one model action.
"""

from .cem import CEM
from .cma import CMA
from .fast import fast
from .gradient import Gradient
from .hybrid import Hybrid
from .icem import ICEM
from .mppi import MPPI
from .plan import CostFn, Plan
from .planner import Planner
from .random_shooting import RandomShooting
from .search import Search

__all__ = [
    "CEM",
    "CMA",
    "ICEM",
    "MPPI",
    "CostFn",
    "Gradient",
    "Hybrid",
    "Plan",
    "Planner",
    "RandomShooting",
    "Search",
    "fast",
]
