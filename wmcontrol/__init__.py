"""wmcontrol: planning with latent video world models.

Importing the package registers its environments with Gymnasium: ``wmcontrol/PushT-v0``, ``wmcontrol/Wall-v0`` and
``wmcontrol/PointMaze_{UMaze,Medium,Large}-v0``. Physics engines, drawing and torch are imported when they are needed.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from .envs import ENV_IDS, register_envs

if TYPE_CHECKING:
    from .agents import HierarchicalAgent as HierarchicalAgent
    from .agents import PlanningAgent as PlanningAgent
    from .agents import SubgoalAgent as SubgoalAgent
    from .data import TrajectoryDataset as TrajectoryDataset
    from .encoders import Encoder as Encoder
    from .encoders import PyramidEncoder as PyramidEncoder
    from .encoders import TransformersEncoder as TransformersEncoder
    from .models import ActionConditioned as ActionConditioned
    from .models import ActionNormalizer as ActionNormalizer
    from .models import Context as Context
    from .models import PlanningSettings as PlanningSettings
    from .models import Predictor as Predictor
    from .models import WorldModel as WorldModel
    from .objectives import ActionPenalty as ActionPenalty
    from .objectives import GoalDistance as GoalDistance
    from .objectives import Guardrail as Guardrail
    from .objectives import LearnedReward as LearnedReward
    from .objectives import Objective as Objective
    from .objectives import Smoothness as Smoothness
    from .objectives import TemporalDistance as TemporalDistance
    from .objectives import TimeToGoal as TimeToGoal
    from .planners import CEM as CEM
    from .planners import CMA as CMA
    from .planners import ICEM as ICEM
    from .planners import MPPI as MPPI
    from .planners import CategoricalCEM as CategoricalCEM
    from .planners import CostFn as CostFn
    from .planners import Gradient as Gradient
    from .planners import Hybrid as Hybrid
    from .planners import Plan as Plan
    from .planners import Planner as Planner
    from .planners import RandomShooting as RandomShooting
    from .planners import Search as Search

__version__ = version("wmcontrol")
_ROOMS = {
    "agents": "HierarchicalAgent PlanningAgent SubgoalAgent",
    "data": "TrajectoryDataset",
    "encoders": "Encoder PyramidEncoder TransformersEncoder",
    "models": "ActionConditioned ActionNormalizer Context PlanningSettings Predictor WorldModel",
    "objectives": "ActionPenalty GoalDistance Guardrail LearnedReward Objective Smoothness TemporalDistance TimeToGoal",
    "planners": "CEM CMA CategoricalCEM CostFn Gradient Hybrid ICEM MPPI Plan Planner RandomShooting Search",
}
_LAZY = {name: room for room, names in _ROOMS.items() for name in names.split()}  # what needs torch, and where it is
__all__ = ["ENV_IDS", "__version__", *_LAZY]

register_envs()


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'wmcontrol' has no attribute {name!r}")
    return getattr(import_module(f".{_LAZY[name]}", __name__), name)


def __dir__() -> list[str]:
    return __all__
