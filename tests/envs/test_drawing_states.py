"""Drawing states that are not the world's own: what pixels would be, and nothing moves."""

import gymnasium as gym
import numpy as np
import pytest
from foreign_envs import BALL

import wmcontrol

ALL = pytest.mark.parametrize("env_id", [*wmcontrol.ENV_IDS, BALL])


@ALL
@pytest.mark.parametrize("variation", [None, "all"])
def test_drawn_states_equal_the_pixels_of_an_episode(env_id: str, variation: str | None) -> None:
    env = gym.make(env_id, image_size=48)
    observation, _ = env.reset(seed=3, options={"variation": variation})
    states, pixels = [env.unwrapped.get_state()], [observation["pixels"]]
    env.action_space.seed(0)
    for _ in range(15):
        observation, *_ = env.step(env.action_space.sample())
        states.append(env.unwrapped.get_state())
        pixels.append(observation["pixels"])
    assert len({frame.tobytes() for frame in pixels}) > 1
    np.testing.assert_array_equal(env.unwrapped.draw(np.array(states)), pixels)
    np.testing.assert_array_equal(env.unwrapped.draw(np.array(states[4:5])), pixels[4:5])


@ALL
def test_drawing_moves_nothing(env_id: str) -> None:
    def episode(draw: bool) -> list[np.ndarray]:
        env = gym.make(env_id, obs_type="pixels_state")
        first, _ = env.reset(seed=0)
        env.action_space.seed(0)
        seen = [first["pixels"], first["goal_pixels"]]
        start = env.unwrapped.get_state()
        for _ in range(5):
            if draw:
                env.unwrapped.draw(np.stack([start, start]))
            observation, *_ = env.step(env.action_space.sample())
            seen += [observation["pixels"], observation["goal_pixels"], env.unwrapped.get_state()]
        return seen

    for drawn, undisturbed in zip(episode(True), episode(False), strict=True):
        np.testing.assert_array_equal(drawn, undisturbed)


@ALL
def test_no_states_are_no_frames(env_id: str) -> None:
    env = gym.make(env_id, image_size=32).unwrapped
    env.reset(seed=0)
    frames = env.draw(np.zeros((0, len(env.get_state()))))
    assert frames.shape == (0, 32, 32, 3)
    assert frames.dtype == np.uint8


@ALL
def test_what_is_no_state_is_refused(env_id: str) -> None:
    env = gym.make(env_id).unwrapped
    with pytest.raises(RuntimeError, match="call reset"):
        env.draw(np.zeros((1, 2)))
    env.reset(seed=0)
    state = env.get_state()
    for wrong in (state, np.append(state, 0)[None], state[None, :-1], np.stack([[state]])):
        with pytest.raises(ValueError, match=rf"\(R, {len(state)}\)"):
            env.draw(wrong)
    with pytest.raises(ValueError, match=r"states\[1\] is not finite"):
        env.draw(np.stack([state, np.full_like(state, np.nan)]))
    with pytest.raises(ValueError, match="states"):
        env.draw(np.full((1, len(state)), "a"))


@pytest.mark.parametrize("env_id", wmcontrol.ENV_IDS)
def test_places_are_where_things_are_in_frames(env_id: str) -> None:
    env = gym.make(env_id, image_size=128).unwrapped
    env.reset(seed=0, options={"variation": {"camera_offset": [0.1, -0.05]}})
    env.action_space.seed(0)
    states = [env.get_state()]
    for _ in range(30):
        env.step(env.action_space.sample())
    states.append(env.get_state())
    one, two = env.draw(np.array(states)).astype(int)
    places = env.places(np.array(states), 128)
    assert places.shape == (2, 2 if "PushT" in env_id else 1, 2)
    change = np.abs(one - two).sum(-1)
    for column, row in np.rint(places[:, 0]).astype(int):
        assert change[row, column] > 0.5 * change.max()
    np.testing.assert_allclose(env.places(np.array(states), 256) + 0.5, 2 * (places + 0.5))


def test_environments_that_draw_themselves_name_no_places() -> None:
    env = gym.make(BALL).unwrapped
    env.reset(seed=0)
    assert env.places(env.get_state()[None], 64).shape == (1, 0, 2)
