"""What an environment is made of: physics, task and drawing of ``N`` independent worlds.

A :class:`World` knows nothing of Gymnasium but spaces: :mod:`wmcontrol.envs.goal_env` and
:mod:`wmcontrol.envs.goal_vector_env` give it Gymnasium's interfaces. Both therefore compute the same numbers, and a
world's rows never influence one another.

Letters: ``N`` worlds, ``R`` rows of them that an operation concerns, ``n`` numbers in a state, ``g`` in a goal.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from ..checks import check_whole
from .backgrounds import Distractor, Distractors
from .canvas import Camera, Floats, Frames, Rows
from .variation import Values, Variation

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Bounds:
    """The box ``low <= x <= high``, both (k,)."""

    low: Floats
    high: Floats

    @staticmethod
    def of(*pairs: tuple[float, float]) -> "Bounds":
        """Make bounds of (low, high) pairs, one per number."""
        low, high = np.array(pairs, float).T
        return Bounds(low.copy(), high.copy())

    def __getitem__(self, index: slice) -> "Bounds":
        return Bounds(self.low[index], self.high[index])


def distance(a: Floats, b: Floats) -> Floats:
    """Return the distance in the plane of points (…, 2)."""
    way = a - b
    return np.asarray(np.hypot(way[..., 0], way[..., 1]))


class World(ABC):
    """``N`` worlds of one physics. Subclasses set the attributes and implement the abstract methods.

    Attributes:
        num_worlds: N.
        control_rate: actions per second, Hz.
        state_labels: a name for each of the n numbers of a state: ``NAME x``, ``NAME y`` and ``NAME angle`` where it
            tells where something is.
        length_unit: what places are counted in.
        pose_size: how many of them come before the velocities; a state may be given without velocities, which are
            then zero.
        state_bounds: what a state can be, anywhere on its way, (n,).
        observation_bounds: the same for ``observe``, goal_bounds for ``achieved``.
        action_bounds: in the units of the environment, (A,).
        action_space: whose actions lie in vectors (A,) as :class:`~wmcontrol.actions.ActionLayout` has it; None where
            they are vectors.
        variations: what may vary from episode to episode.
        redrawn: the names of those that are drawn in every episode unless a value is given.
        values: the value of each variation now, by name, each (N, k).
        goal_states: what the worlds aim at now, (N, n).
        side: how much of the world a frame shows, in world units.
        window_origin: the left and top of what it shows.
    """

    control_rate: float
    state_labels: tuple[str, ...]
    length_unit: str = "units of the state"
    pose_size: int
    state_bounds: Bounds
    observation_bounds: Bounds
    goal_bounds: Bounds
    action_bounds: Bounds
    action_space: gym.Space[Any] | None = None
    variations: Mapping[str, Variation]
    redrawn: tuple[str, ...] = ()
    side: float
    window_origin: tuple[float, float]

    def __init__(self, num_worlds: int):
        check_whole("num_envs", num_worlds)
        self.num_worlds = num_worlds
        self.values: Values = {
            name: np.repeat(variation.default[None], num_worlds, 0) for name, variation in self.variations.items()
        }
        self.goal_states = np.zeros((num_worlds, len(self.state_labels)))

    def close(self) -> None:  # noqa: B027
        """Give back what the worlds hold, if anything."""

    def vary(self, row: int, values: Values, rng: np.random.Generator) -> None:
        """Give one world the values of its variations; ``rng`` places what they leave open."""
        for name, value in values.items():
            self.values[name][row] = value

    def spot(self, rng: np.random.Generator) -> Floats:
        """Draw a place (2,) for a distractor: anywhere that the frame shows."""
        return np.asarray(np.array(self.window_origin) + self.side * rng.uniform(0.05, 0.95, 2))

    def place_distractors(self, values: Values, rng: np.random.Generator) -> Distractors:
        """Place as many distractors as the values say, of 2 to 6 % of the frame's side."""

        def draw() -> Distractor:
            round, (x, y) = bool(rng.random() < 0.5), self.spot(rng)
            radius, angle = self.side * rng.uniform(0.02, 0.06), rng.uniform(0, np.pi / 2)
            color = (rng.uniform(0, 255), rng.uniform(0, 255), rng.uniform(0, 255))
            return Distractor(round, (float(x), float(y)), radius, angle, color)

        return tuple(draw() for _ in range(int(values["distractors"][0])))

    @abstractmethod
    def sample(self, values: Values, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """Draw a start and a goal, both states (n,), for a world with these values of its variations."""

    def is_task(self, values: Values, start: Floats, goal: Floats) -> bool:
        """Say whether going from ``start`` to ``goal`` is something to do; what is drawn must be."""
        return not self.is_success(self.achieved(start[None]), self.achieved(goal[None]))[0]

    def in_wall(self, values: Values, state: Floats) -> str | None:
        """Say why the world cannot be in ``state`` (n,), not even on its way, or None."""
        return self.refuse(values, state)

    def refuse(self, values: Values, state: Floats) -> str | None:
        """Say why an episode cannot start from (or aim at) ``state`` (n,) in a world with these values, or None."""
        return None

    @abstractmethod
    def set_states(self, rows: Rows, states: Floats) -> None:
        """Put worlds into states (R, n)."""

    @abstractmethod
    def get_states(self, rows: Rows) -> Floats:
        """Return the states of worlds, (R, n)."""

    @abstractmethod
    def step(self, rows: Rows, actions: Floats) -> None:
        """Apply one action (R, A), already within the bounds, for one control period."""

    def observe(self, rows: Rows, states: Floats) -> Floats:
        """Return what an agent may know of states (R, n) besides pixels."""
        return states.copy()

    def achieved(self, states: Floats) -> Floats:
        """Return the goals (R, g) that states (R, n) achieve: their first numbers."""
        return states[..., : self.goal_bounds.low.size].copy()

    @abstractmethod
    def is_success(self, achieved: Floats, desired: Floats) -> Bools:
        """Say which achieved goals (…, g) count as the desired ones."""

    @abstractmethod
    def dense_reward(self, achieved: Floats, desired: Floats) -> Floats:
        """Reward closeness of achieved to desired goals (…, g)."""

    @abstractmethod
    def draw(self, rows: Rows, states: Floats, size: int, overlay_goals: bool = False) -> Frames:
        """Draw worlds as they look in states (R, n), with their goals overlaid if asked for: (R, size, size, 3)."""

    def places(self, rows: Rows, states: Floats, size: int) -> Floats:
        """Return where all that a state names an x and a y of is in frames of this size: (R, q, 2), column and row."""
        labels = self.state_labels[: self.pose_size]
        axes = [(labels.index(label), labels.index(f"{label[:-1]}y")) for label in labels if label.split()[-1] == "x"]
        return self.camera(rows).to_pixels(states[:, np.array(axes)], size)

    def camera(self, rows: Rows) -> Camera:
        """Return where the cameras of these worlds look."""
        return Camera(np.array(self.window_origin) + self.values["camera_offset"][rows] * self.side, self.side)
