"""Agents that do nothing, or anything."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.spaces import Box
from naming import naming

from wmcontrol.agents import NoOpAgent, RandomAgent

SPACE = Box(np.array([-1, -2], np.float32), np.array([1, 3], np.float32))
ONE = {"observation": np.zeros(4), "achieved_goal": np.zeros(2), "desired_goal": np.zeros(2)}
BATCH = {key: np.stack([value] * 5) for key, value in ONE.items()}
PIXELS = {"pixels": np.zeros((5, 8, 8, 3), np.uint8)}


@pytest.mark.parametrize("env_id", ["wmcontrol/PushT-v0", "wmcontrol/PointMaze_UMaze-v0", "wmcontrol/Wall-v0"])
def test_doing_nothing_keeps_still(env_id: str) -> None:
    env = gym.make(env_id, obs_type="state")
    state = {"wmcontrol/PointMaze_UMaze-v0": [0.8, 0.8, 0, 0]}.get(env_id)
    observation, _ = env.reset(seed=0, options={} if state is None else {"state": np.array(state)})
    agent = NoOpAgent(env.action_space)
    before = env.unwrapped.get_state()
    for _ in range(10):
        action, _ = agent.predict(observation)
        assert env.action_space.contains(action)
        observation, *_ = env.step(action)
    np.testing.assert_allclose(env.unwrapped.get_state(), before, atol=1e-6)


def test_doing_nothing_has_no_meaning_where_actions_are_places() -> None:
    with pytest.raises(ValueError, match=naming(0.0, 512.0)):
        NoOpAgent(gym.make("wmcontrol/PushT-v0", action_mode="absolute").action_space)


@pytest.mark.parametrize("observation", [BATCH, PIXELS])
def test_batches_get_an_action_each(observation: dict[str, np.ndarray]) -> None:
    for agent in (NoOpAgent(SPACE), RandomAgent(SPACE)):
        actions, _ = agent.predict(observation)
        assert actions.shape == (5, 2)
        assert actions.dtype == np.float32


def test_random_actions_fill_the_bounds_and_follow_from_seed_and_row() -> None:
    agent, state, drawn = RandomAgent(SPACE, seed=3), None, []
    for _ in range(400):
        actions, state = agent.predict(BATCH, state)
        drawn.append(actions)
    every = np.stack(drawn)  # (400, 5, 2)
    assert all(SPACE.contains(a) for a in every.reshape(-1, 2))
    np.testing.assert_allclose(every.reshape(-1, 2).mean(0), [0, 0.5], atol=0.1)
    np.testing.assert_allclose(every.reshape(-1, 2).std(0), [2 / 12**0.5, 5 / 12**0.5], rtol=0.05)
    assert abs(np.corrcoef(every[:, 0, 0], every[:, 1, 0])[0, 1]) < 0.2
    again, _ = RandomAgent(SPACE, seed=3).predict(ONE, agent.start([4]))
    np.testing.assert_array_equal(again, every[0, 4])
    with pytest.raises(ValueError, match=naming(5, 1)):
        agent.predict(ONE, state)


def test_spaces_and_observations_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="inf"):
        RandomAgent(Box(-np.inf, np.inf, (2,)))
    with pytest.raises(ValueError, match=naming("seed", -1)):
        RandomAgent(SPACE, seed=-1)
    with pytest.raises(TypeError, match="ndarray"):
        NoOpAgent(SPACE).predict(np.zeros(3))
    with pytest.raises(ValueError, match=naming("pixels", "image")):
        NoOpAgent(SPACE).predict({"image": np.zeros(3)})
