"""``wmcontrol demo``."""

from dataclasses import dataclass
from pathlib import Path

from ..keys import key


@dataclass
class Config:
    """From nothing to agents that plan, in minutes: wmcontrol compare on Wall in small.

    A few hundred trajectories are collected, the packaged base is fine-tuned on them, and what came of it plans, beside
    doing nothing, random actions, and planning with the true simulator. Then open the report, and the video beside it.
    Killed, it goes on where it stopped when the same line is run again.
    """

    out: Path = key("the folder to save all in", default=Path("outputs/demo"), example="trial")
    seed: int = key("of training, tasks and agents", default=0, at_least=0, example="1")


def run(config: Config) -> None:
    """Do it."""
    from ...compare import presets
    from .compare import make

    make(presets.demo(config.seed), config.out, config)
