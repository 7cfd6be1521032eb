"""Variations: listed with ranges, drawn by seed, off by default."""

import gymnasium as gym
import numpy as np
import pytest
from naming import naming

import wmcontrol

ALL = pytest.mark.parametrize("env_id", wmcontrol.ENV_IDS)
EVERYWHERE = {
    "background_color",
    "agent_color",
    "wall_color",
    "goal_color",
    "agent_size",
    "camera_offset",
    "distractors",
}
ASKED_FOR = {
    "wmcontrol/PushT-v0": EVERYWHERE | {"block_color", "block_size", "friction"},
    "wmcontrol/Wall-v0": EVERYWHERE | {"wall_position", "door_position"},
    "wmcontrol/PointMaze_UMaze-v0": EVERYWHERE | {"friction"},
}


def each_variation() -> list[tuple[str, str]]:
    return [(i, name) for i in ASKED_FOR for name in gym.make(i).unwrapped.variations]


@pytest.mark.parametrize("env_id", ASKED_FOR)
def test_environments_list_what_varies(env_id: str) -> None:
    variations = gym.make(env_id).unwrapped.variations
    assert set(variations) == ASKED_FOR[env_id]
    for variation in variations.values():
        assert np.all(variation.low <= variation.default)
        assert np.all(variation.default <= variation.high)
        assert variation.unit


@ALL
def test_off_by_default_and_off_again_after_a_varied_episode(env_id: str) -> None:
    env = gym.make(env_id)
    plain, _ = env.reset(seed=0)
    for name, value in env.unwrapped.variation.items():
        np.testing.assert_array_equal(value, env.unwrapped.variations[name].default)
    varied, _ = env.reset(seed=0, options={"variation": "all"})
    assert np.any(varied["pixels"] != plain["pixels"])
    again, _ = env.reset(seed=0)
    np.testing.assert_array_equal(again["pixels"], plain["pixels"])


@ALL
def test_drawn_by_seed_within_the_ranges(env_id: str) -> None:
    env, twin = gym.make(env_id), gym.make(env_id)
    values = []
    for seed in range(20):
        first, _ = env.reset(seed=seed, options={"variation": "all"})
        second, _ = twin.reset(seed=seed, options={"variation": "all"})
        np.testing.assert_array_equal(first["pixels"], second["pixels"])
        drawn = env.unwrapped.variation
        for name, variation in env.unwrapped.variations.items():
            assert np.all((variation.low <= drawn[name]) & (drawn[name] <= variation.high))
        values.append(np.concatenate(list(drawn.values())))
    spread = np.ptp(values, axis=0)
    assert np.all(spread > 0)


@pytest.mark.parametrize(("env_id", "name"), each_variation())
def test_each_variation_can_be_set_and_changes_the_picture_or_the_physics(env_id: str, name: str) -> None:
    env = gym.make(env_id, render_mode="rgb_array", render_size=128, image_size=128)
    variation = env.unwrapped.variations[name]
    pictures = []
    for value in (variation.low, variation.high):
        env.reset(seed=0)
        state, goal = env.unwrapped.get_state(), env.reset(seed=1)[0]["desired_goal"]
        options = {"variation": {name: value.tolist()}}
        if "position" not in name:  # the wall may come to stand where the ball is
            options |= {"state": state, "goal_state": goal}
        env.reset(seed=0, options=options)
        np.testing.assert_array_equal(env.unwrapped.variation[name], value)
        if name == "friction":
            pictures.append(_where_a_push_leads(env))
        else:
            pictures.append(env.render())
    assert np.any(pictures[0] != pictures[1])


def _where_a_push_leads(env: gym.Env) -> np.ndarray:
    if "PushT" in env.spec.id:  # off-centre, so that a frictional contact turns the block otherwise
        env.reset(
            options={"state": [200, 200, 256, 256, 0.3], "variation": {"friction": env.unwrapped.variation["friction"]}}
        )
    for _ in range(25):
        env.step(np.float32([0.4, 0.5]))
    return env.unwrapped.get_state()


@ALL
def test_a_name_alone_or_a_value_or_random(env_id: str) -> None:
    env = gym.make(env_id)
    for asked in ("agent_color", ["agent_color"], {"agent_color": "random"}):
        env.reset(seed=0, options={"variation": asked})
        drawn = env.unwrapped.variation
        assert np.any(drawn["agent_color"] != env.unwrapped.variations["agent_color"].default)
        np.testing.assert_array_equal(drawn["agent_size"], [1])
    env.reset(seed=0, options={"variation": {"agent_color": [1, 2, 3]}})
    np.testing.assert_array_equal(env.unwrapped.variation["agent_color"], [1, 2, 3])


@ALL
@pytest.mark.parametrize(
    ("asked", "error", "says"),
    [
        ({"agent_colour": [1, 2, 3]}, ValueError, naming("'agent_colour'", "'agent_color'")),
        (["speed"], ValueError, "speed"),
        ({"agent_color": [300, 0, 0]}, ValueError, naming("agent_color", [0.0, 0.0, 0.0], [255.0, 255.0, 255.0])),
        ({"agent_color": 3}, ValueError, naming("agent_color", 3)),
        ({"agent_size": "big"}, ValueError, "agent_size"),
        ({"agent_size": np.nan}, ValueError, "agent_size"),
        ({"agent_size": 0}, ValueError, "agent_size"),
        (7, TypeError, "all"),
    ],
)
def test_bad_requests_are_refused(env_id: str, asked: object, error: type, says: str) -> None:
    env = gym.make(env_id)
    with pytest.raises(error, match=says):
        env.reset(options={"variation": asked})


def test_distractors_are_whole_numbers() -> None:
    env = gym.make("wmcontrol/Wall-v0")
    with pytest.raises(ValueError, match="distractors"):
        env.reset(options={"variation": {"distractors": 1.5}})


def test_pixels_change_but_physics_does_not_when_only_looks_vary() -> None:
    for env_id in wmcontrol.ENV_IDS:
        plain, varied = gym.make(env_id, image_size=32), gym.make(env_id, image_size=32)
        plain.reset(seed=0)
        state, goal = plain.unwrapped.get_state(), plain.reset(seed=1)[0]["desired_goal"]
        looks = [n for n in plain.unwrapped.variations if "color" in n or n in ("camera_offset", "distractors")]
        plain.reset(options={"state": state, "goal_state": goal})
        varied.reset(options={"state": state, "goal_state": goal, "variation": looks})
        plain.action_space.seed(0)
        for _ in range(30):
            action = plain.action_space.sample()
            a, b = plain.step(action)[0], varied.step(action)[0]
            np.testing.assert_array_equal(a["observation"], b["observation"])
            assert np.any(a["pixels"] != b["pixels"])
