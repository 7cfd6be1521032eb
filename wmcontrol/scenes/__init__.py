"""Physical scenes without end: clips with exact masks and depths, and pairs of films of which one cannot be.

Letters: ``T`` frames, ``K`` things, ``V`` corners.
"""

from .datasets import PairDataset, SceneDataset
from .records import CATEGORIES, CLASSES, Clip, Pair
from .saving import TEST_SEED, save_scenes, scene_sets
from .scene import Scene, Thing

__all__ = [
    "CATEGORIES",
    "CLASSES",
    "TEST_SEED",
    "Clip",
    "Pair",
    "PairDataset",
    "Scene",
    "SceneDataset",
    "Thing",
    "save_scenes",
    "scene_sets",
]
