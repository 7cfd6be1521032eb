"""PointMaze: its states, task and variations, and the environments for Gymnasium."""

from functools import partial
from typing import Literal

import numpy as np

from ...checks import check_choice, check_number, check_whole
from ..backgrounds import Backgrounds
from ..canvas import Floats, Frames, Rows
from ..goal_env import GoalEnv
from ..goal_vector_env import GoalVectorEnv
from ..variation import CAMERA_AND_DISTRACTORS, Values, color, scalar
from ..world import Bools, Bounds, World, distance
from . import scene
from .mazes import BALL_RADIUS, BODY_ORIGIN, MAX_SPEED, MAZES, WALL_ORIGIN, cells
from .physics import MAX_ACCELERATION, TIMESTEP, Simulation

Maze = Literal["umaze", "medium", "large"]
RenderBackend = Literal["opencv", "mujoco"]

_NOISE = 0.1  # of starts and goals around their cells, as in D4RL
_VELOCITY_NOISE = 0.1
# Soft contacts let a ball sink into a wall, the smallest and fastest until its centre is 0.01 from the wall's face.
_CLOSEST = 0.005
_AGENT_SIZE = (0.8, 1.6)  # smaller balls slip through walls
MAX_FRAME_SKIP = 10


class PointMazeWorld(World):
    """N balls in mazes of one shape. See :class:`PointMazeEnv` for what it does."""

    state_labels = ("x", "y", "velocity x", "velocity y")
    length_unit = "cells"
    pose_size = 2
    action_bounds = Bounds.of((-1, 1), (-1, 1))

    def __init__(
        self,
        num_worlds: int,
        maze: Maze = "umaze",
        frame_skip: int = 5,
        success_radius: float = 0.5,
        render_backend: RenderBackend = "opencv",
    ):
        check_choice("maze", maze, Maze)
        check_whole("frame_skip", frame_skip)
        check_number("frame_skip", frame_skip, f"[1, {MAX_FRAME_SKIP}]")
        check_number("success_radius", success_radius, "(0, 10]")
        check_choice("render_backend", render_backend, RenderBackend)
        self.control_rate = 1 / (TIMESTEP * frame_skip)
        self._success_radius = success_radius
        self._free = cells(maze, free=True)
        self._walls = cells(maze, free=False) + WALL_ORIGIN - BODY_ORIGIN
        # Clipped before the action, the velocity grows by what the motors give; a contact's rebound may add to it.
        speed = 2 * (MAX_SPEED + MAX_ACCELERATION * TIMESTEP * frame_skip)
        rows, columns = len(MAZES[maze]), len(MAZES[maze][0])
        self.state_bounds = Bounds.of((0, rows), (0, columns), (-speed, speed), (-speed, speed))
        self.observation_bounds = self.state_bounds
        self.goal_bounds = self.state_bounds[:2]
        view = scene.View(maze)
        self.side, self.window_origin = view.side, view.origin
        self.variations = {
            "agent_size": scalar(*_AGENT_SIZE, 1, "times the reference's radius, at the same mass"),
            "friction": scalar(0.5, 4, 1, "times the reference's viscous friction"),
        }
        if render_backend == "opencv":
            self.variations |= {
                "background_color": color(scene.FLOOR),
                "agent_color": color(scene.BALL),
                "wall_color": color(scene.WALL),
                "goal_color": color(scene.TARGET),
                **CAMERA_AND_DISTRACTORS,
            }
        super().__init__(num_worlds)
        self._states = np.zeros((num_worlds, 4))
        self._simulation = Simulation(maze, num_worlds, frame_skip)
        self._backgrounds = Backgrounds(partial(scene.paint_background, maze=maze, view=view), num_worlds)
        self._mujoco = scene.MujocoScene(maze, view) if render_backend == "mujoco" else None

    def vary(self, row: int, values: Values, rng: np.random.Generator) -> None:
        super().vary(row, values, rng)
        self._simulation.build(row, float(values["agent_size"][0]), float(values["friction"][0]))
        if self._mujoco is None:
            shapes = self.place_distractors(values, rng)
            self._backgrounds.change(row, values, shapes)

    def spot(self, rng: np.random.Generator) -> Floats:
        """Draw a place for a distractor: in a free cell, since walls would hide it."""
        return np.asarray(self._free[rng.integers(len(self._free))] + WALL_ORIGIN + rng.uniform(-0.4, 0.4, 2))

    def sample(self, values: Values, rng: np.random.Generator) -> tuple[Floats, Floats]:
        # The largest balls do not fit where D4RL's noise may put them.
        noise = min(_NOISE, 0.25 - BALL_RADIUS * float(values["agent_size"][0]))
        start, goal = self._free[rng.integers(len(self._free), size=2)] + rng.uniform(-noise, noise, (2, 2))
        velocity = _VELOCITY_NOISE * rng.standard_normal(2)
        return np.concatenate([start, velocity]), np.concatenate([goal, np.zeros(2)])

    def refuse(self, values: Values, state: Floats) -> str | None:
        beside = np.maximum(np.abs(state[:2] - self._walls) - 0.5, 0)
        distance = np.linalg.norm(beside, axis=-1).min()
        if distance < _CLOSEST:
            return f"{state[:2].tolist()} is inside a wall; the middle of a free cell is its row and column minus 0.2"
        return None

    def set_states(self, rows: Rows, states: Floats) -> None:
        self._states[rows] = states

    def get_states(self, rows: Rows) -> Floats:
        return self._states[rows]

    def step(self, rows: Rows, actions: Floats) -> None:
        self._states[rows] = self._simulation.step(rows, self._states[rows], actions)

    def places(self, rows: Rows, states: Floats, size: int) -> Floats:
        return super().places(rows, states + BODY_ORIGIN, size)

    def is_success(self, achieved: Floats, desired: Floats) -> Bools:
        return np.asarray(distance(achieved, desired) < self._success_radius)

    def dense_reward(self, achieved: Floats, desired: Floats) -> Floats:
        return np.asarray(np.exp(-distance(achieved, desired)))

    def draw(self, rows: Rows, states: Floats, size: int, overlay_goals: bool = False) -> Frames:
        sizes = self.values["agent_size"][rows, 0]
        goals = self.goal_states[rows, :2] if overlay_goals else None
        if self._mujoco is not None:
            return self._mujoco.draw(states[:, :2], sizes, size, goals)
        frames = self._backgrounds.frames(rows, size)
        camera = self.camera(rows)
        if goals is not None:
            scene.draw_goals(frames, camera, goals, self._success_radius, self.values["goal_color"][rows])
        scene.draw_balls(frames, camera, states[:, :2], sizes, self.values["agent_color"][rows])
        return frames


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

    world_class = PointMazeWorld


class PointMazeVectorEnv(GoalVectorEnv):
    """N times :class:`PointMazeEnv`, stepped by one call of MuJoCo's."""

    world_class = PointMazeWorld
