"""Environments of somebody else as ones with goals; what holds for all environments is in test_contract.py."""

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from foreign_envs import BALL, CAR, HIDDEN, Ball, HiddenBall, get_place, make_ball, make_hidden_ball, near
from naming import naming

from wmcontrol.data import policies
from wmcontrol.data.collecting import collect_batches
from wmcontrol.envs import check_goal_env, register_goal_env
from wmcontrol.envs.making import make_one, make_vector


@pytest.fixture
def register(request: pytest.FixtureRequest) -> Any:
    """Register an environment for one test."""

    def registered(make: Any, **settings: Any) -> str:
        env_id = f"test/{request.node.name.partition('[')[0]}-v0"
        register_goal_env(env_id, make, **{"success": near, **settings})
        request.addfinalizer(lambda: gym.registry.pop(env_id))
        return env_id

    return registered


def made(env_id: str, **settings: Any) -> Any:
    return gym.make(env_id, **settings).unwrapped


def test_what_the_environment_says_of_itself() -> None:
    env = made(BALL)
    assert env.control_rate == 5
    assert env.state_labels == ("x", "y")
    assert made(CAR).state_labels == ("state_0", "state_1")
    assert made(CAR).control_rate == 30


def test_a_rate_may_be_given(register: Any) -> None:
    assert made(register(make_ball, control_rate=12.5)).control_rate == 12.5


def test_frames_are_those_of_the_environment_resized_by_area() -> None:
    env = made(BALL, image_size=16)
    observation, _ = env.reset(seed=0, options={"state": [0, 0], "goal_state": [10, -10]})
    expected = np.zeros((16, 16), np.uint8)
    expected[7:9, 7:9] = 255  # 28 to 36 of 64
    np.testing.assert_array_equal(observation["pixels"], np.repeat(expected[..., None], 3, -1))
    expected = np.zeros((16, 16), np.uint8)
    expected[0:2, 14:16] = 255
    np.testing.assert_array_equal(observation["goal_pixels"], np.repeat(expected[..., None], 3, -1))


def test_frames_are_resized_by_area(register: Any) -> None:
    class Stripe(Ball):
        def render(self) -> Any:
            frame = np.zeros((64, 64, 3), np.uint8)
            frame[:, 5] = 200
            return frame

    observation, _ = made(register(lambda: Stripe("rgb_array")), image_size=16).reset(seed=0)
    np.testing.assert_array_equal(observation["pixels"][3, :3, 0], [0, 50, 0])


def test_what_is_rendered_has_the_goal_over_it() -> None:
    env = made(BALL, render_mode="rgb_array", render_size=64)
    env.reset(options={"state": [0, 0], "goal_state": [10, -10]})
    frame = env.render()
    assert [frame[30, 30, 0], frame[2, 60, 0], frame[60, 2, 0]] == [170, 85, 0]


def test_closing_closes_the_environments(register: Any) -> None:
    closed = []

    class Closing(Ball):
        def close(self) -> None:
            closed.append(self)

    env_id = register(lambda: Closing("rgb_array"))
    made(env_id).close()
    assert len(closed) == 2
    gym.make_vec(env_id, num_envs=3).close()
    assert len(closed) == 6


def test_frames_show_the_state_alone(register: Any) -> None:
    class Trail(Ball):
        def render(self) -> Any:
            frame = super().render()
            frame[0] = 100 if self.steps else 0  # that it has moved is not in the state
            return frame

    env = made(register(lambda: Trail("rgb_array")))
    observation, _ = env.reset(seed=0)
    assert not observation["pixels"][0].any()
    assert not observation["goal_pixels"][0].any()
    assert not env.step([1, 1])[0]["pixels"][0].any()


def test_one_of_many_draws_all_frames(register: Any) -> None:
    drew: set[Any] = set()

    class Drawn(Ball):
        def render(self) -> Any:
            drew.add(self)  # with MuJoCo, each that draws has a renderer of its own
            return super().render()

    envs = make_vector(register(lambda: Drawn("rgb_array")), 3, {})
    envs.reset(seed=0)
    envs.step(np.ones((3, 2), np.float32))
    assert len(drew) == 1


def test_random_numbers_of_the_environment_follow_from_the_seed(register: Any) -> None:
    class Windy(Ball):
        def step(self, action: Any) -> Any:
            return super().step(action + self.np_random.uniform(-1, 1, 2))

    env_id = register(lambda: Windy("rgb_array"))

    def moved(seed: int) -> Any:
        env = made(env_id)
        env.reset(seed=seed, options={"state": [0, 0], "goal_state": [9, 9]})
        return env.step([0, 0])[0]["observation"]

    np.testing.assert_array_equal(moved(1), moved(1))
    assert (moved(1) != moved(2)).all()
    assert any("same actions" in said for said in check_goal_env(env_id))


def test_its_own_end_and_rewards_are_not_read() -> None:
    env = made(BALL)
    env.reset(options={"state": [0, 0], "goal_state": [9, 9]})
    steps = [env.step([1.0, 0.5]) for _ in range(6)]
    assert [(reward, terminated) for _, reward, terminated, *_ in steps] == [(0.0, False)] * 6
    np.testing.assert_array_equal(env.get_state(), [6, 3])


def test_an_episode_begins_with_the_environments_counts_at_zero() -> None:
    env = made(BALL, terminate_on_success=False)  # which raises after 200 steps unless it is reset
    for _ in range(3):
        env.reset(options={"state": [0, 0], "goal_state": [9, 9]})
        for _ in range(100):
            env.step([0.0, 0.0])


def test_a_goal_is_where_random_actions_lead() -> None:
    goals = []
    for seed in range(20):
        observation, info = made(BALL).reset(seed=seed)
        away = np.abs(observation["desired_goal"] - observation["achieved_goal"])
        assert not info["is_success"]
        assert away.max() <= 15  # 50 steps, or the walls
        goals.append(away.max())
    assert np.mean(goals) > 6  # 50 single actions lead 4 away, 10 that last for 5 lead 9, less at walls


@pytest.mark.parametrize(
    ("goal", "expected"), [([3, 4], [3, 4]), (lambda rng, start: start + 2, None)], ids=["fixed", "function"]
)
def test_a_goal_may_be_given(register: Any, goal: Any, expected: Any) -> None:
    observation, _ = made(register(make_ball, goal=goal)).reset(seed=0)
    expected = observation["achieved_goal"] + 2 if expected is None else expected
    np.testing.assert_array_equal(observation["desired_goal"], expected)


def test_a_way_to_the_state_may_be_given(register: Any) -> None:
    class Hidden(Ball):
        get_state = set_state = None  # type: ignore[assignment]

    def put(env: Hidden, state: Any) -> None:
        env.place = state / 2

    env_id = register(lambda: Hidden("rgb_array"), state=(lambda env: env.place * 2, put))
    env = made(env_id)
    env.reset(options={"state": [4, 6], "goal_state": [0, 0]})
    np.testing.assert_array_equal(env.step([1, 0])[0]["observation"], [6, 6])
    assert check_goal_env(env_id) == []


class _Stateless(Ball):
    get_state = set_state = None  # type: ignore[assignment]


class _Talking(Ball):
    action_space = gym.spaces.Text(3)  # type: ignore[assignment]


class _Rateless(Ball):
    metadata = {"render_modes": ["rgb_array"]}  # noqa: RUF012


class _Grey(Ball):
    def render(self) -> Any:
        return super().render()[..., 0]


@pytest.mark.parametrize(
    ("make", "settings", "facts"),
    [
        (Ball, {}, ("rgb_array", "None")),
        (lambda: 5, {}, ("gymnasium.Env", "5")),
        (lambda: _Stateless("rgb_array"), {}, ("_Stateless", "state=(get, set)")),
        (lambda: _Talking("rgb_array"), {}, ("Text(1, 3",)),
        (lambda: _Rateless("rgb_array"), {}, ("control_rate", "Hz")),
        (lambda: _Grey("rgb_array"), {}, ("render()", "(64, 64)")),
        (make_ball, {"state_labels": ("x",)}, ("state_labels", "2", "1")),
        (make_ball, {"goal": [1, 2, 3]}, ("goal", "2", "(3,)")),
        (make_ball, {"goal": "far"}, ("goal", "far")),
        (make_ball, {"success": lambda s, g: 0.5}, ("success", "float64")),
        (make_ball, {"success": lambda s, g: bool(abs(s[0] - g[0]) < 0.1)}, ("success", "ValueError", "(1, 2)")),
        (make_ball, {"goal": lambda: 3}, ("goal", "TypeError", "(2,)")),
        (make_ball, {"success": lambda s, g: np.abs(s - g).max(-1)}, ("success", "float64")),
        (make_ball, {"success": lambda s, g: np.array([True, False])}, ("success", "(2,)")),
        (make_ball, {"state": (lambda env: np.zeros((2, 2)), None)}, ("(2, 2)",)),
        (make_ball, {"state": lambda env: np.zeros((2, 2)), "max_episode_steps": 9}, ("(2, 2)",)),
    ],
)
def test_what_cannot_be_is_told(register: Any, make: Any, settings: Any, facts: tuple[str, ...]) -> None:
    env_id = register(make, **settings)
    with pytest.raises((ValueError, TypeError), match=naming(*facts)):
        made(env_id).reset(seed=0)


def test_frames_do_not_show_what_was_drawn_for_a_start(register: Any) -> None:
    class Shaded(Ball):
        def reset(self, **asked: Any) -> Any:
            found = super().reset(**asked)
            self.shade = int(self.np_random.integers(1, 200))  # which is not in the state
            return found

        def render(self) -> Any:
            frame = super().render()
            frame[0] = self.shade
            return frame

    env = made(register(lambda: Shaded("rgb_array"), goal=[9, 9]))
    shades = {int(env.reset(seed=seed)[0]["pixels"][0, 0, 0]) for seed in range(5)}
    assert len(shades) == 1


def broken_vector(**_: Any) -> Any:
    raise RuntimeError("no licence")


def test_what_an_environment_of_somebody_else_raises_is_told_of_it() -> None:
    if "Broken-v0" not in gym.registry:
        gym.register("Broken-v0", entry_point=broken_vector, vector_entry_point=broken_vector)
    for make_it in (make_one, lambda env_id, asked: make_vector(env_id, 1, asked)):
        with pytest.raises(ValueError, match=naming("Broken-v0", "no licence")):
            make_it("Broken-v0", {})


@pytest.mark.parametrize("name", ["make", "success", "goal", "state"])
def test_settings_replace_nothing_of_what_was_registered(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of data may say settings, and no module is to be imported because a file says so."""
    (tmp_path / "harm.py").write_text(f"open({str(tmp_path / 'done')!r}, 'w')")
    monkeypatch.syspath_prepend(tmp_path)
    for make_it in (make_one, lambda env_id, asked: make_vector(env_id, 1, asked)):
        with pytest.raises(ValueError, match=naming(BALL, name)):
            make_it(BALL, {name: "harm:Harm-v0"})
    assert not (tmp_path / "done").exists()


def test_a_state_that_is_replayed_holds_the_way_to_it() -> None:
    env = made(HIDDEN)
    env.reset(seed=3)
    begun = env.get_state()
    env.step([0.5, 1])
    observation = env.step([-1, 0.25])[0]
    state = env.get_state()
    np.testing.assert_array_equal(state[:2], observation["observation"])
    np.testing.assert_array_equal(state[2:10], [begun[2], 2, 0.5, 1, -1, 0.25, 0, 0])
    assert state.size == 2 + 2 + 150 * 2
    assert not state[8:].any()
    assert observation["achieved_goal"].shape == observation["desired_goal"].shape == (2,)


def test_what_is_replayed_takes_only_the_steps_that_are_missing(register: Any) -> None:
    taken = []

    class Counted(HiddenBall):
        def step(self, action: Any) -> Any:
            taken.append(action)
            return super().step(action)

    env = made(register(lambda: Counted("rgb_array"), state=get_place, max_episode_steps=60))
    env.reset(seed=0)
    shown = [(env.step([1, 0])[0]["pixels"], env.get_state()) for _ in range(10)]
    env.reset(seed=1)
    taken.clear()
    frames = env.draw(np.stack([state for _, state in shown]))
    assert len(taken) == 10
    np.testing.assert_array_equal(frames, [frame for frame, _ in shown])
    env.draw(shown[4][1][None])
    assert len(taken) == 15  # back to an earlier one from the start


def test_a_replay_that_ends_elsewhere_is_an_error(register: Any) -> None:
    env_id = register(lambda: _Unseeded("rgb_array"), state=get_place, max_episode_steps=50)
    with pytest.raises(ValueError, match=naming("_Unseeded", "0 recorded actions")):
        made(env_id).reset(seed=0)
    assert any("_Unseeded" in said for said in check_goal_env(env_id))


def test_rows_without_an_episode_need_no_more_room_than_one_takes(register: Any) -> None:
    env_id = register(make_hidden_ball, state=get_place, max_episode_steps=50)
    acting = policies.random(env_id, num_frames=45)
    found = [t for some in collect_batches(env_id, acting, 3, seed=0, batch=2) for t in some]
    alone = [t for some in collect_batches(env_id, acting, 3, seed=0, batch=1) for t in some]
    for one, other in zip(found, alone, strict=True):
        np.testing.assert_array_equal(one.states, other.states)


def test_an_episode_for_which_a_state_has_no_room_is_an_error(register: Any) -> None:
    env = made(register(make_hidden_ball, state=get_place, max_episode_steps=50), obs_type="state")
    env.reset(seed=0)
    for _ in range(50):
        env.step([1, 0])
    with pytest.raises(ValueError, match=naming("50", "51", "max_episode_steps")):
        env.step([1, 0])


@pytest.mark.parametrize(
    ("settings", "facts"),
    [({}, ("max_episode_steps",)), ({"max_episode_steps": 9, "goal": [1, 1]}, ("goal", "state=get"))],
)
def test_what_a_replay_needs_is_told(register: Any, settings: dict[str, Any], facts: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=naming(*facts)):
        register_goal_env("test/Never-v0", make_ball, success=near, state=get_place, **settings)
    assert "test/Never-v0" not in gym.registry


def test_an_id_is_registered_once() -> None:
    with pytest.raises(ValueError, match=BALL):
        register_goal_env(BALL, make_ball, success=near)


@pytest.mark.parametrize("env_id", [BALL, CAR, HIDDEN, "Pendulum"])
def test_the_check_has_no_complaint(env_id: str, register: Any) -> None:
    if env_id == "Pendulum":
        env_id = register("Pendulum-v1", goal=[0, 0])
    assert check_goal_env(env_id) == []


class _NotInverse(Ball):
    def set_state(self, state: Any) -> None:
        self.place = state + 0.5


class _Forgetful(Ball):
    """Its push grows from step to step, and is not in the state."""

    def reset(self, **asked: Any) -> Any:
        self.push = 0.1
        return super().reset(**asked)

    def step(self, action: Any) -> Any:
        self.push += 0.1
        return super().step(action * self.push)

    def set_state(self, state: Any) -> None:
        self.place, self.push = state, 0.2


class _Still(Ball):
    def step(self, action: Any) -> Any:
        return super().step(action * 0)


class _Unseeded(Ball):
    def reset(self, **asked: Any) -> Any:
        super().reset(**asked)
        self.place = np.random.default_rng().uniform(-5, 5, 2)
        return self.place, {}


class _Marked(Ball):
    """Its frames show a mark that is elsewhere in each instance."""

    count = 0

    def __init__(self, render_mode: str | None = None):
        super().__init__(render_mode)
        _Marked.count += 1
        self.mark = 10 * (_Marked.count % 2)

    def render(self) -> Any:
        frame = super().render()
        frame[self.mark : self.mark + 3] = 200
        return frame


class _Dark(Ball):
    """Its frames show nothing of where it is."""

    def render(self) -> Any:
        return np.full_like(super().render(), 90)


@pytest.mark.parametrize(
    ("kind", "settings", "fact"),
    [
        (_Dark, {}, "the same picture"),
        (_NotInverse, {}, "inverse"),
        (_Forgetful, {}, "same actions"),
        (_Still, {"goal": [1, 1]}, "20 random steps"),
        (_Unseeded, {}, "np_random"),
        (_Marked, {}, "not in the state"),
        (Ball, {"success": lambda s, g: np.abs(s - g).max(-1) > 0.1}, "no episode"),
        (Ball, {"success": lambda s, g: np.zeros(s.shape[:-1], bool)}, "in the very goal"),
    ],
)
def test_the_check_names_what_does_not_hold(register: Any, kind: Any, settings: Any, fact: str) -> None:
    found = check_goal_env(register(lambda: kind("rgb_array"), **settings))
    assert any(fact in said for said in found), found
