"""Readers of the sets that forecasts and surprise are measured on, by the layouts that they are published in."""

from .cityscapes import Cityscapes
from .films import GRASP, InfLevel, IntPhys
from .kitti import KITTI
from .masked_videos import MaskedVideos
from .plain_videos import PlainVideos
from .saved_scenes import SavedScenes
from .scenes import SceneClips, ScenePairs
from .vspw import VSPW

__all__ = [
    "GRASP",
    "KITTI",
    "VSPW",
    "Cityscapes",
    "InfLevel",
    "IntPhys",
    "MaskedVideos",
    "PlainVideos",
    "SavedScenes",
    "SceneClips",
    "ScenePairs",
]
