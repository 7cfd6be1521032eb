"""Impossible states and unknown options are refused by name, and change nothing."""

import gymnasium as gym
import numpy as np
import pytest
from naming import naming

import wmcontrol

BAD = [
    # environment, bad state, what the message must say
    ("wmcontrol/PushT-v0", [np.nan, 0, 256, 256, 0], naming("agent x", "nan")),
    ("wmcontrol/PushT-v0", [256, 256, 256, 256], naming((7,), (5,))),
    ("wmcontrol/PushT-v0", [600, 256, 256, 256, 0], naming("agent x", -20, 532)),
    ("wmcontrol/PushT-v0", [256, 256, 256, 600, 0], naming("block", 0, 512)),
    ("wmcontrol/PushT-v0", [256, 256, 1e6, 256, 0], naming("block x", -192, 704)),
    ("wmcontrol/PushT-v0", [256, 256, 256, 256, 0, 1e5, 0], naming("agent velocity x")),
    ("wmcontrol/Wall-v0", [32, 50], naming("y", 26, 34)),
    ("wmcontrol/Wall-v0", [2, 30], naming("x", 4, 60)),
    ("wmcontrol/Wall-v0", [10, np.nan], naming("y", 4, 60)),
    ("wmcontrol/Wall-v0", [10, 10, 10], r"shape \(2,\)"),
    ("wmcontrol/Wall-v0", "left", "array"),
    ("wmcontrol/PointMaze_UMaze-v0", [1.8, 0.8], "wall"),
    ("wmcontrol/PointMaze_UMaze-v0", [9, 1], naming("x", 0, 5)),
    ("wmcontrol/PointMaze_UMaze-v0", [1, 1, 99, 0], "velocity x"),
    ("wmcontrol/PointMaze_UMaze-v0", [1, 1, np.inf, 0], "velocity x"),
    ("wmcontrol/PointMaze_UMaze-v0", [1, 1, 0], naming((4,), (2,))),
    ("wmcontrol/PointMaze_Large-v0", [3.8, 1.8], "wall"),
]


@pytest.mark.parametrize("key", ["state", "goal_state"])
@pytest.mark.parametrize(("env_id", "state", "says"), BAD)
def test_impossible_states_are_refused(env_id: str, state: object, says: str, key: str) -> None:
    env = gym.make(env_id)
    before, _ = env.reset(seed=0)
    where = env.unwrapped.get_state()
    with pytest.raises(ValueError, match=says) as error:
        env.reset(options={key: state, "variation": ["agent_color", "distractors"]})
    assert key in str(error.value)
    np.testing.assert_array_equal(env.unwrapped.get_state(), where)
    # The episode goes on as if nothing had been asked.
    after, *_ = env.step(np.zeros(2, np.float32))
    np.testing.assert_array_equal(after["goal_pixels"], before["goal_pixels"])


@pytest.mark.parametrize("env_id", wmcontrol.ENV_IDS)
def test_unknown_options_are_refused(env_id: str) -> None:
    env = gym.make(env_id)
    with pytest.raises(ValueError, match=naming("'goal'", "'state'", "'goal_state'", "'variation'")):
        env.reset(options={"goal": [1, 2]})


@pytest.mark.parametrize("env_id", wmcontrol.ENV_IDS)
@pytest.mark.parametrize("state", [[np.nan] * 2, [1e9] * 2, [0.0] * 3, "here"])
def test_set_state_refuses_what_cannot_be(env_id: str, state: object) -> None:
    env = gym.make(env_id).unwrapped
    env.reset(seed=0)
    with pytest.raises(ValueError, match="state"):
        env.set_state(state)


def test_a_state_that_was_reached_is_accepted_as_a_start() -> None:
    """Also where a ball is pressed into a wall, or an agent overshoots the field."""
    for env_id in wmcontrol.ENV_IDS:
        env = gym.make(env_id, obs_type="state", terminate_on_success=False)
        env.reset(seed=0)
        rng = np.random.default_rng(0)
        for step in range(300):
            if step % 15 == 0:
                action = rng.choice([-1.0, 1.0, 0.0], 2).astype(np.float32)
            env.step(action)
            state = env.unwrapped.get_state()
            other = gym.make(env_id, obs_type="state")
            if step % 10 == 0:
                other.reset(options={"state": state})
