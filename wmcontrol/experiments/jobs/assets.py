"""``wmcontrol assets``."""

from dataclasses import dataclass
from pathlib import Path

from ..keys import key


@dataclass
class Config:
    """Make the packaged models anew, from nothing: a base without actions, and one model for each environment.

    Trajectories are collected and encoded, the base is pretrained on all of them without actions, and from it each
    model is fine-tuned; beside each lies a card that says how it was made. All settings are in one table,
    wmcontrol/experiments/recipes.py. It takes hours. Killed, it goes on where it stopped when the same line is run
    again; what is finished is not made again, unless what it was made of has changed.
    """

    only: list[str] | None = key("make only these models; by default all", default=None, example="base,wall")
    out: Path = key("the folder to work in: data, stores, training", default=Path("outputs/assets"), example="work")
    into: Path | None = key(
        "the folder that the finished models go into; by default models in the folder to work in",
        default=None,
        example="models",
    )


def run(config: Config) -> None:
    """Make them."""
    from ..assets import make_assets
    from ..recipes import RECIPE

    make_assets(RECIPE, config.out, config.into or config.out / "models", config.only)
