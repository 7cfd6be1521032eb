"""gymnasium-robotics' PointMaze, which Minari's ``D4RL/pointmaze`` sets come from, in the coordinates of ours.

Both are D4RL's maze2d with the same model. There the middle of the maze is the origin, x runs along the columns and y
up; here x counts rows and y columns, from the first corner, and the middle of a cell is its row and column minus 0.2.
Of a maze of H rows and W columns

    x = H / 2 - 0.7 - y_theirs        y = x_theirs + W / 2 - 0.7

and velocities and forces turn with the axes.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..trajectory import Floats

# rows, columns and free cells
_MAZES = {"UMaze": (5, 5, 7), "Medium": (8, 8, 26), "Large": (9, 12, 46)}
_CENTER = 0.7  # half a cell, and the 0.2 by which D4RL's particle stands off


@dataclass(frozen=True)
class GymnasiumMaze:
    """How to turn what was recorded in one of their mazes into one of ours.

    Attributes:
        env_id: ours with the same maze.
        rows, columns: of the maze.
        control_rate: theirs, Hz (their documentation says 10; their model steps 0.01 s).
        env_settings: with which ours does what theirs does.
    """

    env_id: str
    rows: int
    columns: int
    control_rate: float = 100.0
    env_settings: Mapping[str, Any] = field(default_factory=lambda: {"frame_skip": 1, "success_radius": 0.45})

    @staticmethod
    def of(spec: Mapping[str, Any]) -> "GymnasiumMaze | None":
        """Return the maze of an environment's spec, or None: another environment, or a maze that we do not have."""
        found = re.match(r"PointMaze_(UMaze|Medium|Large)(?=[_D-]|$)", str(spec.get("id", "")))
        if found is None:
            return None
        rows, columns, free = _MAZES[found[1]]
        cells = (spec.get("kwargs") or {}).get("maze_map")
        if cells is not None:
            if not isinstance(cells, list) or not all(isinstance(row, list) for row in cells):
                return None
            flat = [cell for row in cells for cell in row]
            if [len(row) for row in cells] != [columns] * rows or sum(cell not in (1, "1") for cell in flat) != free:
                return None
        return GymnasiumMaze(f"wmcontrol/PointMaze_{found[1]}-v0", rows, columns)

    def states(self, theirs: Floats) -> Floats:
        """Turn their observations (T, 4), x, y and velocities, into our states (T, 4)."""
        if theirs.ndim != 2 or theirs.shape[1] != 4:
            raise ValueError(f"PointMaze's observations are (T, 4): x, y and velocities; got {theirs.shape}")
        x, y, speed_x, speed_y = theirs.T
        return np.stack([self.rows / 2 - _CENTER - y, x + self.columns / 2 - _CENTER, -speed_y, speed_x], axis=1)

    def actions(self, theirs: Floats) -> Floats:
        """Turn their forces (T, 2) into ours."""
        return np.stack([-theirs[:, 1], theirs[:, 0]], axis=1)

    def bounds(self, low: Floats, high: Floats) -> tuple[Floats, Floats]:
        """Turn their bounds of the forces into ours."""
        return np.array([-high[1], low[0]]), np.array([-low[1], high[0]])
