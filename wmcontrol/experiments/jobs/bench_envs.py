"""``wmcontrol bench envs``."""

from dataclasses import dataclass

from ..keys import key


@dataclass
class Config:
    """Measure steps per second of the environments on one core, with frames of 64 and 224 pixels.

    They are compared with gym-pusht and gymnasium-robotics where these are installed (pip install "wmcontrol[oracle]").
    """

    seconds: float = key("how long to measure each environment and size", default=2.0, over=0, example="0.5")


def run(config: Config) -> None:
    """Measure and print tables."""
    from ..bench_envs import run_bench

    run_bench(config.seconds)
