"""Through a maze cell by cell, as D4RL's waypoint controller."""

from collections import deque
from collections.abc import Mapping
from functools import cache

import numpy as np

from ...envs.pointmaze.mazes import BODY_ORIGIN, MAZES, WALL_ORIGIN, cells
from ..collecting import Script, View
from .common import Floats

_ORIGIN = BODY_ORIGIN - WALL_ORIGIN  # from a position to the coordinates of its cell
_POSITION_GAIN, _VELOCITY_GAIN = 10.0, 1.0
_TARGET_NOISE = 0.1  # of targets around their cells
_REACHED = 0.2  # how near a target counts
# D4RL adds noise of 0.5 to each of 100 actions a second. Held for five of those, that of the same effect is smaller.
_NOISE = 0.5 / np.sqrt(5)

Cell = tuple[int, int]


def cell_of(place: Floats) -> Cell:
    """Return the cell (row, column) that a position (2,) is in."""
    return round(float(place[0]) + _ORIGIN), round(float(place[1]) + _ORIGIN)


def middle_of(cell: Cell) -> Floats:
    """Return the position of a cell's middle."""
    return np.array(cell) - _ORIGIN


@cache
def next_cells(maze: str, goal: Cell) -> Mapping[Cell, Cell]:
    """Return the first step of a shortest way to ``goal`` over free cells, from each cell that there is one from."""
    toward: dict[Cell, Cell] = {goal: goal}
    queue = deque([goal])
    while queue:
        cell = queue.popleft()
        for step in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            neighbour = (cell[0] + step[0], cell[1] + step[1])
            if neighbour not in toward and MAZES[maze][neighbour[0]][neighbour[1]] != "#":
                toward[neighbour] = cell
                queue.append(neighbour)
    return toward


def steer(place: Floats, velocity: Floats, target: Floats) -> Floats:
    """Return D4RL's PD action, to be clipped to the bounds."""
    return np.asarray(_POSITION_GAIN * (target - place) - _VELOCITY_GAIN * velocity)


class Waypoint(Script):
    """Go to random places of the maze, one after another, on shortest ways over the cells' middles, with noise.

    The controller's gains are D4RL's; its noise has the effect that D4RL's has at 100 actions a second. A waypoint
    counts as passed when the ball is in its cell, since at 20 actions a second with noise the ball never comes to the
    rest that D4RL waits for.
    """

    def __init__(self, num_frames: int, rng: np.random.Generator, maze: str):
        super().__init__(num_frames)
        self._maze, self._rng = maze, rng
        self._noise = iter(_NOISE * rng.standard_normal((num_frames - 1, 2)))
        self._target = self._draw()

    def act(self, view: View) -> Floats:
        """Steer for the next cell, or for the target in this one."""
        place, velocity = view.state[:2], view.state[2:]
        while np.linalg.norm(place - self._target) < _REACHED:
            self._target = self._draw()
        here, there = cell_of(place), cell_of(self._target)
        waypoint = self._target if here == there else middle_of(next_cells(self._maze, there)[here])
        return np.asarray(steer(place, velocity, waypoint) + next(self._noise))

    def _draw(self) -> Floats:
        free = cells(self._maze, free=True) - _ORIGIN
        return np.asarray(free[self._rng.integers(len(free))] + self._rng.uniform(-_TARGET_NOISE, _TARGET_NOISE, 2))
