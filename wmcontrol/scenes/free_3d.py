"""Scenes in which solid bodies are thrown, fall, bounce and collide, among obstacles and behind occluders."""

import numpy as np

from .free import raised
from .looks import color
from .mujoco_scenes import simulate_3d
from .scene import Color, Floats
from .solids import BODIES_3D, Pattern, Scene3D, Solid

_TRIES = 40  # places tried for a body before it is left out


def free_scene_3d(rng: np.random.Generator, num_frames: int, frame_rate: float, aspect: float) -> Scene3D:
    """Return a scene of 3 to 6 bodies, up to 2 obstacles and up to 2 occluders; arguments as of ``free_scene``."""
    times = np.arange(num_frames) / frame_rate
    wall, floor = patterns(rng)
    obstacles: list[Solid] = []
    places: list[Floats] = []
    for _ in range(int(rng.integers(0, 3))):
        thing, place = _obstacle(rng, aspect, 1 + len(obstacles))
        obstacles.append(thing)
        places.append(place)
    stands = np.array(places).reshape(-1, 7)
    bodies, starts = thrown(rng, aspect, int(rng.integers(3, 7)), (-1.0, 6.0), obstacles, stands, 1 + len(obstacles))
    occluders: list[Solid] = []
    paths = np.empty((num_frames, 0, 7))
    for _ in range(int(rng.integers(0, 3))):
        thing, path = _occluder(rng, times, aspect, 1 + len(obstacles) + len(bodies) + len(occluders))
        occluders.append(thing)
        paths = np.concatenate([paths, path[:, None]], 1)
    moved = simulate_3d(bodies, starts, obstacles, stands, num_frames, frame_rate)
    things = (*obstacles, *bodies, *occluders)
    return Scene3D(
        things=things,
        poses=np.concatenate([np.broadcast_to(stands, (num_frames, *stands.shape)), moved, paths], 1),
        visible=np.ones((num_frames, len(things)), bool),
        camera=_camera(rng, times),
        times=times,
        wall=wall,
        floor=floor,
        light=np.array([0.3, 0.5, -1.0]),
    )


def patterns(rng: np.random.Generator) -> tuple[Pattern, Pattern]:
    """Return what wall and floor look like."""
    found = []
    for repeat in (rng.uniform(0.1, 0.5), rng.uniform(0.2, 0.6)):
        hue, value = rng.uniform(), rng.uniform(0.35, 0.65)
        colors = color(hue, 0.2, value), color(hue, 0.2, value + rng.uniform(0.04, 0.12))
        found.append(Pattern(colors, repeat))
    return found[0], found[1]


def shades(rng: np.random.Generator, saturation: float, value: float) -> tuple[Color, Color]:
    """Return two shades of a random hue."""
    hue = rng.uniform()
    return color(hue, saturation, value), color(hue, saturation, 0.6 * value)


def slab_3d(rng: np.random.Generator, kind: str, instance: int, size: Floats) -> Solid:
    """Return an obstacle or an occluder: a box in a dull colour, obstacles dark and occluders light."""
    value = rng.uniform(0.2, 0.4) if kind == "obstacle" else rng.uniform(0.75, 0.95)
    return Solid(kind, instance, size, shades(rng, rng.uniform(0.0, 0.3), value))


def thrown(
    rng: np.random.Generator,
    aspect: float,
    count: int,
    across: tuple[float, float],
    obstacles: list[Solid],
    places: Floats,
    instance: int,
) -> tuple[list[Solid], Floats]:
    """Return bodies that overlap nothing at first, numbered from ``instance`` on, with y between the two ``across``.

    Their starts (K, 13) are for the physics.
    """
    bodies: list[Solid] = []
    starts: list[Floats] = []
    for _ in range(count):
        kind = str(rng.choice(BODIES_3D))
        thing = Solid(
            kind,
            instance + len(bodies),
            _size(rng, kind),
            shades(rng, rng.uniform(0.65, 1.0), rng.uniform(0.7, 1.0)),
            elasticity=rng.uniform(0.3, 0.6),
            friction=rng.uniform(0.2, 0.6),
        )
        for _ in range(_TRIES):
            low, high = (-6 * aspect, across[0], thing.radius + 0.05), (6 * aspect, across[1], 6.5)
            place = rng.uniform(low, high)
            others = [*zip(obstacles, places, strict=True), *zip(bodies, starts, strict=True)]
            if all(np.linalg.norm(place - other[:3]) > thing.radius + each.radius for each, other in others):
                turned = rng.normal(size=4)
                towards = -np.sign(place[0]) if rng.uniform() < 0.8 else 1.0
                fast = [towards * rng.uniform(0.5, 5.0), rng.uniform(-1.5, 1.5), rng.uniform(-2.0, 6.0)]
                starts.append(np.array([*place, *turned / np.linalg.norm(turned), *fast, *rng.uniform(-5, 5, 3)]))
                bodies.append(thing)
                break
    return bodies, np.array(starts).reshape(-1, 13)


def upright(x: float | Floats, y: float | Floats, z: float | Floats, angle: float | Floats, count: int) -> Floats:
    """Return poses (count, 7) at places, turned counter-clockwise as the camera sees it, radians."""
    poses = np.zeros((count, 7))
    poses[:, 0], poses[:, 1], poses[:, 2] = x, y, z
    poses[:, 3], poses[:, 5] = np.cos(np.divide(angle, 2)), -np.sin(np.divide(angle, 2))
    return poses


def _size(rng: np.random.Generator, kind: str) -> Floats:
    if kind == "ball":
        return rng.uniform(0.5, 0.95, 1)
    return rng.uniform(0.4, 0.85, 3) if kind == "box" else rng.uniform([0.4, 0.4], [0.7, 0.8])


def _obstacle(rng: np.random.Generator, aspect: float, instance: int) -> tuple[Solid, Floats]:
    """Return a block on the floor or a ramp in the air, with its pose."""
    x, y = rng.uniform(-4.5, 4.5) * aspect, rng.uniform(-1, 6)
    if rng.uniform() < 0.5:
        size = rng.uniform([0.4, 0.4, 0.4], [1.0, 1.0, 1.4])
        return slab_3d(rng, "obstacle", instance, size), upright(x, y, size[2], 0.0, 1)[0]
    size = np.array([rng.uniform(1.2, 2.0), rng.uniform(0.6, 1.2), 0.15])
    z, tilt = rng.uniform(1.3, 2.8), rng.uniform(-0.52, 0.52)
    return slab_3d(rng, "obstacle", instance, size), upright(x, y, z, tilt, 1)[0]


def _occluder(rng: np.random.Generator, times: Floats, aspect: float, instance: int) -> tuple[Solid, Floats]:
    """Return a screen that stands in front of all bodies, or rises or sinks, with its poses (T, 7)."""
    size = rng.uniform([0.7, 0.1, 1.2], [1.5, 0.2, 2.2])
    path = upright(rng.uniform(-2.5, 2.5) * aspect, rng.uniform(-4.5, -2.5), size[2], 0.0, len(times))
    if rng.uniform() < 0.4:
        up = raised(times, rng.uniform(0, 0.7) * times[-1], rng.uniform(0.4, 0.8))
        path[:, 2] += 2.02 * size[2] * ((up if rng.uniform() < 0.5 else 1 - up) - 1)
    return slab_3d(rng, "occluder", instance, size), path


def _camera(rng: np.random.Generator, times: Floats) -> Floats:
    """Return a camera (T, 6) that stands, or moves around what is seen at an even pace."""
    moves = (rng.uniform() < 0.75) * (times - times.mean())[:, None]
    middle = rng.uniform([-0.8, 1.0, 2.0, 12.5, 80, -9], [0.8, 2.0, 2.5, 14.0, 100, -5])
    return np.asarray(middle + moves * rng.uniform([-1.2, 0, -0.2, -0.6, -8, -1], [1.2, 0, 0.2, 0.6, 8, 1]))
