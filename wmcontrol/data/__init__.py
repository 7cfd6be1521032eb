"""What models learn from: trajectories in whatever layout, windows over them, and stores of their tokens.

Letters: ``N`` trajectories, ``T`` frames, ``n`` numbers in a state, ``A`` numbers in an action, ``P`` patches of a
frame, ``D`` numbers in a token.
"""

from .dataset import Subset, TrajectoryDataset
from .statistics import ActionStatistics
from .trajectory import ArrayFrames, Frames, Provenance, Trajectory
from .windows import Window, WindowIndex, Windows

__all__ = [
    "ActionStatistics",
    "ArrayFrames",
    "Frames",
    "Provenance",
    "Subset",
    "Trajectory",
    "TrajectoryDataset",
    "Window",
    "WindowIndex",
    "Windows",
]
