"""The two rooms: states, task and variations, and the environments for Gymnasium."""

from typing import Literal

import numpy as np

from ...checks import check_choice, check_number
from ..backgrounds import Backgrounds
from ..canvas import Floats, Frames, Rows, draw_discs
from ..goal_env import GoalEnv
from ..goal_vector_env import GoalVectorEnv
from ..variation import CAMERA_AND_DISTRACTORS, Values, color, scalar
from ..world import Bools, Bounds, World, distance
from . import scene
from .physics import BORDER, DOOR_Y, HALF_WIDTH, SIZE, WALL_X, Layout, move

LayoutName = Literal["fixed", "random"]

SUCCESS_DISTANCE = 4.5
_PADDING = 2 * scene.DOT_SIGMA  # kept free around starts and goals
_LAYOUT = ("wall_position", "door_position")


class WallWorld(World):
    """N dots in two rooms each. See :class:`WallEnv` for what it does."""

    # The references have no physical time; this rate makes a step as long as one of Push-T.
    control_rate = 10.0
    state_labels = ("x", "y")
    length_unit = "pixels"
    pose_size = 2
    state_bounds = goal_bounds = Bounds.of(BORDER, BORDER)
    action_bounds = Bounds.of((-1, 1), (-1, 1))
    side = SIZE
    window_origin = scene.WINDOW_ORIGIN

    def __init__(self, num_worlds: int, layout: LayoutName = "fixed", action_scale: float = 2.0):
        check_choice("layout", layout, LayoutName)
        check_number("action_scale", action_scale, "(0, 10]")
        self._action_scale = action_scale
        self.variations = {
            "background_color": color(scene.WHITE),
            "agent_color": color(scene.RED),
            "wall_color": color(scene.BLACK),
            "goal_color": color(scene.GREEN),
            "agent_size": scalar(0.6, 1.6, 1, "times the reference's sigma"),
            "wall_position": scalar(20, 44, WALL_X, "x of the wall's centre"),
            "door_position": scalar(10, 54, DOOR_Y, "y of the door's centre"),
            **CAMERA_AND_DISTRACTORS,
        }
        self.redrawn = _LAYOUT if layout == "random" else ()
        # Where the layout changes, the vector observation tells it.
        layout_bounds = [(self.variations[name].low[0], self.variations[name].high[0]) for name in self.redrawn]
        self.observation_bounds = Bounds.of(BORDER, BORDER, *layout_bounds)
        super().__init__(num_worlds)
        self._positions = np.full((num_worlds, 2), BORDER[0])
        self._backgrounds = Backgrounds(scene.paint_background, num_worlds)
        self._floors = Backgrounds(scene.paint_floor_mask, num_worlds)

    def vary(self, row: int, values: Values, rng: np.random.Generator) -> None:
        super().vary(row, values, rng)
        shapes = self.place_distractors(values, rng)
        self._backgrounds.change(row, values, shapes)
        self._floors.change(row, {name: values[name] for name in (*_LAYOUT, "camera_offset")}, ())

    def sample(self, values: Values, rng: np.random.Generator) -> tuple[Floats, Floats]:
        low, high = BORDER[0] + _PADDING, BORDER[1] - _PADDING
        wall = float(values["wall_position"][0])
        left = rng.uniform((low, low), (wall - HALF_WIDTH - _PADDING, high))
        right = rng.uniform((wall + HALF_WIDTH + _PADDING, low), (high, high))
        return (left, right) if rng.random() < 0.5 else (right, left)

    def is_task(self, values: Values, start: Floats, goal: Floats) -> bool:
        side_of_start, side_of_goal = np.sign([start[0], goal[0]] - values["wall_position"])
        return super().is_task(values, start, goal) and bool(side_of_start != side_of_goal)

    def refuse(self, values: Values, state: Floats) -> str | None:
        wall, door = values["wall_position"], values["door_position"]
        if Layout(wall, door).inside_wall(state[None])[0]:
            return (
                f"{state.tolist()} is inside the wall; x from {wall[0] - 3:g} to {wall[0] + 3:g} is free only "
                f"in the door, y from {door[0] - 4:g} to {door[0] + 4:g}"
            )
        return None

    def set_states(self, rows: Rows, states: Floats) -> None:
        self._positions[rows] = states

    def get_states(self, rows: Rows) -> Floats:
        return self._positions[rows]

    def step(self, rows: Rows, actions: Floats) -> None:
        layout = Layout(self.values["wall_position"][rows, 0], self.values["door_position"][rows, 0])
        self._positions[rows] = move(self._positions[rows], self._action_scale * actions, layout)

    def observe(self, rows: Rows, states: Floats) -> Floats:
        return np.concatenate([states, *(self.values[name][rows] for name in self.redrawn)], -1)

    def is_success(self, achieved: Floats, desired: Floats) -> Bools:
        return np.asarray(distance(achieved, desired) < SUCCESS_DISTANCE)

    def dense_reward(self, achieved: Floats, desired: Floats) -> Floats:
        return -distance(achieved, desired)

    def draw(self, rows: Rows, states: Floats, size: int, overlay_goals: bool = False) -> Frames:
        frames = self._backgrounds.frames(rows, size)
        camera = self.camera(rows)
        sigma = scene.DOT_SIGMA * self.values["agent_size"][rows, 0]
        if overlay_goals:
            goals, radius = self.goal_states[rows][:, None], np.full((len(rows), 1), SUCCESS_DISTANCE)
            color = self.values["goal_color"][rows][:, None]
            draw_discs(frames, camera, goals, radius, color)
            draw_discs(frames, camera, goals, radius - 0.7, self.values["background_color"][rows][:, None])
            draw_discs(frames, camera, goals, np.full_like(radius, 0.7), color)
        floors = self._floors.pictures(rows, size)
        scene.draw_dots(frames, floors, camera, states, sigma, self.values["agent_color"][rows])
        return frames


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

    world_class = WallWorld


class WallVectorEnv(GoalVectorEnv):
    """N times :class:`WallEnv`, all in the same array operations."""

    world_class = WallWorld
