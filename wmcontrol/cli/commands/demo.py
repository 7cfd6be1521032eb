"""``wmcontrol demo``."""

from dataclasses import dataclass
from typing import Any

from ..objects import out_folder, show_comparison


@dataclass
class Config:
    """From nothing to agents that plan, in minutes: wmcontrol compare on Wall in small.

    A few hundred trajectories are collected, the packaged base is fine-tuned on them, and what came of it plans, beside
    doing nothing, random actions, and planning with the true simulator. Then open the report, and the video beside it.
    Killed, it goes on where it stopped when the same line is run again.

    Example: wmcontrol demo out=trial

    Args:
        out: the folder to save all in. For example trial.
        seed: of training, tasks and agents. For example 1.
    """

    out: str = "outputs/demo"
    seed: int = 0


def run(config: Any) -> None:
    """Do it."""
    from ...compare import demo

    show_comparison(demo(config.seed), out_folder(config.out))
