"""Distractors: coloured shapes painted on the floor, which move nothing and mean nothing."""

from dataclasses import dataclass

import numpy as np

from .canvas import Camera, Frames, draw_discs, paint_polygons


@dataclass(frozen=True)
class Distractor:
    """A disc or a square, in fractions of the frame."""

    round: bool
    center: tuple[float, float]
    radius: float
    angle: float
    color: tuple[float, float, float]


def place(count: int, rng: np.random.Generator) -> tuple[Distractor, ...]:
    """Draw ``count`` distractors anywhere in the frame, of 2 to 6 % of its width."""
    return tuple(
        Distractor(
            round=bool(rng.random() < 0.5),
            center=(rng.uniform(0.05, 0.95), rng.uniform(0.05, 0.95)),
            radius=rng.uniform(0.02, 0.06),
            angle=rng.uniform(0, np.pi / 2),
            color=(rng.uniform(0, 255), rng.uniform(0, 255), rng.uniform(0, 255)),
        )
        for _ in range(count)
    )


def paint(frames: Frames, camera: Camera, distractors: tuple[Distractor, ...]) -> None:
    """Paint distractors on one frame (1, S, S, 3). They stay where they are in the world when the camera moves."""
    for shape in distractors:
        center = np.array(shape.center) * camera.side
        color = np.array([[shape.color]])
        if shape.round:
            radius = np.array([[shape.radius * camera.side]])
            draw_discs(frames, camera, center[None, None], radius, color)
        else:
            angles = shape.angle + np.arange(4) * np.pi / 2
            corners = center + shape.radius * camera.side * np.stack([np.cos(angles), np.sin(angles)], -1)
            paint_polygons(frames, camera, corners[None, None], color)
