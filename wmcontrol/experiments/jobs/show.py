"""``wmcontrol show``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..files import folder_to_save_in
from ..keys import key


@dataclass
class Config:
    """Draw a contact sheet of a data set: frames, actions, and how far things get in 25 steps."""

    data: Path = key("the trajectories, in any layout that wmcontrol convert --help names", example="data/wall")
    out: Path = key("the picture to save", default=Path("outputs/sheet.png"), example="wall.png")
    settings: dict[str, Any] = key("settings of the reader", default={}, example="{image_size:96}")

    def __post_init__(self) -> None:
        if self.out.suffix.lower() != ".png":
            raise ValueError(f"out: expected a file that ends in .png, got '{self.out}'")


def run(config: Config) -> None:
    """Draw it."""
    folder_to_save_in(config.out.parent)
    from ...data.formats import open_dataset
    from ..data_sheet import save_sheet

    try:
        dataset = open_dataset(config.data, **config.settings)
    except TypeError as error:
        raise UsageError(f"settings: {error}") from error
    save_sheet(dataset, config.out)
    print(config.out)
