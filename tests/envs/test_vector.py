"""The vector form is N single environments, step for step."""

import gymnasium as gym
import numpy as np
import pytest
from foreign_envs import BALL, HIDDEN
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from naming import naming

import wmcontrol

ALL = pytest.mark.parametrize("env_id", [*wmcontrol.ENV_IDS, BALL, HIDDEN])
OURS = pytest.mark.parametrize("env_id", wmcontrol.ENV_IDS)  # they have variations
N = 5


def actions_towards_goals(rng: np.random.Generator, steps: int) -> np.ndarray:
    """Actions that hold for a while, so that things are pushed and walls are hit; some are out of bounds."""
    held = rng.uniform(-1.2, 1.2, (steps // 8 + 1, N, 2)).repeat(8, 0)[:steps]
    return held.astype(np.float32)


def assert_same_infos(ours: dict, theirs: dict) -> None:
    for key in ("is_success", "success", "clipped"):
        np.testing.assert_array_equal(ours[f"_{key}"], theirs[f"_{key}"], err_msg=key)
        np.testing.assert_array_equal(ours[key], theirs[key], err_msg=key)


@ALL
@pytest.mark.parametrize(
    ("mode", "reward_type"),
    # Dense rewards are not 0 where an episode begins: a step that only resets must give none.
    [(AutoresetMode.NEXT_STEP, "dense"), (AutoresetMode.NEXT_STEP, "sparse"), (AutoresetMode.SAME_STEP, "sparse")],
)
def test_same_as_gymnasiums_own_vector_of_single_environments(
    env_id: str, mode: AutoresetMode, reward_type: str
) -> None:
    settings = {"image_size": 32, "max_episode_steps": 23, "reward_type": reward_type}
    ours = gym.make_vec(env_id, num_envs=N, autoreset_mode=mode, **settings)
    theirs = SyncVectorEnv([lambda: gym.make(env_id, **settings)] * N, autoreset_mode=mode)
    assert ours.observation_space == theirs.observation_space
    assert ours.action_space == theirs.action_space
    assert ours.single_observation_space == theirs.single_observation_space
    observation, infos = ours.reset(seed=7)
    expected, expected_infos = theirs.reset(seed=7)
    rng = np.random.default_rng(0)
    ended = 0
    for actions in actions_towards_goals(rng, 80):
        for key in observation:
            np.testing.assert_array_equal(observation[key], expected[key], err_msg=key)
        assert_same_infos(infos, expected_infos)
        observation, *flags, infos = ours.step(actions)
        expected, *expected_flags, expected_infos = theirs.step(actions)
        for got, want in zip(flags, expected_flags, strict=True):
            np.testing.assert_array_equal(got, want)
        over = flags[1] | flags[2]
        ended += over.sum()
        if mode == AutoresetMode.SAME_STEP and over.any():
            np.testing.assert_array_equal(infos["_final_obs"], expected_infos["_final_obs"])
            for row in np.flatnonzero(over):
                for key, value in infos["final_obs"][row].items():
                    np.testing.assert_array_equal(value, expected_infos["final_obs"][row][key])
            assert_same_infos(infos["final_info"], expected_infos["final_info"])
    assert ended >= 3 * N


@OURS
def test_rows_with_their_own_variations_states_and_looks_do_not_mix(env_id: str) -> None:
    ours = gym.make_vec(env_id, num_envs=3, image_size=32)
    names = list(gym.make(env_id).unwrapped.variations)
    asked = [dict.fromkeys(names, "random"), {}, {names[0]: "random"}]
    observation, _ = ours.reset(seed=3, options={"variation": asked})
    singles = [gym.make(env_id, image_size=32) for _ in range(3)]
    expected = [env.reset(seed=3 + i, options={"variation": asked[i]})[0] for i, env in enumerate(singles)]
    for _ in range(20):
        for i in range(3):
            for key in observation:
                np.testing.assert_array_equal(observation[key][i], expected[i][key])
        action = ours.action_space.sample()
        observation, _, terminated, *_ = ours.step(action)
        if terminated.any():
            break
        expected = [env.step(action[i])[0] for i, env in enumerate(singles)]


@ALL
def test_states_for_all_or_for_each(env_id: str) -> None:
    env = gym.make_vec(env_id, num_envs=3, obs_type="state")
    env.reset(seed=0)
    states = env.get_state()
    env.reset(seed=1)
    goals = env.get_state()
    env.reset(options={"state": states, "goal_state": goals})
    np.testing.assert_allclose(env.get_state(), states, atol=1e-12)
    env.reset(options={"state": states[0], "goal_state": goals[0]})
    np.testing.assert_allclose(env.get_state(), np.tile(states[0], (3, 1)), atol=1e-12)
    env.set_state(states)
    np.testing.assert_allclose(env.get_state(), states, atol=1e-12)
    with pytest.raises(ValueError, match=naming(3)):
        env.reset(options={"state": states[:2]})
    with pytest.raises(ValueError, match=naming(3)):
        env.set_state(states[:2])


@ALL
def test_without_autoreset_finished_rows_are_reset_by_mask(env_id: str) -> None:
    env = gym.make_vec(env_id, num_envs=3, obs_type="state", max_episode_steps=4, autoreset_mode=AutoresetMode.DISABLED)
    env.reset(seed=0)
    still = np.zeros((3, 2), np.float32)
    mask = np.array([True, False, True])
    env.step(still)
    first, _ = env.reset(options={"reset_mask": mask})
    for _ in range(3):
        observation, _, terminated, truncated, _ = env.step(still)
    assert truncated.tolist() == [False, True, False]
    assert not terminated.any()
    np.testing.assert_array_equal(observation["desired_goal"], first["desired_goal"])
    with pytest.raises(RuntimeError, match=r"\[1\]"):
        env.step(still)
    with pytest.raises(ValueError, match="reset_mask"):
        env.reset(options={"reset_mask": np.array([1, 0, 1])})


@ALL
def test_a_bad_state_in_one_row_starts_no_row(env_id: str) -> None:
    env = gym.make_vec(env_id, num_envs=3, obs_type="state")
    env.reset(seed=0)
    before = env.get_state()
    bad = before.copy()
    bad[2, 0] = np.nan
    with pytest.raises(ValueError, match="state"):
        env.reset(options={"state": bad})
    np.testing.assert_array_equal(env.get_state(), before)


@ALL
def test_bad_actions_are_refused(env_id: str) -> None:
    env = gym.make_vec(env_id, num_envs=3, obs_type="state")
    with pytest.raises(RuntimeError, match="reset"):
        env.step(np.zeros((3, 2)))
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"\(3, 2\)"):
        env.step(np.zeros((2, 2)))
    actions = np.zeros((3, 2))
    actions[1, 1] = np.nan
    with pytest.raises(ValueError, match="environment 1"):
        env.step(actions)


@ALL
def test_verbs_before_reset_are_refused(env_id: str) -> None:
    env = gym.make_vec(env_id, num_envs=2, render_mode="rgb_array")
    for verb, call in (("get_state", env.get_state), ("set_state", lambda: env.set_state([])), ("render", env.render)):
        with pytest.raises(RuntimeError, match=naming("reset()", verb)):
            call()


@ALL
def test_seeds_may_be_listed(env_id: str) -> None:
    env = gym.make_vec(env_id, num_envs=3, obs_type="state")
    listed, _ = env.reset(seed=[4, 5, 6])
    counted, _ = env.reset(seed=4)
    np.testing.assert_array_equal(listed["desired_goal"], counted["desired_goal"])
    with pytest.raises(ValueError, match=naming(3, 2)):
        env.reset(seed=[1, 2])


@ALL
def test_rendering_gives_a_frame_for_each(env_id: str) -> None:
    env = gym.make_vec(env_id, num_envs=2, render_mode="rgb_array", render_size=80)
    env.reset(seed=0)
    frames = env.render()
    assert [frame.shape for frame in frames] == [(80, 80, 3)] * 2
    assert np.any(frames[0] != frames[1])


def test_a_window_is_for_single_environments() -> None:
    with pytest.raises(ValueError, match="rgb_array"):
        gym.make_vec("wmcontrol/Wall-v0", num_envs=2, render_mode="human")


@ALL
def test_what_was_refused_can_be_closed(env_id: str) -> None:
    made = gym.make_vec(env_id, num_envs=2).unwrapped
    refused = type(made).__new__(type(made))
    refused.close()  # which Gymnasium 1.2 does when it is thrown away
    assert refused.closed
    assert not made.closed
    made.close()
    assert made.closed
