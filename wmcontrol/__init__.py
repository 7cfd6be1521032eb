"""wmcontrol: planning with latent video world models.

Importing the package registers its environments with Gymnasium: ``wmcontrol/PushT-v0``, ``wmcontrol/Wall-v0`` and
``wmcontrol/PointMaze_{UMaze,Medium,Large}-v0``. Physics engines, drawing and torch are imported when they are needed.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from .envs import ENV_IDS, register_envs

if TYPE_CHECKING:
    from .agents import PlanningAgent
    from .data import TrajectoryDataset
    from .encoders import Encoder, PyramidEncoder, TransformersEncoder
    from .models import ActionConditioned, ActionNormalizer, Context, PlanningSettings, Predictor, WorldModel
    from .objectives import ActionPenalty, GoalDistance, Guardrail, LearnedReward, Objective, Smoothness
    from .planners import (
        CEM,
        CMA,
        ICEM,
        MPPI,
        CategoricalCEM,
        CostFn,
        Gradient,
        Hybrid,
        Plan,
        Planner,
        RandomShooting,
        Search,
    )

__version__ = version("wmcontrol")
_ROOMS = {
    "agents": "PlanningAgent",
    "data": "TrajectoryDataset",
    "encoders": "Encoder PyramidEncoder TransformersEncoder",
    "models": "ActionConditioned ActionNormalizer Context PlanningSettings Predictor WorldModel",
    "objectives": "ActionPenalty GoalDistance Guardrail LearnedReward Objective Smoothness",
    "planners": "CEM CMA CategoricalCEM CostFn Gradient Hybrid ICEM MPPI Plan Planner RandomShooting Search",
}
_LAZY = {name: room for room, names in _ROOMS.items() for name in names.split()}  # what needs torch, and where it is
__all__ = [
    "CEM",
    "CMA",
    "ENV_IDS",
    "ICEM",
    "MPPI",
    "ActionConditioned",
    "ActionNormalizer",
    "ActionPenalty",
    "CategoricalCEM",
    "Context",
    "CostFn",
    "Encoder",
    "GoalDistance",
    "Gradient",
    "Guardrail",
    "Hybrid",
    "LearnedReward",
    "Objective",
    "Plan",
    "Planner",
    "PlanningAgent",
    "PlanningSettings",
    "Predictor",
    "PyramidEncoder",
    "RandomShooting",
    "Search",
    "Smoothness",
    "TrajectoryDataset",
    "TransformersEncoder",
    "WorldModel",
    "__version__",
]

register_envs()


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'wmcontrol' has no attribute {name!r}")
    return getattr(import_module(f".{_LAZY[name]}", __name__), name)


def __dir__() -> list[str]:
    return __all__
