"""Scenes in three dimensions: solid things, and where they are at each time.

Coordinates are metres: x to the right, y away from the camera, z up from the floor.

Letters: ``T`` frames, ``K`` things.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .scene import Color, Floats

CLASSES_3D = ("wall", "floor", "obstacle", "occluder", "ball", "box", "cylinder", "capsule")
BODIES_3D = CLASSES_3D[4:]


@dataclass(frozen=True)
class Solid:
    """A body, an obstacle or an occluder; the last two are boxes.

    Args:
        kind: a class name.
        instance: its number in masks.
        size: MuJoCo's: the radius of a ball, half the sides of a box, radius and half the length of the others.
        colors: of its pattern, which shows how it is turned.
        elasticity: what is left of a speed after hitting something hard, about.
        friction: Coulomb's coefficient.
    """

    kind: str
    instance: int
    size: Floats
    colors: tuple[Color, Color]
    elasticity: float = 0.0
    friction: float = 1.0

    @property
    def radius(self) -> float:
        """How far it reaches from its middle."""
        return float(self.size.sum() if self.kind in ("cylinder", "capsule") else np.linalg.norm(self.size))

    @property
    def lowest(self) -> float:
        """How high its middle is where it stands on the floor; a capsule lies."""
        return float(self.size[0] if self.kind == "capsule" else self.size[-1])

    @property
    def half_width(self) -> float:
        """How far it reaches to either side where it stands, or lies."""
        return self.radius if self.kind == "capsule" else float(self.size[0])

    @property
    def rolls(self) -> bool:
        """Whether it does, or slides."""
        return self.kind == "ball"


class Pattern(NamedTuple):
    """What the wall or the floor looks like."""

    colors: tuple[Color, Color]
    repeat: float  # per metre


class Scene3D(NamedTuple):
    """Things, and all that happens.

    Attributes:
        things: K of them.
        poses: (T, K, 7) position and quaternion, as MuJoCo has them.
        visible: (T, K) whether they are there.
        camera: (T, 6) x, y and z of what is in the middle, metres from it, azimuth and elevation in degrees.
        times: (T,) seconds.
        wall: what it looks like.
        floor: what it looks like.
        light: (3,) where the light goes.
    """

    things: tuple[Solid, ...]
    poses: Floats
    visible: NDArray[np.bool_]
    camera: Floats
    times: Floats
    wall: Pattern
    floor: Pattern
    light: Floats
