"""Push-T for Gymnasium."""

from typing import Unpack

from ..checks import check_choice
from ..goal_env import GoalEnv, GoalSettings
from ..goal_vector_env import GoalVectorEnv, VectorSettings
from .world import ActionMode, PushTWorld, Success


def _world(num_worlds: int, action_mode: ActionMode, success: Success) -> PushTWorld:
    check_choice("action_mode", action_mode, ActionMode)
    check_choice("success", success, Success)
    return PushTWorld(num_worlds, action_mode, success)


class PushTEnv(GoalEnv):
    """Push a T-shaped block, with a round agent, to where it shall be (Chi et al., 2023, Diffusion Policy).

    The field is 512 pixels wide, x to the right and y down. Physics as in Diffusion Policy, gym-pusht and DINO-WM:
    pymunk, 100 Hz simulation, 10 Hz control, frictionless.

    State (7,): agent x, y, block x, y, angle, agent velocity x, y; pixels, radians, pixels/s. The block's position is
    the middle of the bar's outer edge. Without velocities (5,) the agent is at rest. ``achieved_goal`` and
    ``desired_goal`` (5,) are the first five.

    Actions (2,): with ``action_mode="relative"`` in [-1, 1]: the agent heads for its place plus 100 pixels times the
    action, clipped to the field (DINO-WM); with ``"absolute"`` in [0, 512]: it heads for that place (Diffusion Policy).

    Success: with ``success="pose"`` the distance between the two 4-vectors of agent and block positions is below 20
    pixels and the angle between the blocks below 20° (DINO-WM, but with angles wrapped); goals are random. With
    ``"coverage"`` the block covers more than 95 % of the T drawn in the frame (Diffusion Policy, where the agent
    does not matter); it stands at (256, 256, 45°) unless ``goal_state`` says otherwise. With ``"pose"`` that T is
    drawn too, as in the references' frames, and means nothing.

    Dense reward: minus distance / 20 pixels minus angle / 20°, or with ``"coverage"`` the share covered over 95 %, at
    most 1, as in Diffusion Policy.

    ``set_state`` restores seven numbers, from which the engine's contacts are found anew. Measured over the 25 control
    steps after ``set_state(get_state())``, at 300 cuts of episodes of constant pushing, against the episode that went
    on: where the block touched no wall, its position was off by at most 2e-12 pixels. Where it did touch one (208 of
    the 300), by 0.0008 in the median, 5 at the 90th percentile and 224 at worst: the force on a block that is squeezed
    between agent and wall grows from step to step in the engine, and no state holds it. Replaying an episode's
    actions from its reset is always exact.

    Args:
        action_mode: ``"relative"`` or ``"absolute"``.
        success: ``"pose"`` or ``"coverage"``.
        settings: see :class:`~wmcontrol.envs.goal_env.GoalEnv`.
    """

    def __init__(
        self,
        action_mode: ActionMode = "relative",
        success: Success = "pose",
        **settings: Unpack[GoalSettings],
    ):
        super().__init__(_world(1, action_mode, success), **settings)


class PushTVectorEnv(GoalVectorEnv):
    """N times :class:`PushTEnv`. Worlds are stepped in a loop: on the cores at hand processes were slower."""

    def __init__(
        self,
        num_envs: int = 1,
        action_mode: ActionMode = "relative",
        success: Success = "pose",
        **settings: Unpack[VectorSettings],
    ):
        super().__init__(_world(num_envs, action_mode, success), **settings)
