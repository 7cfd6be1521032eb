"""``wmcontrol convert``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..keys import key
from ..record import results_folder


@dataclass
class Config:
    """Turn trajectories of any layout that is known into a Minari data set: HDF5, images without loss.

    Known are DINO-WM's sets, D4RL, Minari, Diffusion Policy, LeRobot, LeWM and folders of videos. Killed, it goes on
    where it stopped when the same line is run again.
    """

    data: Path = key("the file or folder to read", example="pusht_cchi_v7_replay.zarr.zip")
    out: Path = key("the folder to save it in", example="data/human")
    settings: dict[str, Any] = key("settings of the reader", default={}, example="{camera:observation.image}")
    pixels: bool = key(
        "save frames where there are any; without them states only. Frames that are drawn from states are never saved",
        default=True,
        example="false",
    )


def run(config: Config) -> None:
    """Convert it."""
    from ...data.formats import open_dataset
    from ..collecting import convert_into

    try:
        dataset = open_dataset(config.data, **config.settings)
    except TypeError as error:
        raise UsageError(f"settings: {error}") from error
    convert_into(results_folder("convert", config, config.out), dataset, config.data, keep_pixels=config.pixels)
