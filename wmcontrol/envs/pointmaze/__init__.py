"""PointMaze: a ball under forces, through a maze."""

from .env import PointMazeEnv, PointMazeVectorEnv

__all__ = ["PointMazeEnv", "PointMazeVectorEnv"]
