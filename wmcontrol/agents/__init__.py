"""Agents: close the loop between an environment, a world model and a planner."""

from .explanation import Explanation
from .latent_cost import LatentCost
from .planning import PlanningAgent
from .simple import NoOpAgent, RandomAgent
from .simulator import SimulatorModel
from .stable_baselines import load_policy
from .state import AgentState

__all__ = [
    "AgentState",
    "Explanation",
    "LatentCost",
    "NoOpAgent",
    "PlanningAgent",
    "RandomAgent",
    "SimulatorModel",
    "load_policy",
]
