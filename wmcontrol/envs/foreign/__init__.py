"""Any Gymnasium environment as one with goals."""

from .env import ForeignGoalEnv, ForeignGoalVectorEnv

__all__ = ["ForeignGoalEnv", "ForeignGoalVectorEnv"]
