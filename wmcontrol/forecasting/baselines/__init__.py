"""What world models are compared with in forecasts and surprise, beside copying and masked predictors.

A masked predictor (:class:`wmcontrol.models.MaskedPredictor`) is the predictor of a world model.
"""

from .cosmos import CosmosFrames
from .frames import FrameForecaster
from .vjepa import VJEPA

__all__ = ["VJEPA", "CosmosFrames", "FrameForecaster"]
