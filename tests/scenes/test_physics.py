"""Bodies fall as bodies fall, and nothing gains energy."""

from typing import Any

import numpy as np
import pytest

from wmcontrol.scenes import SceneDataset
from wmcontrol.scenes.looks import body
from wmcontrol.scenes.physics import simulate
from wmcontrol.scenes.scene import GRAVITY, Thing, disc, rectangle

NOTHING: Any = np.empty((0, 3))


def ball(radius: float = 0.5, depth: float = 13.0, **given: Any) -> Thing:
    return Thing("disc", 1, depth, radius, None, (0, 0, 0), disc(radius), (0, 0, 0), **given)


def box(width: float, height: float, depth: float = 13.0, **given: Any) -> Thing:
    corners = rectangle(width, height)
    return Thing("box", 2, depth, float(np.hypot(width, height)) / 2, corners, (0, 0, 0), corners, (0, 0, 0), **given)


@pytest.mark.parametrize("rate", [7.5, 15.0, 24.0])
def test_a_thrown_body_is_on_its_parabola_at_each_frame(rate: float) -> None:
    start = [-1.0, 500.0, 0.3, 2.0, 4.0, 1.5]
    poses = simulate([ball()], np.array([start]), [], NOTHING, 30, rate)
    t = np.arange(30) / rate
    np.testing.assert_allclose(poses[:, 0, 0], -1 + 2 * t, atol=1e-9)
    np.testing.assert_allclose(poses[:, 0, 1], 500 + 4 * t - GRAVITY * t**2 / 2, atol=1e-9)
    np.testing.assert_allclose(poses[:, 0, 2], 0.3 + 1.5 * t, atol=1e-9)


@pytest.mark.parametrize("elasticity", [0.3, 0.6, 0.9])
def test_a_ball_bounces_to_the_height_that_its_elasticity_gives(elasticity: float) -> None:
    dropped = simulate([ball(elasticity=elasticity)], np.array([[0, 4.5, 0, 0, 0, 0.0]]), [], NOTHING, 400, 120.0)
    height = dropped[:, 0, 1] - 0.5
    bounced = int(np.flatnonzero(np.diff(height) > 0)[0])
    down = bounced + int(np.flatnonzero(np.diff(height[bounced:]) < 0)[0])
    top = height[down]
    assert top == pytest.approx(4.0 * elasticity**2, abs=0.15)


def test_bodies_collide_in_their_own_plane_alone() -> None:
    starts = np.array([[-3.0, 0.5, 0, 3, 0, 0], [0.0, 0.5, 0, 0, 0, 0]])
    apart = simulate([ball(), ball(depth=18.0)], starts, [], NOTHING, 30, 15.0)
    together = simulate([ball(), ball()], starts, [], NOTHING, 30, 15.0)
    np.testing.assert_allclose(apart[:, 1], np.broadcast_to(apart[0, 1], (30, 3)), atol=0.01)
    assert apart[-1, 0, 0] > 0.9
    assert together[-1, 1, 0] > 0.5
    assert (together[:, 0, 0] <= together[:, 1, 0] - 0.97).all()


def test_nothing_passes_through_an_obstacle_or_the_floor() -> None:
    thrown = np.array([[-4.0, 1.0, 0, 9.0, 1.0, 0.0]])
    poses = simulate([ball()], thrown, [box(0.4, 6)], np.array([[0.0, 3.0, 0.0]]), 60, 15.0)
    assert poses[:, 0, 0].max() < -0.68
    assert poses[:, 0, 1].min() > 0.48


@pytest.mark.parametrize("seed", range(6))
def test_energy_never_grows(seed: int) -> None:
    rng = np.random.default_rng(seed)
    bodies = [body(rng, k + 1, 13.0) for k in range(5)]
    starts = np.array([[2.5 * k - 5, rng.uniform(1.5, 6), 0, *rng.uniform(-4, 4, 3)] for k in range(5)])
    rate = 240.0  # frames as close as steps
    poses = simulate(bodies, starts, [], NOTHING, 720, rate)
    mass, inertia = np.array([_mass(each) for each in bodies]).T
    speed = np.diff(poses, axis=0) * rate
    # The energy of the step between two positions, at its middle.
    height = (poses[1:, :, 1] + poses[:-1, :, 1]) / 2
    each = mass * (GRAVITY * height + (speed[..., :2] ** 2).sum(-1) / 2) + inertia * speed[..., 2] ** 2 / 2
    energy = each.sum(1)
    assert energy[-1] < 0.95 * energy[0]
    assert (energy <= np.minimum.accumulate(energy) + 0.005 * energy[0]).all()


def _mass(thing: Thing) -> tuple[float, float]:
    """Mass and moment of inertia, of an area of one kilogram per square metre."""
    if thing.corners is None:
        area = np.pi * thing.radius**2
        return area, area * thing.radius**2 / 2
    x, y = thing.corners.T
    cross = x * np.roll(y, -1) - np.roll(x, -1) * y
    squares = sum((v**2 + v * np.roll(v, -1) + np.roll(v, -1) ** 2) for v in (x, y))
    return float(cross.sum() / 2), float((cross * squares).sum() / 12)


def test_bodies_of_random_scenes_stay_above_the_floor() -> None:
    data = SceneDataset(seed=1, num_clips=20)
    for index in range(20):
        scene = data.scene(index)
        for k, thing in enumerate(scene.things):
            if thing.kind != "occluder":
                corners = np.zeros((1, 2)) if thing.corners is None else thing.corners
                angle = scene.poses[:, k, 2, None]
                lowest = (np.sin(angle) * corners[:, 0] + np.cos(angle) * corners[:, 1]).min(1)
                lowest -= thing.radius if thing.corners is None else 0
                assert (scene.poses[:, k, 1] + lowest).min() > -0.06
