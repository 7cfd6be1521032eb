"""``wmcontrol convert``."""

from dataclasses import dataclass
from typing import Any

from ..keys import MISSING
from ..objects import open_data, run_folder
from ..progress import progress_bar


@dataclass
class Config:
    """Turn trajectories of any layout that is known into a Minari data set: HDF5, images without loss.

    Killed, it goes on where it stopped when the same line is run again.

    Example: wmcontrol convert data.path=pusht_cchi_v7_replay.zarr.zip out=data/human

    Args:
        out: the folder to save it in. For example data/human.
        pixels: save frames where there are any; without them states only. Frames that are drawn from states are never
            saved. For example false.
    """

    out: str = MISSING
    pixels: bool = True


def run(config: Any) -> None:
    """Convert them."""
    from ...data import convert

    out, dataset = run_folder(config, "convert"), open_data(config.data)
    with progress_bar("converting", "episodes") as progress:
        data = convert(
            dataset, out, keep_pixels=config.pixels, about={"source": str(config.data.path)}, progress=progress
        )
    print(f"{len(data)} episodes: {out}")
