"""What models learn from: trajectories in whatever layout, windows over them, and stores of their tokens.

Letters: ``N`` trajectories, ``T`` frames, ``n`` numbers in a state, ``A`` numbers in an action, ``P`` patches of a
frame, ``D`` numbers in a token.
"""

from typing import TYPE_CHECKING, Any

from .arrays import ArrayDataset
from .clips import Clip, Clips
from .dataset import Subset, TrajectoryDataset, held_out_split
from .encoding import encode
from .fitting import fit_encoder
from .formats import open_dataset
from .frames import ArrayFrames, Frames
from .latent_store import LatentStore
from .recording import record
from .saving import collect, convert
from .statistics import ActionStatistics
from .trajectory import Provenance, Trajectory
from .windows import Window, WindowIndex, Windows

if TYPE_CHECKING:
    from .video import VideoFrames

__all__ = [
    "ActionStatistics",
    "ArrayDataset",
    "ArrayFrames",
    "Clip",
    "Clips",
    "Frames",
    "LatentStore",
    "Provenance",
    "Subset",
    "Trajectory",
    "TrajectoryDataset",
    "VideoFrames",
    "Window",
    "WindowIndex",
    "Windows",
    "collect",
    "convert",
    "encode",
    "fit_encoder",
    "held_out_split",
    "open_dataset",
    "record",
]


def __getattr__(name: str) -> Any:
    if name != "VideoFrames":  # which brings in the decoder
        raise AttributeError(f"module 'wmcontrol.data' has no attribute {name!r}")
    from .video import VideoFrames

    return VideoFrames
