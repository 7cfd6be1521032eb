"""``wmcontrol show envs``."""

from dataclasses import dataclass
from typing import Any

from ..objects import path_of


@dataclass
class Config:
    """Draw every environment at several sizes, and everything that may vary from episode to episode.

    Example: wmcontrol show envs out=pictures

    Args:
        out: the folder to save the pictures in. For example pictures.
    """

    out: str = "docs/pictures"


def run(config: Any) -> None:
    """Draw the pictures."""
    from ...experiments.pictures import save_pictures

    out = path_of(config.out)
    out.mkdir(parents=True, exist_ok=True)
    save_pictures(out)
