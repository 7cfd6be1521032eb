"""Scenes in which bodies are thrown, fall, bounce and collide, in front of obstacles and behind occluders."""

from collections.abc import Sequence

import numpy as np

from .looks import backdrop, body, slab
from .physics import simulate
from .scene import LANES, Floats, Scene, Thing

EYE, FOCAL = 3.0, 1.9  # height of the camera, metres; its focal length, in heights of the frame
_TRIES = 40  # places tried for a body before it is left out


def free_scene(rng: np.random.Generator, num_frames: int, frame_rate: float, aspect: float) -> Scene:
    """Return a scene of 3 to 6 bodies, up to 2 obstacles and up to 2 occluders.

    Args:
        rng: all randomness.
        num_frames: T.
        frame_rate: frames per second.
        aspect: width of a frame over its height.
    """
    times = np.arange(num_frames) / frame_rate
    camera = moving_camera(rng, times)
    obstacles, places = _obstacles(rng, aspect)
    bodies, starts = free_bodies(rng, aspect, int(rng.integers(3, 7)), LANES, obstacles, places, 1 + len(obstacles))
    occluders, screens = _occluders(rng, times, aspect, 1 + len(obstacles) + len(bodies))
    moved = simulate(bodies, starts, obstacles, places, num_frames, frame_rate)
    still = np.broadcast_to(places, (num_frames, *places.shape))
    things = (*obstacles, *bodies, *occluders)
    return Scene(
        things=things,
        poses=np.concatenate([still, moved, screens], 1),
        visible=np.ones((num_frames, len(things)), bool),
        camera=camera,
        times=times,
        backdrop=backdrop(rng),
    )


def moving_camera(rng: np.random.Generator, times: Floats) -> Floats:
    """Return a camera (T, 3) that stands, or pans, rises or sinks and zooms at an even pace."""
    middle = times - times.mean()
    moves = rng.uniform() < 0.75
    pan, lift, zoom = moves * rng.uniform([-2.0, -0.15, -0.08], [2.0, 0.15, 0.08])
    x = rng.uniform(-1, 1) + pan * middle
    y = EYE + rng.uniform(-0.1, 0.3) + lift * middle
    focal = FOCAL * np.exp(zoom * middle)
    return np.stack(np.broadcast_arrays(x, y, focal), -1)


def half_width(depth: float, aspect: float) -> float:
    """Return how many metres the camera sees to either side at a depth."""
    return 0.5 * aspect * depth / FOCAL


def _obstacles(rng: np.random.Generator, aspect: float) -> tuple[list[Thing], Floats]:
    """Return pillars that stand on the floor and ramps that hang in the air, with places (L, 3)."""
    things, places = [], []
    for number in range(int(rng.integers(0, 3))):
        depth = float(rng.choice(LANES))
        x = rng.uniform(-0.8, 0.8) * half_width(depth, aspect)
        if rng.uniform() < 0.5:
            width, height = rng.uniform(0.4, 1.4), rng.uniform(0.6, 2.5)
            y, angle = height / 2, 0.0
        else:
            width, height = rng.uniform(2.0, 3.5), rng.uniform(0.25, 0.4)
            y, angle = rng.uniform(1.5, 3.5), rng.uniform(-0.6, 0.6)
        things.append(slab(rng, "obstacle", 1 + number, depth, width, height))
        places.append((x, y, angle))
    return things, np.array(places).reshape(-1, 3)


def free_bodies(
    rng: np.random.Generator,
    aspect: float,
    count: int,
    lanes: Sequence[float],
    obstacles: list[Thing],
    places: Floats,
    instance: int,
) -> tuple[list[Thing], Floats]:
    """Return bodies that overlap nothing at first, numbered from ``instance`` on, and starts (K, 6) for the physics."""
    bodies: list[Thing] = []
    starts: list[tuple[float, ...]] = []
    for _ in range(count):
        thing = body(rng, instance + len(bodies), float(rng.choice(lanes)))
        side = half_width(thing.depth, aspect)
        for _ in range(_TRIES):
            x = rng.uniform(-1.3, 1.3) * side
            # Most are thrown towards the middle, and some lie there.
            speed = rng.uniform(0.5, 5.0) * (-np.sign(x) if rng.uniform() < 0.8 else 1.0)
            start = (x, rng.uniform(1.1 * thing.radius, 6.5), rng.uniform(-np.pi, np.pi), speed, rng.uniform(-2, 6))
            spin = rng.uniform(-5, 5)
            if rng.uniform() < 0.15:
                start, spin = (0.5 * x, thing.lowest, 0.0, 0.0, 0.0), 0.0
            others = [*zip(obstacles, places, strict=True), *zip(bodies, starts, strict=True)]
            if all(
                other.depth != thing.depth
                or np.hypot(place[0] - start[0], place[1] - start[1]) > other.radius + thing.radius
                for other, place in others
            ):
                bodies.append(thing)
                starts.append((*start, spin))
                break
    return bodies, np.array(starts).reshape(-1, 6)


def _occluders(rng: np.random.Generator, times: Floats, aspect: float, instance: int) -> tuple[list[Thing], Floats]:
    """Return screens that stand in front of all bodies, or rise or sink, with poses (T, L, 3)."""
    things, poses = [], np.zeros((len(times), 0, 3))
    for number in range(int(rng.integers(0, 3))):
        depth = rng.uniform(9.0, 10.5)
        width, height = rng.uniform(0.8, 2.2), rng.uniform(2.5, 4.5)
        things.append(slab(rng, "occluder", instance + number, depth, width, height))
        pose = np.zeros((len(times), 1, 3))
        pose[:, 0, 0] = rng.uniform(-0.9, 0.9) * half_width(depth, aspect)
        up = np.ones(len(times))
        if rng.uniform() < 0.4:
            start, lasts = rng.uniform(0, 0.7) * times[-1], rng.uniform(0.4, 0.8)
            up = raised(times, start, lasts)
            up = up if rng.uniform() < 0.5 else 1 - up
        pose[:, 0, 1] = height * (up - 0.5)
        poses = np.concatenate([poses, pose], 1)
    return things, poses


def raised(times: Floats, start: float, lasts: float) -> Floats:
    """Return 0 before ``start``, 1 from ``lasts`` seconds later on, and a smooth way between, at ``times``."""
    share = np.clip((times - start) / lasts, 0, 1)
    return np.asarray(share**2 * (3 - 2 * share))
