"""Planners by their names on the command line: ``planner=cem``."""

from collections.abc import Mapping
from typing import Any

from ..planners import CEM, CMA, ICEM, MPPI, Gradient, Hybrid, Planner, RandomShooting
from .errors import UsageError

PLANNERS: Mapping[str, type[Planner]] = {
    "cem": CEM,
    "icem": ICEM,
    "mppi": MPPI,
    "gradient": Gradient,
    "hybrid": Hybrid,
    "cma": CMA,
    "random_shooting": RandomShooting,
}


def make_planner(name: str, settings: Mapping[str, Any]) -> Planner:
    """Make a planner by its name.

    Raises:
        UsageError: settings that it has not, or that are out of range; the names of ``PLANNERS`` are for the key to
            check.
    """
    try:
        return PLANNERS[name](**settings)
    except (TypeError, ValueError) as error:
        raise UsageError(f"planner={name}: {error}") from error
