"""What models learn from: trajectories in whatever layout, windows over them, and stores of their tokens.

Letters: ``N`` trajectories, ``T`` frames, ``n`` numbers in a state, ``A`` numbers in an action, ``P`` patches of a
frame, ``D`` numbers in a token.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .arrays import ArrayDataset
from .dataset import Subset, TrajectoryDataset, held_out_split
from .frames import ArrayFrames, Frames
from .statistics import ActionStatistics
from .trajectory import Provenance, Trajectory
from .windows import Window, WindowIndex, Windows

if TYPE_CHECKING:
    from .clips import Clips, ClipStream
    from .encoding import encode
    from .fitting import fit_encoder
    from .formats import open_dataset
    from .latent_store import LatentStore
    from .saving import collect, convert
    from .video import VideoFrames

# What needs torch, gymnasium or a reader's library; imported when first asked for.
_LAZY = {
    "ClipStream": "clips",
    "Clips": "clips",
    "LatentStore": "latent_store",
    "VideoFrames": "video",
    "collect": "saving",
    "convert": "saving",
    "encode": "encoding",
    "fit_encoder": "fitting",
    "open_dataset": "formats",
}
__all__ = [
    "ActionStatistics",
    "ArrayDataset",
    "ArrayFrames",
    "ClipStream",
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
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'wmcontrol.data' has no attribute {name!r}")
    return getattr(import_module(f".{_LAZY[name]}", __name__), name)
