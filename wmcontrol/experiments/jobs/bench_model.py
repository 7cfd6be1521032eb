"""``wmcontrol bench model``."""

from dataclasses import dataclass


@dataclass
class Config:
    """Measure time and memory of imagining the next frame of 300 candidates, five steps ahead. Takes minutes.

    With the context cache and without it, and what share of the machine's rate of matrix products that is.
    """


def run(config: Config) -> None:
    """Measure and print a table."""
    from rich.console import Console

    from ..bench_model import run as run_bench

    run_bench(Console())
