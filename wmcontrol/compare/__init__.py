"""Comparing ways of fine-tuning by planning with what came of them, on one machine or many."""

from .presets import ENVIRONMENTS, demo, usual_comparison
from .run import ComparisonResult, compare
from .settings import CollectSettings, Comparison, EnvironmentSettings

__all__ = [
    "ENVIRONMENTS",
    "CollectSettings",
    "Comparison",
    "ComparisonResult",
    "EnvironmentSettings",
    "compare",
    "demo",
    "usual_comparison",
]
