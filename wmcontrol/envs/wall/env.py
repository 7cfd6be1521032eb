"""The two rooms for Gymnasium."""

from typing import Unpack

from ..checks import check_choice, check_number
from ..goal_env import GoalEnv, GoalSettings
from ..goal_vector_env import GoalVectorEnv, VectorSettings
from .world import LayoutName, WallWorld


def _world(num_worlds: int, layout: LayoutName, action_scale: float) -> WallWorld:
    check_choice("layout", layout, LayoutName)
    return WallWorld(num_worlds, layout, check_number("action_scale", action_scale, 0, 10))


class WallEnv(GoalEnv):
    """Move a dot from one room through a door to a place in the other (DINO-WM's ``wall``).

    Coordinates are pixels of a frame of 65, x to the right and y down. The border is at 4 and 60; the wall is 6 wide
    and the door 8 high.

    State (2,): x, y. ``achieved_goal`` and ``desired_goal`` are the same; ``observation`` too, and with
    ``layout="random"`` it ends with the x of the wall and the y of the door.

    Actions (2,) in [-1, 1]: the dot moves by ``action_scale`` times the action, until something is in the way.

    Success: closer than 4.5 to the goal. Dense reward: minus the distance.

    Args:
        layout: ``"fixed"``: wall at x = 32, door at y = 30, as in DINO-WM; ``"random"``: both drawn per episode, from
            20 to 44 and 10 to 54.
        action_scale: pixels per unit of action, 2 in DINO-WM's environment; its data generator uses 1.
        settings: see :class:`~wmcontrol.envs.goal_env.GoalEnv`.
    """

    def __init__(self, layout: LayoutName = "fixed", action_scale: float = 2.0, **settings: Unpack[GoalSettings]):
        super().__init__(_world(1, layout, action_scale), **settings)


class WallVectorEnv(GoalVectorEnv):
    """N times :class:`WallEnv`, all in the same array operations."""

    def __init__(
        self,
        num_envs: int = 1,
        layout: LayoutName = "fixed",
        action_scale: float = 2.0,
        **settings: Unpack[VectorSettings],
    ):
        super().__init__(_world(num_envs, layout, action_scale), **settings)
