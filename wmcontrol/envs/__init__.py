"""Environments with goals: Push-T, Wall and PointMaze.

They are made by ``gymnasium.make`` and ``gymnasium.make_vec``; :data:`ENV_IDS` lists the ids.
"""

from .registration import ENV_IDS, register_envs

__all__ = ["ENV_IDS", "register_envs"]
