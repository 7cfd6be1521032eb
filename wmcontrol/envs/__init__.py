"""Environments with goals: Push-T, Wall and PointMaze, and others that are registered.

They are made by ``gymnasium.make`` and ``gymnasium.make_vec``; :data:`ENV_IDS` lists the ids of ours.
"""

from .pixels import PixelObservation
from .registration import ENV_IDS, register_envs, register_goal_env
from .trial import check_goal_env

__all__ = ["ENV_IDS", "PixelObservation", "check_goal_env", "register_envs", "register_goal_env"]
