"""How the dot moves and what stops it, for many dots at once.

Constants and the order of the checks are those of DINO-WM's wall environment (``env/wall/envs/utils.py`` there):
coordinates are pixels of a frame of 65, x to the right and y down. A dot that would cross an edge is put back half a
pixel before it, and half a pixel along it: the reference adds (±0.5, ±0.5) with only one of the signs chosen. Where
the reference divides by zero (moves along an axis from a point on an edge) or lets a dot into the wall (from a point
exactly on the door's jamb), this does not.
"""

from dataclasses import dataclass

import numpy as np

from ..canvas import Floats

SIZE = 65.0  # of the frame that coordinates are pixels of
HALF_WIDTH = 3.0  # of the wall
HALF_DOOR = 4.0
BORDER = (4.0, 60.0)  # the border's inner edges, both axes
WALL_X, DOOR_Y = 32.0, 30.0  # of the fixed layout
_BACK = 0.5  # how far a dot is put back from an edge that it would cross
_APART = 0.3  # how far it is kept from another edge when it is put back


@dataclass(frozen=True)
class Layout:
    """Where walls and doors are, each (N,): the wall's centre x and the door's centre y."""

    wall_x: Floats
    door_y: Floats

    def inside_wall(self, positions: Floats) -> np.ndarray:
        """Say which positions (N, 2) are within the wall, or beyond the border."""
        x, y = positions[..., 0], positions[..., 1]
        in_wall = (np.abs(x - self.wall_x) < HALF_WIDTH) & (np.abs(y - self.door_y) > HALF_DOOR)
        return np.asarray(in_wall | np.any((positions < BORDER[0]) | (positions > BORDER[1]), -1))


def _crossing(start: Floats, end: Floats, at: Floats | float) -> tuple[np.ndarray, Floats]:
    """Say whether start→end reaches ``at`` on one axis, and after what share of the way."""
    crosses = np.sign(start - at) * np.sign(end - at) <= 0
    way = end - start
    share = (at - start) / np.where(way == 0, 1, way)
    return crosses, np.where(way == 0, 0, share)


def move(positions: Floats, steps: Floats, layout: Layout) -> Floats:
    """Move dots at ``positions`` (N, 2) by ``steps`` (N, 2) as far as walls allow; return their new positions."""
    ends = positions + steps
    left, right = layout.wall_x - HALF_WIDTH, layout.wall_x + HALF_WIDTH
    low, high = BORDER
    within = (positions > low) & (positions < high) & (ends > low) & (ends < high)
    x, end_x = positions[:, 0], ends[:, 0]
    one_room = ((x < left) & (end_x < left)) | ((x > right) & (end_x > right))
    near = np.flatnonzero(~(within.all(1) & one_room))  # what may touch something; mostly few
    if len(near):
        ends[near] = _stopped(positions[near], steps[near], Layout(layout.wall_x[near], layout.door_y[near]))
    return ends


def _stopped(positions: Floats, steps: Floats, layout: Layout) -> Floats:
    """Apply all the rules, as :func:`move` does where they matter."""
    x, y = positions.T
    dx, dy = steps.T
    end_x, end_y = (positions + steps).T
    left, right = layout.wall_x - HALF_WIDTH, layout.wall_x + HALF_WIDTH
    door_low, door_high = layout.door_y - HALF_DOOR, layout.door_y + HALF_DOOR
    result = np.stack([end_x, end_y], -1)

    # 1. Out of the doorway, into its jambs.
    jamb_high = (dy > 0) & (end_y > door_high) & (y <= door_high)
    jamb_low = (dy < 0) & (end_y < door_low) & (y >= door_low)
    jamb = np.where(jamb_high, door_high, door_low)
    at_x = x + _crossing(y, end_y, jamb)[1] * dx
    in_doorway = (jamb_high | jamb_low) & (left <= at_x) & (at_x <= right)
    result_jamb = np.stack([at_x + _BACK, jamb + np.where(jamb_high, -_BACK, _BACK)], -1)

    # 2. The border, and the faces of the wall beside the door. The room ends at the wall's near face.
    in_left = x < layout.wall_x
    room_left = np.where(in_left, BORDER[0], right)
    room_right = np.where(in_left, left, BORDER[1])

    def hit_vertical(face: Floats, has_door: np.ndarray) -> tuple[np.ndarray, Floats]:
        crosses, share = _crossing(x, end_x, face)
        at_y = y + share * dy
        through = has_door & (at_y >= door_low) & (at_y <= door_high)
        return crosses & ~through, at_y

    hits_left, left_y = hit_vertical(room_left, ~in_left)
    hits_right, right_y = hit_vertical(room_right, in_left)
    vertical = hits_left | hits_right
    face_x = np.where(hits_left, room_left, room_right)
    face_y = np.where(hits_left, left_y, right_y)

    hits_top, top_share = _crossing(y, end_y, BORDER[0])
    hits_bottom, bottom_share = _crossing(y, end_y, BORDER[1])
    horizontal = hits_top | hits_bottom
    edge_y = np.where(hits_top, BORDER[0], BORDER[1])
    edge_x = x + np.where(hits_top, top_share, bottom_share) * dx

    nearer = np.hypot(x - face_x, y - face_y) < np.hypot(x - edge_x, y - edge_y)
    vertical &= ~horizontal | nearer
    put_x = np.where(vertical, face_x + _BACK * np.sign(x - face_x), edge_x + _BACK)
    put_y = np.where(vertical, face_y + _BACK, edge_y + _BACK * np.sign(y - edge_y))
    put_x = np.where(put_x <= room_left, room_left + _APART, put_x)
    put_x = np.where(put_x >= room_right, room_right - _APART, put_x)
    put_y = np.where(put_y <= BORDER[0], BORDER[0] + _APART, put_y)
    put_y = np.where(put_y >= BORDER[1], BORDER[1] - _APART, put_y)
    hit = (vertical | horizontal)[:, None]
    result = np.where(hit, np.stack([put_x, put_y], -1), result)
    return np.where(in_doorway[:, None], result_jamb, result)
