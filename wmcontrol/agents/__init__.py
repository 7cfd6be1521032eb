"""Agents: close the loop between an environment, a world model and a planner."""

from .baselines import NoOpAgent, RandomAgent
from .hierarchical import HierarchicalAgent
from .imagining import Explanation, LatentCost, PathToGoal, WayToGoal
from .planning import PlanningAgent
from .simulator import SimulatorModel
from .stable_baselines import load_policy
from .state import AgentState
from .subgoals import SubgoalAgent

__all__ = [
    "AgentState",
    "Explanation",
    "HierarchicalAgent",
    "LatentCost",
    "NoOpAgent",
    "PathToGoal",
    "PlanningAgent",
    "RandomAgent",
    "SimulatorModel",
    "SubgoalAgent",
    "WayToGoal",
    "load_policy",
]
