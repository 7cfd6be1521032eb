"""PointMaze for Gymnasium."""

from typing import Unpack

from ..checks import check_choice, check_number, check_positive
from ..goal_env import GoalEnv, GoalSettings
from ..goal_vector_env import GoalVectorEnv, VectorSettings
from .world import MAX_FRAME_SKIP, Maze, PointMazeWorld, RenderBackend


def _world(
    num_worlds: int, maze: Maze, frame_skip: int, success_radius: float, render_backend: RenderBackend
) -> PointMazeWorld:
    check_choice("maze", maze, Maze)
    check_positive("frame_skip", frame_skip)
    check_number("frame_skip", frame_skip, 0, MAX_FRAME_SKIP)
    check_choice("render_backend", render_backend, RenderBackend)
    radius = check_number("success_radius", success_radius, 0, 10)
    return PointMazeWorld(num_worlds, maze, frame_skip, radius, render_backend)


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
        frame_skip: 5 in DINO-WM (20 Hz); 1 in D4RL and gymnasium-robotics (100 Hz); at most 10, since velocities are
            clipped only between actions and a faster ball would pass through walls.
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
