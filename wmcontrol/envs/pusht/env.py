"""Push-T: its states, tasks and variations, and the environments for Gymnasium."""

from functools import partial
from typing import Literal

import numpy as np

from ...checks import check_choice
from ..backgrounds import Backgrounds
from ..canvas import Floats, Frames, Rows, draw_discs
from ..goal_env import GoalEnv
from ..goal_vector_env import GoalVectorEnv
from ..variation import CAMERA_AND_DISTRACTORS, Values, color, scalar
from ..world import Bools, Bounds, World
from . import scene
from .geometry import center_of_gravity, coverage, gap, within_walls
from .physics import AGENT_RADIUS, CONTROL_RATE, FIELD, Build, PushTSpace

ActionMode = Literal["relative", "absolute"]
Success = Literal["pose", "coverage"]

REACH = 100.0  # of a relative action, pixels
POSITION_TOLERANCE = 20.0  # pixels, over agent and block together
ANGLE_TOLERANCE = np.pi / 9
COVERAGE_THRESHOLD = 0.95
# At full speed the agent passes a target at the edge of the field by up to 19 pixels before it turns back.
_OVERSHOOT = 20.0
_ANYWHERE = (-256.0, 768.0)  # a block can be squeezed out of the field, but no further than the agent reaches
_ANGLE = (0.0, 2 * np.pi)
_SPEED = (-3000.0, 3000.0)  # of the agent, pixels/s
# What may be set: the position control makes no more than 2,000 pixels/s, and blocks get no further out.
_SETTABLE_AGENT = (-_OVERSHOOT, FIELD + _OVERSHOOT)
_SETTABLE_BLOCK = (-192.0, 704.0)
_SETTABLE_SPEED = (-2000.0, 2000.0)


class PushTWorld(World):
    """N agents and blocks. See :class:`PushTEnv` for what it does."""

    control_rate = CONTROL_RATE
    state_labels = ("agent x", "agent y", "block x", "block y", "block angle", "agent velocity x", "agent velocity y")
    length_unit = "pixels"
    pose_size = 5
    observation_bounds = Bounds.of(*[_ANYWHERE] * 4, _ANGLE, *[_SPEED] * 2)
    goal_bounds = observation_bounds[:5]
    # Any angle may be set; what comes back is within [0, 2π].
    state_bounds = Bounds.of(*[_SETTABLE_AGENT] * 2, *[_SETTABLE_BLOCK] * 2, (-1e6, 1e6), *[_SETTABLE_SPEED] * 2)
    side = FIELD
    window_origin = scene.WINDOW_ORIGIN

    def __init__(self, num_worlds: int, action_mode: ActionMode = "relative", success: Success = "pose"):
        check_choice("action_mode", action_mode, ActionMode)
        check_choice("success", success, Success)
        self._relative = action_mode == "relative"
        self._coverage = success == "coverage"
        low, high = (-1.0, 1.0) if self._relative else (0.0, FIELD)
        self.action_bounds = Bounds.of((low, high), (low, high))
        self.variations = {
            "background_color": color(scene.WHITE),
            "agent_color": color(scene.ROYAL_BLUE),
            "block_color": color(scene.LIGHT_SLATE_GRAY),
            "wall_color": color(scene.LIGHT_GRAY),
            "goal_color": color(scene.LIGHT_GREEN),
            "agent_size": scalar(0.6, 1.6, 1, "times the reference's radius"),
            "block_size": scalar(0.7, 1.3, 1, "times the reference's size"),
            "friction": scalar(0, 1, 0, "coefficient of all contacts"),
            **CAMERA_AND_DISTRACTORS,
        }
        super().__init__(num_worlds)
        self._spaces = [PushTSpace() for _ in range(num_worlds)]
        self._with_target = Backgrounds(partial(scene.paint_background, target=scene.TARGET_POSE), num_worlds)
        self._without_target = Backgrounds(partial(scene.paint_background, target=None), num_worlds)

    def vary(self, row: int, values: Values, rng: np.random.Generator) -> None:
        super().vary(row, values, rng)
        self._spaces[row].build = Build(
            agent_radius=AGENT_RADIUS * float(values["agent_size"][0]),
            block_scale=float(values["block_size"][0]),
            friction=float(values["friction"][0]),
        )
        shapes = self.place_distractors(values, rng)
        self._with_target.change(row, values, shapes)
        self._without_target.change(row, values, shapes)

    def sample(self, values: Values, rng: np.random.Generator) -> tuple[Floats, Floats]:
        start, goal = _free_state(values, rng), _free_state(values, rng)
        if self._coverage:
            goal[2:5] = scene.TARGET_POSE
        return start, goal

    def in_wall(self, values: Values, state: Floats) -> str | None:
        return None  # an agent can squeeze a block through a wall

    def refuse(self, values: Values, state: Floats) -> str | None:
        center = center_of_gravity(state[2:5], float(values["block_size"][0]))
        if np.any((center < 0) | (center > FIELD)):
            return f"the block's centre of gravity must be from 0 to {FIELD:g} in x and y, got {center.tolist()}"
        return None

    def set_states(self, rows: Rows, states: Floats) -> None:
        for row, state in zip(rows, states, strict=True):
            self._spaces[row].set_state(state)

    def get_states(self, rows: Rows) -> Floats:
        return np.array([self._spaces[row].get_state() for row in rows]).reshape(-1, 7)

    def step(self, rows: Rows, actions: Floats) -> None:
        for row, (x, y) in zip(rows, actions.tolist(), strict=True):
            space = self._spaces[row]
            if self._relative:
                agent_x, agent_y = space.agent_position
                x = min(max(agent_x + REACH * x, 0.0), FIELD)
                y = min(max(agent_y + REACH * y, 0.0), FIELD)
            space.step(x, y)

    def observe(self, rows: Rows, states: Floats) -> Floats:
        return _wrapped(states)

    def achieved(self, states: Floats) -> Floats:
        return _wrapped(states[..., :5])

    def is_success(self, achieved: Floats, desired: Floats) -> Bools:
        if self._coverage:
            return np.asarray(coverage(achieved[..., 2:5], desired[..., 2:5]) > COVERAGE_THRESHOLD)
        distance, angle = _errors(achieved, desired)
        return np.asarray((distance < POSITION_TOLERANCE) & (angle < ANGLE_TOLERANCE))

    def dense_reward(self, achieved: Floats, desired: Floats) -> Floats:
        if self._coverage:
            return np.clip(coverage(achieved[..., 2:5], desired[..., 2:5]) / COVERAGE_THRESHOLD, 0, 1)
        distance, angle = _errors(achieved, desired)
        return -(distance / POSITION_TOLERANCE + angle / ANGLE_TOLERANCE)

    def draw(self, rows: Rows, states: Floats, size: int, overlay_goals: bool = False) -> Frames:
        values, camera = self.values, self.camera(rows)
        if self._coverage or overlay_goals:
            frames = self._without_target.frames(rows, size)
            goals = self.goal_states[rows]
            color = values["goal_color"][rows]
            scene.draw_target(frames, camera, goals[:, 2:5], values["block_size"][rows, 0], color)
            if overlay_goals and not self._coverage:
                radius = AGENT_RADIUS * values["agent_size"][rows]
                draw_discs(frames, camera, goals[:, None, :2], radius, color[:, None])
        else:
            frames = self._with_target.frames(rows, size)
        scene.draw_bodies(frames, camera, states, values, rows)
        return frames


def _wrapped(states: Floats) -> Floats:
    """Return states with the angle in [0, 2π]."""
    wrapped = states.copy()
    wrapped[..., 4] %= 2 * np.pi
    return wrapped


def _errors(achieved: Floats, desired: Floats) -> tuple[Floats, Floats]:
    """Return the distance over agent and block positions together, and the angle between the blocks, 0 to π."""
    distance = np.sqrt(np.square(achieved[..., :4] - desired[..., :4]).sum(-1))
    turn = np.abs(achieved[..., 4] - desired[..., 4]) % (2 * np.pi)
    return distance, np.minimum(turn, 2 * np.pi - turn)


def _free_state(values: Values, rng: np.random.Generator) -> Floats:
    """Draw a state as the references do, but with the agent beside the block and the block within the walls."""
    radius, scale = AGENT_RADIUS * float(values["agent_size"][0]), float(values["block_size"][0])
    while True:
        agent = rng.integers(50, 450, size=2)
        block = rng.integers(100, 400, size=2)
        state = np.array([*agent, *block, rng.uniform(0, 2 * np.pi), 0, 0])
        if within_walls(state[2:5], scale) and gap(state, scale) > radius:
            return state


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

    world_class = PushTWorld


class PushTVectorEnv(GoalVectorEnv):
    """N times :class:`PushTEnv`. Worlds are stepped in a loop: on the cores at hand processes were slower."""

    world_class = PushTWorld
