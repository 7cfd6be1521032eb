"""A scene: flat things that stand upright at some depth, as in a toy theatre, and where they are at each time.

The wall is ``WALL`` metres away, the floor reaches from it to the camera, and things move in planes between them.
Coordinates are metres: x to the right, y up from the floor, depth away from the camera.

Letters: ``T`` frames, ``K`` things, ``V`` corners.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Color = tuple[float, float, float]

GRAVITY = 9.81  # m/s²
WALL = 24.0
LANES = (13.0, 15.5, 18.0)  # depths that bodies move at; those of one lane collide


@dataclass(frozen=True)
class Thing:
    """A body, an obstacle or an occluder.

    Args:
        kind: a class name.
        instance: its number in masks.
        depth: metres.
        radius: of the disc, or of the circle around the corners.
        corners: (V, 2) about its middle, counter-clockwise; None for a disc.
        color: RGB, 0 to 255.
        mark: (V, 2), a convex patch on it, which shows how it is turned.
        mark_color: RGB.
        elasticity: what is left of a speed after hitting something hard.
        friction: Coulomb's coefficient.
    """

    kind: str
    instance: int
    depth: float
    radius: float
    corners: Floats | None
    color: Color
    mark: Floats
    mark_color: Color
    elasticity: float = 0.7
    friction: float = 0.5

    @property
    def lowest(self) -> float:
        """How high its middle is where it stands on the floor."""
        return self.radius if self.corners is None else -float(self.corners[:, 1].min())

    @property
    def half_width(self) -> float:
        """How far it reaches to either side where it stands."""
        return self.radius if self.corners is None else float(np.abs(self.corners[:, 0]).max())

    @property
    def rolls(self) -> bool:
        """Whether it does, or slides."""
        return self.corners is None


class Backdrop(NamedTuple):
    """Wall and floor, and what is painted on them."""

    wall: Color
    floor: Color
    stripe: Color  # of every second strip of the floor
    strip: float  # width of strips, metres
    spots: tuple[tuple[Floats, Color], ...]  # convex patches (V, 2) on the wall


class Scene(NamedTuple):
    """Things, and all that happens.

    Attributes:
        things: K of them.
        poses: (T, K, 3) x, y and angle, radians counter-clockwise.
        visible: (T, K) whether they are there.
        camera: (T, 3) x and y of its middle, metres, and focal length, in heights of the frame.
        times: (T,) seconds.
        backdrop: behind them.
    """

    things: tuple[Thing, ...]
    poses: Floats
    visible: NDArray[np.bool_]
    camera: Floats
    times: Floats
    backdrop: Backdrop


def disc(radius: float) -> Floats:
    """Return the mark of a disc: a bar from its middle to near its edge."""
    return radius * np.array([[0.0, -0.18], [0.85, -0.18], [0.85, 0.18], [0.0, 0.18]])


def rectangle(width: float, height: float) -> Floats:
    """Return corners (4, 2) about the middle."""
    return 0.5 * np.array([[-width, -height], [width, -height], [width, height], [-width, height]])


def regular(sides: int, radius: float) -> Floats:
    """Return the corners of a regular polygon (sides, 2) that stands on one of its sides."""
    angles = -np.pi / 2 - np.pi / sides + 2 * np.pi * (np.arange(sides) + 1) / sides
    return radius * np.stack([np.cos(angles), np.sin(angles)], -1)
