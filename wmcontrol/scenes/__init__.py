"""Physical scenes without end: clips with exact masks and depths, and pairs of films of which one cannot be.

Letters: ``T`` frames, ``K`` things, ``V`` corners.
"""

from .datasets import PairDataset, PairDataset3D, SceneDataset, SceneDataset3D
from .records import CATEGORIES, CLASSES, Clip, Pair
from .saving import TEST_SEED, save_scenes, scene_sets
from .scene import Scene, Thing
from .solids import CLASSES_3D, Scene3D, Solid

__all__ = [
    "CATEGORIES",
    "CLASSES",
    "CLASSES_3D",
    "TEST_SEED",
    "Clip",
    "Pair",
    "PairDataset",
    "PairDataset3D",
    "Scene",
    "Scene3D",
    "SceneDataset",
    "SceneDataset3D",
    "Solid",
    "Thing",
    "save_scenes",
    "scene_sets",
]
