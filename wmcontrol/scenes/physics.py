"""What bodies do in a scene: gravity, contacts with one another and with what stands still, by pymunk."""

from collections.abc import Sequence

import numpy as np
import pymunk

from .scene import GRAVITY, Floats, Thing

_STEPS_PER_SECOND = 240
_CORNER = 1e-3  # metres that corners are rounded by, which steadies contacts


def simulate(
    bodies: Sequence[Thing],
    starts: Floats,
    obstacles: Sequence[Thing],
    places: Floats,
    num_frames: int,
    frame_rate: float,
) -> Floats:
    """Let bodies move; those at one depth collide, all stand on the floor.

    Args:
        bodies: K of them.
        starts: (K, 6) x, y, angle, and their velocities in metres and radians per second.
        obstacles: L things that do not move.
        places: (L, 3) x, y, angle.
        num_frames: T.
        frame_rate: frames per second.

    Returns:
        Poses (T, K, 3).
    """
    space = pymunk.Space()
    space.gravity = (0.0, -GRAVITY)
    space.iterations = 20
    space.collision_slop = 0.005
    lanes = {depth: 1 << i for i, depth in enumerate(sorted({thing.depth for thing in (*bodies, *obstacles)}))}
    floor = pymunk.Segment(space.static_body, (-1e3, -1.0), (1e3, -1.0), 1.0)
    floor.elasticity = floor.friction = 1.0
    space.add(floor)
    for thing, place in zip(obstacles, places, strict=True):
        body = pymunk.Body(body_type=pymunk.Body.STATIC)
        body.position, body.angle = (float(place[0]), float(place[1])), float(place[2])
        space.add(body, _shape(thing, body, lanes))
    steps = max(1, round(_STEPS_PER_SECOND / frame_rate))
    dt = 1 / (frame_rate * steps)
    moving = []
    for thing, (x, y, angle, vx, vy, spin) in zip(bodies, starts.tolist(), strict=True):
        body = pymunk.Body()
        shape = _shape(thing, body, lanes)
        shape.density = 1.0
        space.add(body, shape)
        body.position, body.angle = (x, y), angle
        # Half a step of gravity ahead: the engine's positions then lie on the parabola, and not beside it.
        body.velocity, body.angular_velocity = (vx, vy - 0.5 * GRAVITY * dt), spin
        moving.append(body)
    poses = np.empty((num_frames, len(bodies), 3))
    for t in range(num_frames):
        for k, body in enumerate(moving):
            poses[t, k] = *body.position, body.angle
        for _ in range(steps):
            space.step(dt)
    return poses


def _shape(thing: Thing, body: pymunk.Body, lanes: dict[float, int]) -> pymunk.Shape:
    shape: pymunk.Shape
    if thing.corners is None:
        shape = pymunk.Circle(body, thing.radius)
    else:
        shape = pymunk.Poly(body, (thing.corners * (1 - _CORNER / thing.radius)).tolist(), radius=_CORNER)
    shape.elasticity, shape.friction = thing.elasticity, thing.friction
    # The floor is in every lane.
    shape.filter = pymunk.ShapeFilter(categories=lanes[thing.depth], mask=lanes[thing.depth])
    return shape
