"""``wmcontrol show``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..objects import open_data, out_folder


@dataclass
class Config:
    """Draw a contact sheet of a data set: frames, actions, and how far things get in 25 steps.

    Example: wmcontrol show data.path=data/wall out=wall.png

    Args:
        out: the picture to save. For example wall.png.
    """

    out: str = "outputs/sheet.png"


def run(config: Any) -> None:
    """Draw it."""
    from ...data.sheet import save_sheet

    out = Path(config.out)
    if out.suffix.lower() != ".png":
        raise UsageError(f"out: expected a file that ends in .png, got '{out}'")
    out_folder(out.parent)
    dataset = open_data(config.data)
    out.parent.mkdir(parents=True, exist_ok=True)
    save_sheet(dataset, out)
    print(out)
