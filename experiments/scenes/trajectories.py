"""Clips of scenes as trajectories without actions, which are drawn as they are encoded: nothing is saved."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wmcontrol.data import Provenance, Trajectory, TrajectoryDataset
from wmcontrol.data.dataset import checked_index
from wmcontrol.data.frames import ReadFrames
from wmcontrol.scenes import SceneDataset


class SceneTrajectories(TrajectoryDataset):
    """The clips of a :class:`~wmcontrol.scenes.SceneDataset`, one trajectory each."""

    def __init__(self, clips: SceneDataset):
        self.clips = clips
        self.lengths = np.full(len(clips), clips.num_frames, np.int64)
        self.control_rate = None
        self.env_id = None
        self.action_bounds = None

    def trajectory(self, index: int) -> Trajectory:
        """Return one clip, not drawn yet."""
        number, count = checked_index(index, len(self)), self.clips.num_frames
        return Trajectory(
            times=np.arange(count) / self.clips.frame_rate,
            frames=ReadFrames(count, f"clip {number}", _Drawn(self.clips, number)),
            provenance=Provenance("scenes", Path(f"seed {self.clips.seed}"), f"clip {number}"),
        )

    def fingerprint(self) -> str:
        """Return a digest of the settings of the clips."""
        return hashlib.sha256(json.dumps(["scenes", self.clips.settings()], sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class _Drawn:
    clips: SceneDataset
    number: int

    def __call__(self, numbers: NDArray[np.int64]) -> Any:
        return self.clips[self.number].frames[numbers]
