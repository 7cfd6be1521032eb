"""PointMaze: forces, clipping, walls, and its two ways of drawing."""

import gymnasium as gym
import numpy as np
import pytest

import wmcontrol  # noqa: F401
from wmcontrol.envs.pointmaze.mazes import MAZES, cells
from wmcontrol.envs.pointmaze.physics import Simulation

MASS = 1000 * 4 / 3 * np.pi * 0.1**3
DAMPING, GEAR, TIMESTEP = 1.0, 100.0, 0.01


def maze(name: str = "UMaze", **settings: object) -> gym.Env:
    settings = {"obs_type": "state", "terminate_on_success": False, **settings}
    return gym.make(f"wmcontrol/PointMaze_{name}-v0", **settings)


@pytest.mark.parametrize("frame_skip", [1, 5])
def test_free_motion_follows_the_damped_equation(frame_skip: int) -> None:
    """MuJoCo's Euler integrator takes damping implicitly: (m + h d) v' = m v + h f."""
    env = maze(frame_skip=frame_skip)
    env.reset(options={"state": [1.0, 1.0, 0, 0], "goal_state": [3, 3]})
    assert env.unwrapped.control_rate == pytest.approx(100 / frame_skip)
    position, velocity = np.array([1.0, 1.0]), np.zeros(2)
    for _ in range(3):
        observation = env.step(np.float32([0.05, -0.03]))[0]["observation"]
        for _ in range(frame_skip):
            force = GEAR * np.float32([0.05, -0.03]).astype(float)
            velocity = (MASS * velocity + TIMESTEP * force) / (MASS + TIMESTEP * DAMPING)
            position = position + TIMESTEP * velocity
        np.testing.assert_allclose(observation, [*position, *velocity], atol=1e-9)


def test_velocities_are_clipped_before_each_action() -> None:
    env = maze()
    env.reset(options={"state": [1.0, 1.0, 0, 5.9], "goal_state": [3, 3]})
    speed = env.step(np.zeros(2, np.float32))[0]["observation"][3]
    np.testing.assert_allclose(speed, 5 * (MASS / (MASS + TIMESTEP * DAMPING)) ** 5, rtol=1e-9)


def test_walls_hold() -> None:
    for name in ("UMaze", "Medium", "Large"):
        walls = cells(name.lower(), free=False) - 0.2
        env = gym.make_vec(f"wmcontrol/PointMaze_{name}-v0", num_envs=16, obs_type="state", terminate_on_success=False)
        env.reset(seed=0)
        rng = np.random.default_rng(0)
        for step in range(400):
            if step % 12 == 0:
                force = rng.choice([-1.0, 0.0, 1.0], (16, 2))
            positions = env.step(force)[0]["achieved_goal"]
            beside = np.maximum(np.abs(positions[:, None] - walls) - 0.5, 0)
            assert np.linalg.norm(beside, axis=-1).min() > 0.03


def test_one_world_and_many_take_the_same_steps_bit_for_bit() -> None:
    one, many = Simulation("umaze", 1, 5), Simulation("umaze", 3, 5)
    state = np.array([[1.0, 1.0, 0.0, 0.0]])
    states = np.repeat(state, 3, 0)
    rng = np.random.default_rng(0)
    for step in range(500):
        if step % 10 == 0:
            force = rng.uniform(-1, 1, (1, 2))
        state = one.step(np.arange(1), state, force)
        states = many.step(np.arange(3), states, np.concatenate([-force, force, force]))
        np.testing.assert_array_equal(state[0], states[1])


@pytest.mark.parametrize("name", ["UMaze", "Medium", "Large"])
def test_starts_and_goals_are_in_cells_that_differ(name: str) -> None:
    free = {tuple(cell) for cell in cells(name.lower(), free=True)}
    env = maze(name)
    env.reset(seed=0)
    visited = set()
    for _ in range(300):
        observation, _ = env.reset()
        for point in (observation["achieved_goal"], observation["desired_goal"]):
            cell = tuple(np.rint(point))
            assert cell in free
            assert np.all(np.abs(point - cell) <= 0.1)
            visited.add(cell)
        assert np.linalg.norm(observation["achieved_goal"] - observation["desired_goal"]) > 0.5
    assert len(visited) > 0.8 * len(free)


def test_the_mazes_are_closed() -> None:
    for rows in MAZES.values():
        assert len({len(row) for row in rows}) == 1
        assert set(rows[0]) == set(rows[-1]) == {"#"}
        assert all(row[0] == row[-1] == "#" for row in rows)


@pytest.mark.parametrize("radius", [0.45, 0.5, 1.0])
def test_success_radius_is_settable(radius: float) -> None:
    env = maze(success_radius=radius).unwrapped
    goal = np.array([1.0, 1.0])
    assert env.compute_reward(goal + [radius - 0.01, 0], goal, {}) == 1
    assert env.compute_reward(goal + [radius + 0.01, 0], goal, {}) == 0


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"frame_skip": 0}, "frame_skip"),
        ({"frame_skip": 2.5}, "frame_skip"),
        ({"success_radius": 0}, "success_radius"),
        ({"maze": "huge"}, "'umaze', 'medium', 'large'"),
        ({"render_backend": "pygame"}, "render_backend"),
    ],
)
def test_bad_settings_are_refused(settings: dict, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        maze(**settings)


@pytest.mark.parametrize("name", ["UMaze", "Medium", "Large"])
def test_flat_frames_look_like_mujocos(name: str) -> None:
    pytest.importorskip("mujoco")
    flat = maze(name, obs_type="pixels_state", image_size=256)
    shaded = maze(name, obs_type="pixels_state", image_size=256, render_backend="mujoco")
    observation, _ = flat.reset(seed=0)
    options = {"state": observation["achieved_goal"], "goal_state": observation["desired_goal"]}
    try:
        expected, _ = shaded.reset(options=options)
    except Exception as error:  # whatever the graphics stack raises where there is none
        pytest.skip(f"MuJoCo cannot draw here: {error}")
    for key in ("pixels", "goal_pixels"):
        error = np.square(flat.reset(options=options)[0][key].astype(float) - expected[key]).mean()
        assert 10 * np.log10(255**2 / error) > 35, key
    assert set(shaded.unwrapped.variations) == {"agent_size", "friction"}


@pytest.mark.parametrize("frame_skip", [5, 10])
@pytest.mark.parametrize("name", ["UMaze", "Medium", "Large"])
def test_no_variation_lets_a_ball_through_a_wall(name: str, frame_skip: int) -> None:
    walls = cells(name.lower(), free=False) - 0.2
    env = gym.make_vec(
        f"wmcontrol/PointMaze_{name}-v0",
        num_envs=48,
        obs_type="state",
        frame_skip=frame_skip,
        terminate_on_success=False,
    )
    sizes = np.linspace(env.variations["agent_size"].low[0], env.variations["agent_size"].high[0], 48)
    varied = [{"agent_size": size, "friction": 0.5} for size in sizes]
    env.reset(seed=0, options={"variation": varied})
    rng = np.random.default_rng(0)
    for step in range(300):
        if step % 5 == 0:
            force = rng.choice([-1.0, 0.0, 1.0], (48, 2))
        observation, *_ = env.step(force)
        assert env.observation_space.contains(observation)
        beside = np.maximum(np.abs(observation["achieved_goal"][:, None] - walls) - 0.5, 0)
        assert np.linalg.norm(beside, axis=-1).min() > 0
