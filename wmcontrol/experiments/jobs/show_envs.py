"""``wmcontrol show envs``."""

from dataclasses import dataclass
from pathlib import Path

from ..files import folder_to_save_in
from ..keys import key


@dataclass
class Config:
    """Draw every environment at several sizes, and everything that may vary from episode to episode."""

    out: Path = key("the folder to save the pictures in", default=Path("docs/pictures"), example="pictures")


def run(config: Config) -> None:
    """Draw the pictures."""
    out = folder_to_save_in(config.out)
    from ..pictures import save_pictures

    save_pictures(out)
