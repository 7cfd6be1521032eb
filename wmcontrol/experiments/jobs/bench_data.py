"""``wmcontrol bench data``."""

from dataclasses import dataclass

from ..keys import key


@dataclass
class Config:
    """Measure how fast training reads windows and clips, and how fast what it reads is made; on one core."""

    episodes: int = key("size of the set that is made and read", default=2000, at_least=10, example="200")
    seconds: float = key("how long each rate of reading is measured", default=2.0, over=0, example="0.5")


def run(config: Config) -> None:
    """Measure and print a table."""
    from rich.console import Console

    from ..bench_data import run as run_bench

    run_bench(Console(), config.episodes, config.seconds)
