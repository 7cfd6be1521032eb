"""What holds for every environment and every kind of observation."""

import copy
import pickle

import gymnasium as gym
import numpy as np
import pytest
from foreign_envs import BALL, HIDDEN
from gymnasium.utils.env_checker import check_env
from naming import naming
from stable_baselines3.common.env_checker import check_env as sb3_check_env

import wmcontrol

OBS_TYPES = ("pixels_state", "pixels", "state")
EVERY_ID = (*wmcontrol.ENV_IDS, BALL, HIDDEN)
ALL = pytest.mark.parametrize("env_id", EVERY_ID)
OURS = pytest.mark.parametrize("env_id", wmcontrol.ENV_IDS)  # they have variations
EVERY = pytest.mark.parametrize(("env_id", "obs_type"), [(i, o) for i in EVERY_ID for o in OBS_TYPES])


def rollout(env: gym.Env, seed: int, steps: int = 40) -> list:
    """Everything that an episode of random actions returns."""
    env.action_space.seed(seed)
    seen = [env.reset(seed=seed)]
    for _ in range(steps):
        seen.append(env.step(env.action_space.sample()))
    return seen


def assert_same(a: object, b: object) -> None:
    if isinstance(a, dict):
        assert isinstance(b, dict)
        assert a.keys() == b.keys()
        for key in a:
            assert_same(a[key], b[key])
    elif isinstance(a, (tuple, list)):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert_same(x, y)
    else:
        np.testing.assert_array_equal(a, b)


@pytest.mark.filterwarnings("ignore:.*A Box observation space m.* value is -?infinity")
@EVERY
def test_gymnasium_checker_has_no_complaint(env_id: str, obs_type: str) -> None:
    check_env(gym.make(env_id, obs_type=obs_type, render_mode="rgb_array").unwrapped)


@EVERY
def test_stable_baselines3_checker_has_no_complaint(env_id: str, obs_type: str) -> None:
    sb3_check_env(gym.make(env_id, obs_type=obs_type).unwrapped)


@EVERY
def test_same_seed_same_episode_and_other_seed_another(env_id: str, obs_type: str) -> None:
    env, twin = (gym.make(env_id, obs_type=obs_type) for _ in range(2))
    first = rollout(env, seed=3)
    assert_same(first, rollout(twin, seed=3))
    assert_same(first, rollout(env, seed=3))
    other = rollout(env, seed=4)
    assert any(np.any(first[0][0][key] != other[0][0][key]) for key in first[0][0])


@ALL
def test_episodes_after_a_seeded_reset_are_reproducible_too(env_id: str) -> None:
    def starts() -> list:
        env = gym.make(env_id, obs_type="state")
        env.reset(seed=1)
        return [env.reset()[0] for _ in range(3)]

    first = starts()
    assert_same(first, starts())
    assert np.any(first[0]["observation"] != first[1]["observation"])


@ALL
def test_instances_share_nothing(env_id: str) -> None:
    alone = rollout(gym.make(env_id), seed=5)
    env, other = gym.make(env_id), gym.make(env_id)
    other.reset(seed=9, options={"variation": "all"})
    env.action_space.seed(5)
    together = [env.reset(seed=5)]
    for _ in range(40):
        other.step(other.action_space.sample())
        together.append(env.step(env.action_space.sample()))
    assert_same(alone, together)


@EVERY
def test_what_is_returned_is_in_the_space_and_is_never_changed_later(env_id: str, obs_type: str) -> None:
    env = gym.make(env_id, obs_type=obs_type, image_size=48)
    seen = rollout(env, seed=0)
    kept = copy.deepcopy(seen)
    rollout(env, seed=1)
    assert_same(seen, kept)
    for observation, *_ in seen:
        assert env.observation_space.contains(observation)
        for key in ("pixels", "goal_pixels"):
            assert (key in observation) == (obs_type != "state")
            if key in observation:
                assert observation[key].shape == (48, 48, 3)
        for key in ("observation", "achieved_goal", "desired_goal"):
            assert (key in observation) == (obs_type != "pixels")


@ALL
def test_state_round_trip_is_exact(env_id: str) -> None:
    env = gym.make(env_id, obs_type="state")
    rollout(env, seed=2, steps=20)
    state = env.unwrapped.get_state()
    other = gym.make(env_id, obs_type="state")
    other.reset(seed=8)
    other.unwrapped.set_state(state)
    np.testing.assert_allclose(other.unwrapped.get_state(), state, atol=1e-12)


@pytest.mark.parametrize("env_id", [i for i in wmcontrol.ENV_IDS if "PushT" not in i])
def test_a_state_decides_the_future(env_id: str) -> None:
    env, other = gym.make(env_id, obs_type="state"), gym.make(env_id, obs_type="state")
    other.reset(seed=8)
    observation, _ = env.reset(seed=2)
    env.action_space.seed(0)
    for step in range(200):
        if step % 25 == 0:
            other.reset(options={"state": env.unwrapped.get_state(), "goal_state": _goal_state(env, observation)})
            push = env.action_space.sample()
        action = np.clip(push + 0.3 * env.action_space.sample(), -1, 1)
        observation, *rest = env.step(action)
        also, *others = other.step(action)
        np.testing.assert_allclose(also["observation"], observation["observation"], atol=1e-6)
        assert rest[:3] == others[:3]
        if rest[0]:
            observation, _ = env.reset()
            other.reset(options={"state": env.unwrapped.get_state(), "goal_state": _goal_state(env, observation)})


def _goal_state(env: gym.Env, observation: dict) -> np.ndarray:
    return observation["desired_goal"]


@ALL
def test_reset_puts_the_world_exactly_there(env_id: str) -> None:
    env = gym.make(env_id)
    env.reset(seed=0)
    state = env.unwrapped.get_state()
    there = env.reset(seed=1)[0]["achieved_goal"]
    goal = env.unwrapped.get_state()
    observation, info = env.reset(options={"state": state, "goal_state": goal})
    np.testing.assert_allclose(env.unwrapped.get_state(), state, atol=1e-12)
    np.testing.assert_allclose(observation["desired_goal"], there, atol=1e-12)
    assert not info["is_success"]
    at_goal, info = env.reset(options={"state": goal, "goal_state": goal})
    assert info["is_success"]
    np.testing.assert_array_equal(at_goal["pixels"], at_goal["goal_pixels"])
    np.testing.assert_array_equal(at_goal["goal_pixels"], observation["goal_pixels"])


@ALL
def test_success_ends_an_episode_and_the_time_limit_truncates_it(env_id: str) -> None:
    env = gym.make(env_id, obs_type="state", max_episode_steps=7)
    env.reset(seed=1)
    goal = env.unwrapped.get_state()
    still = np.zeros(2, np.float32)
    env.reset(seed=0)
    ends = [env.step(still)[1:4] for _ in range(7)]
    assert [end[1] for end in ends] == [False] * 7
    assert [end[2] for end in ends] == [False] * 6 + [True]
    env.reset(options={"state": goal, "goal_state": goal})
    _, reward, terminated, truncated, info = env.step(still)
    assert (reward, terminated, truncated) == (1.0, True, False)
    assert info["is_success"]
    assert info["success"]
    stay = gym.make(env_id, obs_type="state", terminate_on_success=False)
    stay.reset(options={"state": goal, "goal_state": goal})
    assert stay.step(still)[1:3] == (1.0, False)


@ALL
@pytest.mark.parametrize("reward_type", ["sparse", "dense"])
def test_compute_reward_is_the_step_reward_for_one_and_for_many(env_id: str, reward_type: str) -> None:
    env = gym.make(env_id, obs_type="state", reward_type=reward_type)
    seen = rollout(env, seed=0)[1:]
    achieved = np.array([observation["achieved_goal"] for observation, *_ in seen])
    desired = np.array([observation["desired_goal"] for observation, *_ in seen])
    rewards = np.array([reward for _, reward, *_ in seen])
    reward = env.unwrapped.compute_reward(achieved, desired, [{}] * len(seen))
    np.testing.assert_array_equal(reward, rewards)
    assert env.unwrapped.compute_reward(achieved[0], desired[0], {}) == rewards[0]
    at_goal = env.unwrapped.compute_reward(desired, desired, {})
    assert np.all(at_goal >= rewards)
    if reward_type == "sparse":
        assert np.all(at_goal == 1)


@ALL
def test_dense_reward_rises_towards_the_goal(env_id: str) -> None:
    env = gym.make(env_id, obs_type="state", reward_type="dense")
    observation, _ = env.reset(seed=0)
    way = np.linspace(0, 1, 11)[:, None]
    path = observation["achieved_goal"] + way * (observation["desired_goal"] - observation["achieved_goal"])
    if "PushT" in env_id:
        path[:, 4] = observation["desired_goal"][4]
    rewards = env.unwrapped.compute_reward(path, np.tile(observation["desired_goal"], (11, 1)), {})
    assert np.all(np.diff(rewards) > 0)


@ALL
def test_actions_out_of_bounds_are_clipped_and_counted(env_id: str) -> None:
    env, twin = gym.make(env_id, obs_type="state"), gym.make(env_id, obs_type="state")
    assert env.reset(seed=0)[1]["clipped"] == 0
    twin.reset(seed=0)
    one = np.ones(2, np.float32)
    for count, action in enumerate([[5, 1], [1, np.inf], [1e9, 5]], start=1):
        observation, *_, info = env.step(np.float32(action))
        same, *_ = twin.step(one)
        np.testing.assert_array_equal(observation["observation"], same["observation"])
        assert info["clipped"] == count
    assert env.step(one)[-1]["clipped"] == 3
    assert env.reset()[1]["clipped"] == 0


@ALL
@pytest.mark.parametrize("action", [[np.nan, 0], [0, 0, 0], 0.5, [[0, 0]], ["left", "up"], None])
def test_a_bad_action_is_an_error_and_changes_nothing(env_id: str, action: object) -> None:
    env = gym.make(env_id, obs_type="state").unwrapped
    env.reset(seed=0)
    state = env.get_state()
    with pytest.raises(ValueError, match="action"):
        env.step(action)
    np.testing.assert_array_equal(env.get_state(), state)


@ALL
def test_verbs_before_reset_are_refused(env_id: str) -> None:
    env = gym.make(env_id, render_mode="rgb_array").unwrapped
    for verb, call in (
        ("step", lambda: env.step(np.zeros(2))),
        ("get_state", env.get_state),
        ("set_state", lambda: env.set_state(np.zeros(2))),
        ("render", env.render),
    ):
        with pytest.raises(RuntimeError, match=naming("reset()", verb)):
            call()


@ALL
@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"obs_type": "image"}, "obs_type"),
        ({"image_size": 0}, "image_size"),
        ({"image_size": 64.0}, "image_size"),
        ({"reward_type": "shaped"}, "reward_type"),
        ({"render_size": -1}, "render_size"),
    ],
)
def test_bad_settings_are_refused_by_name(env_id: str, settings: dict, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        gym.make(env_id, **settings)


@ALL
def test_misspelt_settings_are_refused(env_id: str) -> None:
    with pytest.raises(TypeError, match="image_sze"):
        gym.make(env_id, image_sze=64)


@ALL
def test_starts_are_possible_and_never_at_the_goal(env_id: str) -> None:
    env = gym.make(env_id, obs_type="state")
    env.reset(seed=0)
    for _ in range(100):
        observation, info = env.reset()
        assert not info["is_success"]
        if env_id != HIDDEN:  # whose goals are no states that it could be put into
            # What was drawn is accepted when it is given.
            env.reset(options={"state": env.unwrapped.get_state(), "goal_state": observation["desired_goal"]})


@ALL
def test_copies_and_pickles_go_on_as_the_original(env_id: str) -> None:
    """Push-T too, as long as the block is not squeezed against a wall."""
    env = gym.make(env_id)
    env.reset(seed=0, options={"variation": [name for name in env.unwrapped.variations if name.startswith("agent")]})
    env.action_space.seed(0)
    for _ in range(5):
        env.step(env.action_space.sample())
    copies = [copy.deepcopy(env), pickle.loads(pickle.dumps(env))]
    for _ in range(20):
        action = env.action_space.sample()
        expected = env.step(action)
        for twin in copies:
            assert_same(twin.step(action), expected)
    assert_same(copies[0].reset(), env.reset())


@OURS
def test_a_standing_variation_holds_in_every_episode_until_an_option_says_otherwise(env_id: str) -> None:
    env = gym.make(env_id, obs_type="state", variation=["agent_size"])
    sizes = []
    for _ in range(5):
        env.reset()
        sizes.append(float(env.unwrapped.variation["agent_size"][0]))
    assert len(set(sizes)) == 5
    env.reset(options={"variation": {}})
    assert env.unwrapped.variation["agent_size"] == 1
    many = gym.make_vec(env_id, num_envs=2, obs_type="state", variation="all", max_episode_steps=1)
    many.reset(seed=0)
    for _ in range(3):
        before = many.variation["agent_size"].copy()
        many.step(np.zeros((2, 2)))
        many.step(np.zeros((2, 2)))
        assert np.all(many.variation["agent_size"] != before)
    with pytest.raises(ValueError, match="unknown"):
        gym.make(env_id, variation=["colour"])


@ALL
def test_a_refused_reset_leaves_the_generator_where_it_was(env_id: str) -> None:
    env, twin = gym.make(env_id, obs_type="state"), gym.make(env_id, obs_type="state")
    env.reset(seed=0)
    twin.reset(seed=0)
    with pytest.raises(ValueError, match="state"):
        env.reset(options={"variation": "all", "state": [np.nan] * 2})
    assert_same(env.reset(), twin.reset())


@ALL
@pytest.mark.parametrize("num_envs", [0, -1, 1.5])
def test_numbers_of_environments_are_checked(env_id: str, num_envs: object) -> None:
    with pytest.raises(ValueError, match="num_envs"):
        gym.make_vec(env_id, num_envs=num_envs)


@ALL
@pytest.mark.parametrize("options", [5, "all", ["state"]])
def test_options_must_be_a_mapping(env_id: str, options: object) -> None:
    with pytest.raises(TypeError, match="options"):
        gym.make(env_id).unwrapped.reset(options=options)
