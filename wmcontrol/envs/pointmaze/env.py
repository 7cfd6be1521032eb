"""PointMaze for Gymnasium."""

from typing import Unpack

from ..goal_core import check_choice, check_positive
from ..goal_env import GoalEnv, GoalSettings
from ..goal_vector_env import GoalVectorEnv, VectorSettings
from .world import Maze, PointMazeWorld, RenderBackend


def _world(
    num_worlds: int, maze: Maze, frame_skip: int, success_radius: float, render_backend: RenderBackend
) -> PointMazeWorld:
    check_choice("maze", maze, Maze)
    check_positive("frame_skip", frame_skip)
    check_choice("render_backend", render_backend, RenderBackend)
    if not success_radius > 0:
        raise ValueError(f"success_radius must be positive, got {success_radius!r}")
    return PointMazeWorld(num_worlds, maze, frame_skip, success_radius, render_backend)


class PointMazeEnv(GoalEnv):
    """Push a ball through a maze to a place in it (D4RL's maze2d, DINO-WM's ``point_maze``).

    MuJoCo with D4RL's model and D4RL's coordinates: x counts the rows of the maze's text and y its columns, and the
    middle of a free cell is its row and column minus 0.2.

    State (4,): x, y and the velocities. ``observation`` is the state, goals (2,) are x, y.

    Actions (2,) in [-1, 1]: force on the ball, held for ``frame_skip`` simulation steps of 0.01 s. Before each action
    velocities are clipped to ±5.

    Success: closer than ``success_radius`` to the goal, at any velocity. Dense reward: exp(-distance), as in D4RL.

    Frames show what the reference's camera sees, x to the right and y down.

    Args:
        maze: ``"umaze"``, ``"medium"`` or ``"large"``.
        frame_skip: 5 in DINO-WM (20 Hz); 1 in D4RL and gymnasium-robotics (100 Hz).
        success_radius: 0.5 in D4RL and DINO-WM, 0.45 in gymnasium-robotics.
        render_backend: ``"opencv"``: flat and fast; ``"mujoco"``: shaded, for comparison; it offers only the
            variations of the physics.
        settings: see :class:`~wmcontrol.envs.goal_env.GoalEnv`.
    """

    def __init__(
        self,
        maze: Maze = "umaze",
        frame_skip: int = 5,
        success_radius: float = 0.5,
        render_backend: RenderBackend = "opencv",
        **settings: Unpack[GoalSettings],
    ):
        super().__init__(_world(1, maze, frame_skip, success_radius, render_backend), **settings)


class PointMazeVectorEnv(GoalVectorEnv):
    """N times :class:`PointMazeEnv`, stepped by one call of MuJoCo's."""

    def __init__(
        self,
        num_envs: int = 1,
        maze: Maze = "umaze",
        frame_skip: int = 5,
        success_radius: float = 0.5,
        render_backend: RenderBackend = "opencv",
        **settings: Unpack[VectorSettings],
    ):
        super().__init__(_world(num_envs, maze, frame_skip, success_radius, render_backend), **settings)
