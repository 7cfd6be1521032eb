"""Distractors: coloured shapes painted on the floor, which move nothing and mean nothing."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .canvas import Camera, Frames, draw_discs, paint_polygons

Spot = Callable[[np.random.Generator], tuple[float, float]]


@dataclass(frozen=True)
class Distractor:
    """A disc or a square; centre and radius in world units, angle in radians, colour 0 to 255."""

    round: bool
    center: tuple[float, float]
    radius: float
    angle: float
    color: tuple[float, float, float]


def place(count: int, rng: np.random.Generator, side: float, spot: Spot) -> tuple[Distractor, ...]:
    """Draw ``count`` distractors, of 2 to 6 % of the frame's ``side``, at places that ``spot`` draws."""
    return tuple(
        Distractor(
            round=bool(rng.random() < 0.5),
            center=spot(rng),
            radius=side * rng.uniform(0.02, 0.06),
            angle=rng.uniform(0, np.pi / 2),
            color=(rng.uniform(0, 255), rng.uniform(0, 255), rng.uniform(0, 255)),
        )
        for _ in range(count)
    )


def paint(frames: Frames, camera: Camera, distractors: tuple[Distractor, ...]) -> None:
    """Paint distractors on one frame (1, S, S, 3). They stay where they are in the world when the camera moves."""
    for shape in distractors:
        center, color = np.array(shape.center), np.array([[shape.color]])
        if shape.round:
            draw_discs(frames, camera, center[None, None], np.array([[shape.radius]]), color)
        else:
            angles = shape.angle + np.arange(4) * np.pi / 2
            corners = center + shape.radius * np.stack([np.cos(angles), np.sin(angles)], -1)
            paint_polygons(frames, camera, corners[None, None], color)
