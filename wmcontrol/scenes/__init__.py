"""Physical scenes without end: clips with exact masks and depths, and pairs of films of which one cannot be.

Letters: ``T`` frames, ``K`` things, ``V`` corners.
"""

from .datasets import PairDataset, SceneDataset
from .records import CATEGORIES, CLASSES, Clip, Pair
from .scene import Scene, Thing

__all__ = ["CATEGORIES", "CLASSES", "Clip", "Pair", "PairDataset", "Scene", "SceneDataset", "Thing"]
