"""``wmcontrol bench``."""

from dataclasses import dataclass
from pathlib import Path

from ..keys import key
from ..record import results_folder

PARTS = ("planning", "dino_wm", "full_size", "decisions", "training", "evaluation", "growth")


@dataclass
class Config:
    """Measure planning and training with a latent world model, beside what this machine can do. A quarter of an hour.

    One table for all, with ratios that were measured in turns in one run. What users of one part may want to know more
    of has a subject of its own, below.
    """

    parts: list[str] | None = key("which parts; by default all", default=None, example="planning,growth", choices=PARTS)
    rounds: int = key("how often each is measured, of which the median counts", default=5, at_least=1, example="3")
    out: Path | None = key("the folder for the results; by default under outputs", default=None, example="speed")


def run(config: Config) -> None:
    """Measure, save and print the table."""
    from ..speed.report import measure

    out = results_folder("bench", config, config.out)
    print(measure(config.parts or list(PARTS), config.rounds, out).read_text(encoding="utf-8"))
