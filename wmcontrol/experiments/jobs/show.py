"""``wmcontrol show``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..files import folder_to_save_in
from ..keys import key
from ..reader_keys import camera_key, control_rate_key, open_data, reader_key, reader_settings


@dataclass
class Config:
    """Draw a contact sheet of a data set: frames, actions, and how far things get in 25 steps."""

    data: Path = key("the trajectories, in any layout that wmcontrol convert --help names", example="data/wall")
    out: Path = key("the picture to save", default=Path("outputs/sheet.png"), example="wall.png")
    camera: str | None = camera_key()
    control_rate: float | None = control_rate_key()
    reader: dict[str, Any] = reader_key()

    def __post_init__(self) -> None:
        if self.out.suffix.lower() != ".png":
            raise ValueError(f"out: expected a file that ends in .png, got '{self.out}'")


def run(config: Config) -> None:
    """Draw it."""
    folder_to_save_in(config.out.parent)
    from ..data_sheet import save_sheet

    dataset = open_data(config.data, reader_settings(config))
    save_sheet(dataset, config.out)
    print(config.out)
