"""Push-T: success, the control law, restoring states, and people's demonstrations."""

import gymnasium as gym
import numpy as np
import pytest

import wmcontrol  # noqa: F401
from wmcontrol.envs.pusht.geometry import AREA, center_of_gravity, corners, coverage, gap
from wmcontrol.envs.pusht.physics import DAMPING, DT, STIFFNESS, SUBSTEPS

BLOCK = [256.0, 256.0]


def pusht(**settings: object) -> gym.Env:
    return gym.make("wmcontrol/PushT-v0", obs_type="state", terminate_on_success=False, **settings)


def is_success(achieved: list, desired: list, **settings: object) -> bool:
    return bool(pusht(**settings).unwrapped.compute_reward(np.array(achieved, float), np.array(desired, float), {}))


@pytest.mark.parametrize("turn", np.deg2rad([0, 5, 19.9, 20.1, 90, 180]))
@pytest.mark.parametrize("angle", np.deg2rad([0, 0.01, 45, 180, 359.9]))
@pytest.mark.parametrize("wound", [0, 2 * np.pi, -4 * np.pi])
def test_success_is_symmetric_in_the_angle_and_knows_that_it_wraps(turn: float, angle: float, wound: float) -> None:
    near = np.rad2deg(turn) < 20
    for sign in (1, -1):
        a, b = [100, 100, *BLOCK, angle], [100, 100, *BLOCK, angle + sign * turn + wound]
        assert is_success(a, b) == near
        assert is_success(b, a) == near


def test_success_measures_agent_and_block_together() -> None:
    goal = [100, 100, 256, 256, 1]
    assert is_success([119.9, 100, 256, 256, 1], goal)
    assert not is_success([120.1, 100, 256, 256, 1], goal)
    assert not is_success([115, 100, 256, 271, 1], goal), "15 and 15 pixels off are 21 together"


def test_coverage_is_the_covered_share_of_the_goal() -> None:
    here = np.array([256, 256, 0.0])
    assert coverage(here, here) == pytest.approx(1, abs=1e-12)
    assert coverage(here, here + [600, 0, 0]) == 0
    # Ten pixels along the bar: the bar keeps 110 of 120, the stem 20 of 30.
    assert coverage(here, here + [10, 0, 0]) == pytest.approx((110 * 30 + 20 * 90) / AREA)
    # Upside down about the middle of the bar's edge, only that edge is shared.
    assert coverage(here, here + [0, 0, np.pi]) == pytest.approx(0, abs=1e-9)
    pairs = np.random.default_rng(0).uniform((200, 200, 0), (300, 300, 6), (50, 2, 3))
    assert np.allclose(coverage(pairs[:, 0], pairs[:, 1]), coverage(pairs[:, 1], pairs[:, 0]), atol=1e-9)


def test_coverage_agrees_with_counting_points() -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform(100, 400, (400_000, 2))

    def inside(pose: np.ndarray) -> np.ndarray:
        hits = np.zeros(len(points), bool)
        for box in corners(pose):
            side = np.roll(box, -1, 0) - box
            offset = points[:, None] - box
            hits |= np.all(side[:, 0] * offset[..., 1] - side[:, 1] * offset[..., 0] >= 0, -1)
        return hits

    for _ in range(10):
        block, goal = rng.uniform((230, 230, 0), (270, 270, 6), (2, 3))
        share = (inside(block) & inside(goal)).mean() * 300**2 / AREA
        assert coverage(block, goal) == pytest.approx(share, abs=0.02)


def test_coverage_success_ignores_the_agent_and_ends_at_95_percent() -> None:
    goal = [100, 100, 256, 256, np.pi / 4]
    assert is_success([400, 400, 256, 256, np.pi / 4], goal, success="coverage")
    assert is_success([100, 100, 257, 257, np.pi / 4], goal, success="coverage")
    assert not is_success([100, 100, 262, 256, np.pi / 4], goal, success="coverage")
    env = pusht(success="coverage")
    observation, _ = env.reset(seed=0)
    np.testing.assert_allclose(observation["desired_goal"][2:], [256, 256, np.pi / 4])


def test_dense_coverage_reward_is_diffusion_policys() -> None:
    env = pusht(success="coverage", reward_type="dense").unwrapped
    goal = np.array([0, 0, 256, 256, 0.0])
    shifted = goal + [0, 0, 10, 0, 0]
    assert env.compute_reward(shifted, goal, {}) == pytest.approx((110 * 30 + 20 * 90) / AREA / 0.95)
    assert env.compute_reward(goal, goal, {}) == 1


def control_matrix() -> np.ndarray:
    """What one control step makes of (position, velocity, target) without contact, from the law alone."""
    step = np.array(
        [
            [1 - STIFFNESS * DT**2, DT * (1 - DAMPING * DT), STIFFNESS * DT**2],
            [-STIFFNESS * DT, 1 - DAMPING * DT, STIFFNESS * DT],
            [0, 0, 1],
        ]
    )
    return np.linalg.matrix_power(step, SUBSTEPS)


@pytest.mark.parametrize("mode", ["relative", "absolute"])
def test_the_agent_follows_the_control_law(mode: str) -> None:
    env = pusht(action_mode=mode)
    env.reset(options={"state": [80, 400, 400, 100, 0]})
    state = np.array([[80.0, 400.0], [0, 0], [0, 0]])
    rng = np.random.default_rng(0)
    for _ in range(30):
        action = rng.uniform(-1, 1, 2).astype(np.float32)
        if mode == "absolute":
            action = (100 + 50 * action * [1, -1] + [0, 250]).astype(np.float32)
            target = action.astype(float)
        else:
            target = np.clip(state[0] + 100 * action.astype(float), 0, 512)
        state[2] = target
        state = control_matrix() @ state
        observation = env.step(action)[0]["observation"]
        np.testing.assert_allclose(observation[:2], state[0], atol=1e-8)
        np.testing.assert_allclose(observation[5:], state[1], atol=1e-7)
        np.testing.assert_allclose(observation[2:5], [400, 100, 0], atol=1e-12)


def test_targets_of_relative_actions_stay_in_the_field() -> None:
    env = pusht()
    env.reset(options={"state": [500, 20, 256, 300, 0]})
    for _ in range(20):
        observation, *_ = env.step(np.float32([1, -1]))
    np.testing.assert_allclose(observation["observation"][:2], [512, 0], atol=0.1)


def test_an_angle_is_set_before_the_position_so_that_both_hold() -> None:
    env = pusht()
    env.reset(options={"state": [50, 50, 200, 210, 1.0]})
    np.testing.assert_allclose(env.unwrapped.get_state(), [50, 50, 200, 210, 1, 0, 0], atol=1e-12)


def test_starts_leave_the_block_within_the_walls_and_the_agent_beside_it() -> None:
    env = pusht()
    env.reset(seed=0)
    for _ in range(200):
        state = env.reset()[0]["observation"]
        points = corners(state[2:5])
        assert points.min() > 7
        assert points.max() < 504
        assert gap(state, 1.0) > 15


def pushing_episode(seed: int, steps: int = 150) -> tuple[np.ndarray, np.ndarray]:
    """States and actions of an agent that keeps pushing through the block."""
    env = pusht()
    rng = np.random.default_rng(seed)
    state = env.reset(seed=seed)[0]["observation"]
    states, actions = [state], []
    for step in range(steps):
        if step % 8 == 0:
            target = center_of_gravity(state[2:5], 1.0) + rng.normal(0, 60, 2)
        action = np.clip((target - state[:2]) / 100 * 0.6 + rng.normal(0, 0.1, 2), -1, 1).astype(np.float32)
        state = env.step(action)[0]["observation"]
        states.append(state)
        actions.append(action)
    return np.array(states), np.array(actions)


def restore_errors(num_episodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Block error in pixels 25 steps after a restore, and whether the block touched a wall by then."""
    env = pusht()
    env.reset(seed=0)
    errors, touched = [], []
    for seed in range(num_episodes):
        states, actions = pushing_episode(seed)
        for start in np.random.default_rng(seed).integers(10, 125, 5):
            env.unwrapped.set_state(states[start])
            for action in actions[start : start + 25]:
                end = env.step(action)[0]["observation"]
            errors.append(np.linalg.norm(end[2:4] - states[start + 25, 2:4]))
            points = corners(states[start : start + 26, 2:5])
            touched.append(points.min() < 7.5 or points.max() > 503.5)
    return np.array(errors), np.array(touched)


def test_a_restored_state_goes_on_as_the_original_until_a_wall_squeezes_the_block() -> None:
    """The figures in PushTEnv's docstring are those of this function with 60 episodes."""
    errors, touched = restore_errors(20)
    assert (~touched).sum() > 20
    assert errors[~touched].max() < 1e-9
    assert np.median(errors[touched]) < 0.5


def demonstration_starts(demonstrations: dict, count: int) -> list[int]:
    """Frames with a frame before and 25 steps after them in the same episode."""
    ends = demonstrations["episode_ends"]
    firsts = np.concatenate([[0], ends[:-1]])
    rng = np.random.default_rng(0)
    episodes = rng.integers(len(ends), size=count)
    return [int(rng.integers(firsts[e] + 1, ends[e] - 25)) for e in episodes]


def recorded_velocity(states: np.ndarray, actions: np.ndarray, frame: int) -> np.ndarray:
    """The agent's velocity at a frame, from its last two recorded positions and the control law."""
    matrix = control_matrix()
    before, now, target = states[frame - 1, :2], states[frame, :2], actions[frame - 1]
    velocity = (now - matrix[0, 0] * before - matrix[0, 2] * target) / matrix[0, 1]
    return matrix[1] @ np.stack([before, velocity, target])


@pytest.mark.parametrize("with_velocity", [False, True])
def test_replaying_people_from_300_frames(demonstrations: dict, with_velocity: bool) -> None:
    states, actions = demonstrations["state"].astype(float), demonstrations["action"]
    env = pusht(action_mode="absolute")
    errors = []
    for frame in demonstration_starts(demonstrations, 300):
        velocity = recorded_velocity(states, actions, frame) if with_velocity else [0, 0]
        options = {"state": [*states[frame], *velocity], "goal_state": states[frame + 25]}
        env.reset(options=options)
        for action in actions[frame : frame + 25]:
            observation, *_, info = env.step(action)
        assert info["is_success"]
        errors.append(np.linalg.norm(observation["achieved_goal"][2:4] - states[frame + 25, 2:4]))
    # Without velocities the agent starts from rest, where people's moved.
    assert np.median(errors) < (1e-4 if with_velocity else 0.1)
    assert np.max(errors) < (0.1 if with_velocity else 20)


def test_frames_look_like_the_recorded_ones(demonstrations: dict) -> None:
    env = gym.make("wmcontrol/PushT-v0", image_size=96)
    psnr = []
    for index, recorded in demonstrations["images"].items():
        state = demonstrations["state"][index].astype(float)
        frame = env.reset(options={"state": state, "goal_state": state})[0]["pixels"]
        error = np.square(frame.astype(float) - recorded).mean()
        psnr.append(10 * np.log10(255**2 / error))
    assert len(psnr) >= 100
    assert np.mean(psnr) > 34
    assert np.min(psnr) > 30
