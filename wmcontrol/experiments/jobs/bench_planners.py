"""``wmcontrol bench planners``."""

from dataclasses import dataclass


@dataclass
class Config:
    """Measure planners without a model: evaluations and seconds to a known optimum, and what they cost themselves.

    CEM and ICEM are compared with the cma package on published functions, where it is installed. Takes minutes.
    """


def run(config: Config) -> None:
    """Measure and print tables."""
    from rich.console import Console

    from ..bench_planners import run as run_bench

    run_bench(Console())
