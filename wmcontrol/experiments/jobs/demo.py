"""``wmcontrol demo``."""

from dataclasses import dataclass
from pathlib import Path

from ..files import folder_to_save_in
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
    out = folder_to_save_in(config.out)
    from ..compare import compare
    from ..demo import small_comparison
    from ..record import write_record

    write_record(out, "demo", config)
    compare(small_comparison(config.seed), (out / "stages").resolve(), out)
