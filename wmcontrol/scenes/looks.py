"""Colours, sizes and shapes that are drawn at random, and the things and backdrops that are made of them."""

import colorsys

import numpy as np

from .scene import Backdrop, Color, Floats, Thing, disc, rectangle, regular

BODIES = ("disc", "box", "triangle", "pentagon")
_WALL_REACH = 16.0  # metres to either side that the wall is painted


def body(
    rng: np.random.Generator, instance: int, depth: float, kind: str | None = None, largest: float = 0.95
) -> Thing:
    """Return a body of a random hue and size, and of a random kind unless it is given."""
    kind = kind or str(rng.choice(BODIES))
    hue, size = rng.uniform(), rng.uniform(0.5, largest)
    saturation, value = rng.uniform(0.65, 1.0), rng.uniform(0.7, 1.0)
    corners = outline(kind, size, rng.uniform(0.7, 1.4))
    return Thing(
        kind=kind,
        instance=instance,
        depth=depth,
        radius=size if corners is None else float(np.linalg.norm(corners, axis=1).max()),
        corners=corners,
        color=color(hue, saturation, value),
        mark=disc(size) if corners is None else 0.45 * corners + 0.2 * corners[:1],
        mark_color=color(hue, saturation, 0.55 * value),
        # Where both are large, Newton's law of impact with Coulomb's of friction gives some oblique hits energy.
        elasticity=rng.uniform(0.5, 0.8),
        friction=rng.uniform(0.1, 0.45),
    )


def outline(kind: str, size: float, aspect: float = 1.0) -> Floats | None:
    """Return the corners of a body, about as large as a disc of radius ``size``; None for a disc."""
    if kind == "disc":
        return None
    if kind == "box":
        return rectangle(1.75 * size * np.sqrt(aspect), 1.75 * size / np.sqrt(aspect))
    return regular(3, 1.4 * size) if kind == "triangle" else regular(5, 1.12 * size)


def slab(rng: np.random.Generator, kind: str, instance: int, depth: float, width: float, height: float) -> Thing:
    """Return an obstacle or an occluder: a box in a dull colour, obstacles dark and occluders light."""
    corners = rectangle(width, height)
    hue, saturation = rng.uniform(), rng.uniform(0.0, 0.3)
    value = rng.uniform(0.2, 0.4) if kind == "obstacle" else rng.uniform(0.75, 0.95)
    return Thing(
        kind=kind,
        instance=instance,
        depth=depth,
        radius=float(np.hypot(width, height) / 2),
        corners=corners,
        color=color(hue, saturation, value),
        mark=rectangle(max(width - 0.5, 0.6 * width), max(height - 0.5, 0.6 * height)),
        mark_color=color(hue, saturation, 0.85 * value),
        elasticity=1.0,
        friction=1.0,
    )


def backdrop(rng: np.random.Generator) -> Backdrop:
    """Return a wall with patches of little contrast, and a floor of two colours."""
    hue, value = rng.uniform(), rng.uniform(0.4, 0.7)
    spots = []
    for _ in range(int(rng.integers(10, 24))):
        corners = regular(int(rng.integers(3, 7)), rng.uniform(0.5, 2.5)) * [1, rng.uniform(0.3, 1.0)]
        place = [rng.uniform(-_WALL_REACH, _WALL_REACH), rng.uniform(0.0, 11.0)]
        tone = color(hue + rng.uniform(-0.1, 0.1), rng.uniform(0.05, 0.3), value + rng.uniform(-0.15, 0.15))
        spots.append((corners + place, tone))
    floor, bright = rng.uniform(), rng.uniform(0.3, 0.6)
    return Backdrop(
        wall=color(hue, 0.15, value),
        floor=color(floor, 0.2, bright),
        stripe=color(floor, 0.2, bright + rng.uniform(0.06, 0.15)),
        strip=rng.uniform(0.8, 2.0),
        spots=tuple(spots),
    )


def color(hue: float, saturation: float, value: float) -> Color:
    """Return RGB, 0 to 255."""
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, saturation, value)
    return 255 * red, 255 * green, 255 * blue
