"""Scripted policies for the demonstration, one for each environment.

They know the state and the layout, and are written for these environments alone: something to look at, and no
measure of anything.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from wmcontrol.data.policies import block_pushes as pushes
from wmcontrol.data.policies.block_pushes import CLEAR
from wmcontrol.data.policies.maze_waypoint import cell_of, middle_of, next_cells, steer
from wmcontrol.data.policies.wall import way_through
from wmcontrol.envs.pusht.physics import AGENT_RADIUS, BAR, CENTER_OF_GRAVITY, FIELD, STEM
from wmcontrol.envs.wall.physics import DOOR_Y, WALL_X

Floats = NDArray[np.float64]
Policy = Callable[[dict[str, Floats]], Floats]


def policy_for(env_id: str) -> Policy:
    """Return a fresh policy for one episode of an environment."""
    if "PushT" in env_id:
        return _Pusher()
    if "Wall" in env_id:
        return _through_door
    return partial(_through_maze, gym.spec(env_id).kwargs["maze"])


def _through_door(observation: dict[str, Floats]) -> Floats:
    """Head for the door's near side, through it, and then for the goal. For Wall with its fixed layout."""
    place = observation["observation"]
    way = way_through(place, observation["desired_goal"], WALL_X, DOOR_Y) - place
    # Two pixels are a whole action.
    return np.asarray(way / max(2.0, float(np.abs(way).max())))


def _through_maze(maze: str, observation: dict[str, Floats]) -> Floats:
    """Head for the next cell on the shortest way, under PD control."""
    place, velocity, goal = observation["observation"][:2], observation["observation"][2:], observation["desired_goal"]
    here, there = cell_of(place), cell_of(goal)
    target = goal if here == there else middle_of(next_cells(maze, there)[here])
    return np.clip(steer(place, velocity, target), -1, 1)


# Push-T: where to push a block, in its own frame: a point on an edge, and the way inwards there. Places are those
# that the agent reaches straight from outside.
_LEFT, _TOP, _RIGHT, _BOTTOM = BAR
_END = STEM[3]
_CONTACTS = np.array(
    [
        *[(x, _TOP, 0, 1) for x in (-50, -25, 0, 25, 50)],
        *[(x, _BOTTOM, 0, -1) for x in (-42, 42)],
        (_LEFT, 15, 1, 0),
        (_RIGHT, 15, -1, 0),
        *[(STEM[0], y, 1, 0) for y in (70, 100)],
        *[(STEM[2], y, -1, 0) for y in (70, 100)],
        *[(x, _END, 0, -1) for x in (-8, 8)],
    ],
    float,
)
_PUSHES = np.array([8.0, 16.0, 32.0, 64.0])  # how far, pixels
_INERTIA = 3000.0  # of the block, for a mass of 1
_PER_RADIAN = 40.0  # pixels that weigh as much as a radian


@dataclass(frozen=True)
class _Push:
    """A push that has been decided on."""

    begin: Floats  # where the agent comes from, clear of the block
    end: Floats  # where it pushes to


class _Pusher:
    """Chooses, again and again, the push that should bring the block nearest to its goal; at last parks the agent.

    What a push does is computed for a free block and a small motion, so it takes several.
    """

    def __init__(self) -> None:
        self._push: _Push | None = None
        self._way = "around"  # "around" the block, "in" for a push, and "out" again
        self._steps = 0

    def __call__(self, observation: dict[str, Floats]) -> Floats:
        state, goal = observation["observation"], observation["desired_goal"]
        agent, middle = state[:2], _middle(state[2:5])
        if self._push is None:
            self._push, self._way, self._steps = _best_push(state[2:5], goal[2:5]), "around", 0
        push = self._push
        self._steps += 1
        if push is None:
            target, beside = _around(agent, goal[:2], middle)
            if beside:
                target = goal[:2]
        elif self._way == "around":
            target, there = _around(agent, push.begin, middle)
            if there:
                self._way, self._steps = "in", 0
        elif self._way == "in":
            target = push.end
            if np.linalg.norm(agent - push.end) < 2 or self._steps > 15:
                self._way, self._steps = "out", 0
        else:
            target = push.begin
            if np.linalg.norm(agent - middle) > CLEAR - 10 or self._steps > 10:
                self._push = None
        way = (target - agent) / 100
        return np.asarray(way * min(1.0, 0.5 / max(1e-9, float(np.linalg.norm(way)))))


def _turned(vectors: Floats, angle: float) -> Floats:
    cos, sin = np.cos(angle), np.sin(angle)
    return np.asarray(vectors @ np.array([[cos, sin], [-sin, cos]]))


def _middle(pose: Floats) -> Floats:
    """Return the centre of gravity of a block at ``pose`` (3,)."""
    return np.asarray(pose[:2] + _turned(np.array(CENTER_OF_GRAVITY), pose[2]))


def _best_push(pose: Floats, goal: Floats) -> _Push | None:
    """Return the push that should leave the least error, or None where none helps much."""
    middle = _middle(pose)
    missing = _middle(goal) - middle
    turn = (goal[2] - pose[2] + np.pi) % (2 * np.pi) - np.pi
    arms, inward = _turned(_CONTACTS[:, :2] - CENTER_OF_GRAVITY, pose[2]), _turned(_CONTACTS[:, 2:], pose[2])
    lever = arms[:, 0] * inward[:, 1] - arms[:, 1] * inward[:, 0]
    # How far an impulse along the normal must move the block so that its edge gives way by the push: (contacts, pushes)
    impulse = _PUSHES / (1 + lever[:, None] ** 2 / _INERTIA)
    moved = impulse[..., None] * inward[:, None]
    turned = impulse * lever[:, None] / _INERTIA
    error = np.hypot(np.linalg.norm(missing - moved, axis=-1), _PER_RADIAN * (turn - turned))
    # Pushing to places that the agent cannot come from does not help.
    depth = (arms * inward).sum(-1)
    reach = depth + np.sqrt(np.maximum(depth**2 - (arms**2).sum(-1) + CLEAR**2, 0))
    begins = middle + arms - reach[:, None] * inward
    error[((begins < AGENT_RADIUS) | (begins > FIELD - AGENT_RADIUS)).any(-1)] = np.inf
    contact, push = np.unravel_index(error.argmin(), error.shape)
    if error[contact, push] > np.hypot(np.linalg.norm(missing), _PER_RADIAN * turn) - 1:
        return None
    end = middle + arms[contact] + (_PUSHES[push] - AGENT_RADIUS) * inward[contact]
    return _Push(begins[contact], end)


def _around(agent: Floats, place: Floats, middle: Floats) -> tuple[Floats, bool]:
    """Return where to head for on a circle around the block, and whether the agent is on the side of ``place``."""
    target, there = pushes.around(*(complex(*point) for point in (agent, place, middle)))
    return np.array([target.real, target.imag]), there
