"""Physical scenes without end: clips with exact masks and depths, and pairs of films of which one cannot be.

Letters: ``T`` frames, ``K`` things, ``V`` corners.
"""

from .datasets import PairDataset, SceneDataset, SceneDataset3D
from .mujoco_scenes import CLASSES_3D, Scene3D
from .records import CATEGORIES, CLASSES, Clip, Pair
from .saving import TEST_SEED, save_scenes, scene_sets
from .scene import Scene, Thing

__all__ = [
    "CATEGORIES",
    "CLASSES",
    "CLASSES_3D",
    "TEST_SEED",
    "Clip",
    "Pair",
    "PairDataset",
    "Scene",
    "Scene3D",
    "SceneDataset",
    "SceneDataset3D",
    "Thing",
    "save_scenes",
    "scene_sets",
]
