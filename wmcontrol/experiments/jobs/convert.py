"""``wmcontrol convert``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..keys import key
from ..reader_keys import camera_key, control_rate_key, open_data, reader_key, reader_settings
from ..record import results_folder


@dataclass
class Config:
    """Turn trajectories of any layout that is known into a Minari data set: HDF5, images without loss.

    Known are DINO-WM's sets, D4RL, Minari, Diffusion Policy, LeRobot, LeWM and folders of videos. Killed, it goes on
    where it stopped when the same line is run again.
    """

    data: Path = key("the file or folder to read", example="pusht_cchi_v7_replay.zarr.zip")
    out: Path = key("the folder to save it in", example="data/human")
    camera: str | None = camera_key()
    control_rate: float | None = control_rate_key()
    reader: dict[str, Any] = reader_key()
    pixels: bool = key(
        "save frames where there are any; without them states only. Frames that are drawn from states are never saved",
        default=True,
        example="false",
    )


def run(config: Config) -> None:
    """Convert it."""
    from ..collecting import convert_into

    dataset = open_data(config.data, reader_settings(config))
    convert_into(results_folder("convert", config, config.out), dataset, config.data, keep_pixels=config.pixels)
