"""Wall: how the dot moves, what stops it, and where it starts."""

import gymnasium as gym
import numpy as np
import pytest

import wmcontrol  # noqa: F401
from wmcontrol.envs.wall.physics import Layout, move

FIXED = Layout(np.array([32.0]), np.array([30.0]))


def after(x: float, y: float, dx: float, dy: float) -> list[float]:
    return move(np.array([[x, y]], float), np.array([[dx, dy]], float), FIXED)[0].tolist()


# Made with DINO-WM's collision function, given the same numbers: it put 20,000 random moves where `move` does.
REFERENCE = [
    # x, y, dx, dy, x after, y after
    (20.0, 20.0, 1.5, -0.7, 21.5, 19.3),  # nothing in the way
    (28.0, 20.0, 2.0, 1.0, 28.5, 21.0),  # into the wall's left face
    (36.5, 45.0, -2.0, 0.4, 35.5, 45.8),  # into its right face
    (28.0, 30.0, 2.0, 0.5, 30.0, 30.5),  # into the doorway
    (34.0, 29.0, 2.0, -0.5, 36.0, 28.5),  # out of it
    (31.0, 33.5, 0.4, 1.0, 31.7, 33.5),  # against its lower jamb
    (31.0, 26.5, -0.4, -1.0, 31.3, 26.5),  # against its upper jamb
    (5.0, 20.0, -2.0, 0.5, 4.5, 20.75),  # into the left border
    (59.0, 20.0, 2.0, 0.5, 59.5, 20.75),  # into the right border
    (20.0, 5.0, 0.5, -2.0, 20.75, 4.5),  # into the upper border
    (20.0, 59.0, 0.5, 2.0, 20.75, 59.5),  # into the lower border
    (4.5, 4.8, -2.0, -2.0, 4.5, 4.8),  # into the corner, the left border first
    (5.0, 59.8, -2.0, 2.0, 5.3, 59.5),  # into the corner, the lower border first
    (28.8, 59.8, 0.5, 0.5, 28.5, 59.7),  # between wall and border
]


@pytest.mark.parametrize("row", REFERENCE)
def test_moves_end_where_the_references_do(row: tuple) -> None:
    x, y, dx, dy, *expected = row
    assert after(x, y, dx, dy) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("move_", "expected"),
    [
        ((5, 20, -2, 0), [4.5, 20.5]),  # straight along an axis
        ((20, 5, 0, -2), [20.5, 4.5]),
        ((28, 50, 2, 0), [28.5, 50.5]),
        ((32, 34, 0, 1), [32.5, 33.5]),  # from a point exactly on the jamb
        ((32, 26, 0, -1), [32.5, 26.5]),
    ],
)
def test_moves_that_the_reference_cannot_compute(move_: tuple, expected: list) -> None:
    assert after(*move_) == pytest.approx(expected)


def test_no_walk_ends_inside_a_wall_and_doors_let_through() -> None:
    rng = np.random.default_rng(0)
    count = 2000
    layout = Layout(rng.uniform(20, 44, count), rng.uniform(10, 54, count))
    positions = np.stack([rng.integers(5, 15, count), rng.integers(5, 60, count)], 1).astype(float)
    left = positions[:, 0] < layout.wall_x
    crossed = np.zeros(count, bool)
    for _ in range(1000):
        positions = move(positions, 2 * rng.choice([-1, -0.5, 0, 0.5, 1], (count, 2)), layout)
        assert np.isfinite(positions).all()
        assert not layout.inside_wall(positions).any()
        crossed |= (positions[:, 0] < layout.wall_x) != left
    assert 0.1 < crossed.mean() < 0.9


def test_starts_and_goals_lie_in_opposite_rooms_away_from_walls() -> None:
    for layout in ("fixed", "random"):
        env = gym.make("wmcontrol/Wall-v0", layout=layout, obs_type="state")
        env.reset(seed=0)
        sides, walls = [], []
        for _ in range(300):
            observation, _ = env.reset()
            wall = env.unwrapped.variation["wall_position"][0]
            start, goal = observation["achieved_goal"], observation["desired_goal"]
            assert (start[0] < wall) != (goal[0] < wall)
            for point in (start, goal):
                assert abs(point[0] - wall) > 3 + 3.3
                assert np.all((point > 7.3) & (point < 56.7))
            sides.append(start[0] < wall)
            walls.append(wall)
        assert 0.4 < np.mean(sides) < 0.6
        assert (np.ptp(walls) > 15) == (layout == "random")


def test_a_random_layout_is_in_the_observation_and_can_be_chosen() -> None:
    env = gym.make("wmcontrol/Wall-v0", layout="random", obs_type="state")
    observation, _ = env.reset(seed=0, options={"variation": {"wall_position": 25, "door_position": 12}})
    np.testing.assert_array_equal(observation["observation"][2:], [25, 12])
    assert env.observation_space.contains(observation)
    observation, _ = env.reset(seed=0)
    drawn = env.unwrapped.variation
    np.testing.assert_array_equal(observation["observation"][2:], [*drawn["wall_position"], *drawn["door_position"]])


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_action_scale_is_pixels_per_unit(scale: float) -> None:
    env = gym.make("wmcontrol/Wall-v0", action_scale=scale, obs_type="state")
    env.reset(options={"state": [15, 15], "goal_state": [50, 50]})
    observation, *_ = env.step(np.float32([0.5, -1]))
    np.testing.assert_allclose(observation["observation"], [15 + 0.5 * scale, 15 - scale], rtol=1e-6)


@pytest.mark.parametrize("scale", [0, -1, np.nan, 100])
def test_bad_action_scales_are_refused(scale: float) -> None:
    with pytest.raises(ValueError, match="action_scale"):
        gym.make("wmcontrol/Wall-v0", action_scale=scale)


def test_success_is_within_4_and_a_half_pixels() -> None:
    env = gym.make("wmcontrol/Wall-v0", obs_type="state").unwrapped
    goal = np.array([40.0, 20.0])
    assert env.compute_reward(goal + [4.49, 0], goal, {}) == 1
    assert env.compute_reward(goal + [3.2, 3.2], goal, {}) == 0


@pytest.mark.parametrize("given", ["state", "goal_state"])
def test_what_is_not_given_is_drawn_in_the_other_room(given: str) -> None:
    env = gym.make("wmcontrol/Wall-v0", obs_type="state")
    for seed in range(30):
        observation, _ = env.reset(seed=seed, options={given: [10, 10]})
        ends = sorted([observation["achieved_goal"][0], observation["desired_goal"][0]])
        assert ends[0] == 10
        assert ends[1] > 35


def test_set_state_refuses_walls() -> None:
    for env_id, state in (("wmcontrol/Wall-v0", [32, 10]), ("wmcontrol/PointMaze_UMaze-v0", [1.8, 0.8])):
        env = gym.make(env_id).unwrapped
        env.reset(seed=0)
        with pytest.raises(ValueError, match="inside"):
            env.set_state(state)
