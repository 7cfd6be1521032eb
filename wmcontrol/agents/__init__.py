"""Agents: close the loop between an environment, a world model and a planner."""

from .latent_cost import LatentCost

__all__ = ["LatentCost"]
