"""Wall: through a door, from one room to the other."""

from .env import WallEnv, WallVectorEnv

__all__ = ["WallEnv", "WallVectorEnv"]
