"""World models: predictors in an encoder's latent space, with or without actions, and their checkpoints."""

from .action import ActionConditioned
from .context import Context
from .dino_wm import load_dino_wm
from .frame_causal import FrameCausalPredictor
from .normalizer import ActionNormalizer
from .planning_settings import PlanningSettings
from .predictor import Predictor
from .world_model import WorldModel

__all__ = [
    "ActionConditioned",
    "ActionNormalizer",
    "Context",
    "FrameCausalPredictor",
    "PlanningSettings",
    "Predictor",
    "WorldModel",
    "load_dino_wm",
]
