"""World models: predictors in an encoder's latent space, with or without actions, and their checkpoints."""

from .action import ActionConditioned
from .action_prior import ActionPrior
from .attention_maps import attention_weights
from .checkpoint import find_folder
from .context import Context
from .decoder import FrameDecoder
from .landmarks import Landmarks
from .normalizer import ActionNormalizer
from .planning_settings import PlanningSettings
from .predictor import Predictor, register_predictor
from .reward import RewardHead
from .steps_to_go import StepsToGo
from .temporal_embedding import TemporalEmbedding
from .world_model import WorldModel
from .zoo.dino_wm import load_dino_wm
from .zoo.frame_causal import FrameCausalPredictor
from .zoo.masked import MaskedPredictor

__all__ = [
    "ActionConditioned",
    "ActionNormalizer",
    "ActionPrior",
    "Context",
    "FrameCausalPredictor",
    "FrameDecoder",
    "Landmarks",
    "MaskedPredictor",
    "PlanningSettings",
    "Predictor",
    "RewardHead",
    "StepsToGo",
    "TemporalEmbedding",
    "WorldModel",
    "attention_weights",
    "find_folder",
    "load_dino_wm",
    "register_predictor",
]
