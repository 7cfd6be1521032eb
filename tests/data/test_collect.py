"""Collecting: what is recorded, and that an episode is a function of its number and the seed alone."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from naming import naming

import wmcontrol  # noqa: F401
from wmcontrol.data import Trajectory
from wmcontrol.data.collecting import View, collect_batches

PUSHT, WALL, MAZE = "wmcontrol/PushT-v0", "wmcontrol/Wall-v0", "wmcontrol/PointMaze_UMaze-v0"


class Wild:
    """Random actions, also out of bounds, for as long as is drawn; remembers what it has seen."""

    def __init__(self, rng: np.random.Generator, num_frames: tuple[int, int], options: Mapping[str, Any]):
        self.num_frames = int(rng.integers(*num_frames, endpoint=True))
        self.options = options
        self.views: list[View] = []
        self._rng = rng

    def act(self, view: View) -> np.ndarray:
        self.views.append(view)
        return self._rng.normal(0, 1.5, 2)


class Wilds:
    def __init__(
        self,
        num_frames: tuple[int, int] = (5, 20),
        options: Mapping[str, Any] | None = None,
        env_settings: Mapping[str, Any] | None = None,
    ):
        self.num_frames, self.options, self.env_settings = num_frames, options or {}, env_settings or {}
        self.scripts: list[Wild] = []

    def script(self, rng: np.random.Generator) -> Wild:
        self.scripts.append(Wild(rng, self.num_frames, self.options))
        return self.scripts[-1]


def gathered(env_id: str, num_episodes: int, behaviour: Any = None, **settings: Any) -> list[Trajectory]:
    lists = collect_batches(env_id, behaviour or Wilds(), num_episodes, **{"seed": 3, **settings})
    return [trajectory for some in lists for trajectory in some]


def same(a: Trajectory, b: Trajectory) -> bool:
    assert a.states is not None
    assert a.actions is not None
    return (
        str(a.provenance) == str(b.provenance)
        and np.array_equal(a.times, b.times)
        and np.array_equal(a.states, b.states)
        and np.array_equal(a.actions, b.actions)
        and a.variation.keys() == b.variation.keys()
        and all(np.array_equal(a.variation[name], b.variation[name]) for name in a.variation)
    )


@pytest.mark.parametrize(
    ("env_id", "settings"),
    [
        (PUSHT, {}),
        (PUSHT, {"variation": "all"}),
        (WALL, {"layout": "random"}),
        (MAZE, {}),
        (MAZE, {"variation": "all"}),
    ],
)
def test_episodes_do_not_depend_on_how_many_run_side_by_side(env_id: str, settings: dict) -> None:
    one, seven, many = (gathered(env_id, 20, batch=batch, env_settings=settings) for batch in (1, 7, 64))
    assert len(one) == len(seven) == len(many) == 20
    assert all(map(same, one, seven))
    assert all(map(same, one, many))


def test_collecting_goes_on_where_it_was_stopped() -> None:
    whole = gathered(PUSHT, 12, batch=5)
    first: list[Trajectory] = []
    for some in collect_batches(PUSHT, Wilds(), 12, seed=3, batch=5):
        first += some
        if len(first) >= 4:
            break
    rest = gathered(PUSHT, 12, batch=3, start=len(first))
    assert len(first) + len(rest) == 12
    assert all(map(same, [*first, *rest], whole))
    assert gathered(PUSHT, 12, start=12) == []


def test_the_first_episodes_do_not_depend_on_how_many_are_asked_for_but_on_the_seed() -> None:
    assert all(map(same, gathered(WALL, 3), gathered(WALL, 9)))
    assert not any(map(same, gathered(WALL, 3), gathered(WALL, 3, seed=4)))


def test_episodes_come_in_order_and_each_is_another() -> None:
    trajectories = gathered(WALL, 30, batch=8)
    assert [t.provenance.record for t in trajectories] == [f"episode_{i}" for i in range(30)]
    assert {(t.provenance.layout, t.provenance.path) for t in trajectories} == {("collected", Path(WALL))}
    assert len({t.states[0].tobytes() for t in trajectories}) == 30
    assert {len(t) for t in trajectories} <= set(range(5, 21))
    assert len({len(t) for t in trajectories}) > 5


@pytest.mark.parametrize(("env_id", "rate"), [(PUSHT, 10), (WALL, 10), (MAZE, 20)])
def test_recorded_actions_are_those_that_were_applied_and_lead_through_the_states(env_id: str, rate: int) -> None:
    env: Any = gym.make(env_id, obs_type="state", terminate_on_success=False)
    for trajectory in gathered(env_id, 3):
        assert trajectory.frames is None
        assert np.allclose(trajectory.times, np.arange(len(trajectory)) / rate)
        assert np.abs(trajectory.actions).max() == 1, "the wild policy goes out of bounds"
        assert np.array_equal(trajectory.actions, trajectory.actions.astype(np.float32))
        _, info = env.reset(seed=0, options={"state": trajectory.states[0]})
        for state, action in zip(trajectory.states[1:], trajectory.actions, strict=True):
            *_, info = env.step(action.astype(np.float32))
            assert np.allclose(env.unwrapped.get_state(), state, atol=1e-9)
        assert info["clipped"] == 0
    env.close()


def test_scripts_see_the_state_before_each_action() -> None:
    behaviour = Wilds()
    trajectory = gathered(WALL, 1, behaviour, env_settings={"layout": "random"})[0]
    views = behaviour.scripts[0].views
    assert np.array_equal([view.state for view in views], trajectory.states[:-1])
    layout = [float(views[0].variation[name][0]) for name in ("wall_position", "door_position")]
    for view in views:
        assert np.array_equal(view.observation["observation"], [*view.state, *layout])


def test_scripts_say_where_an_episode_starts() -> None:
    for trajectory in gathered(MAZE, 3, Wilds(options={"state": [0.8, 0.9, 1.0, -1.0]})):
        assert trajectory.states[0].tolist() == [0.8, 0.9, 1.0, -1.0]


def test_what_varies_is_recorded_and_nothing_else() -> None:
    assert all(t.variation == {} for t in gathered(WALL, 3))
    layouts = [t.variation for t in gathered(WALL, 3, env_settings={"layout": "random"})]
    assert len({float(v["wall_position"][0]) for v in layouts}) == 3
    env: Any = gym.make(WALL, obs_type="state")
    assert all(v.keys() == env.unwrapped.variations.keys() for v in layouts)
    env.close()
    sizes = [t.variation["agent_size"][0] for t in gathered(MAZE, 3, env_settings={"variation": ["agent_size"]})]
    assert len(set(sizes)) == 3
    asked = Wilds(options={"variation": {"agent_size": 1.5}})
    assert [t.variation["agent_size"][0] for t in gathered(MAZE, 2, asked)] == [1.5, 1.5]


def test_an_episode_goes_on_beyond_its_goal_and_beyond_the_usual_length() -> None:
    goal = {"state": [20.0, 20.0], "goal_state": [20.0, 21.0]}
    trajectory = gathered(WALL, 1, Wilds((400, 400), options=goal))[0]
    assert len(trajectory) == 400


def test_a_policy_gets_the_environment_that_it_needs() -> None:
    behaviour = Wilds(env_settings={"obs_type": "pixels_state", "image_size": 32})
    gathered(WALL, 1, behaviour)
    assert behaviour.scripts[0].views[0].observation["pixels"].shape == (32, 32, 3)
    with pytest.raises(ValueError, match=naming("image_size", 32, 64)):
        gathered(WALL, 1, behaviour, env_settings={"image_size": 64})


def test_progress_is_told() -> None:
    told: list[tuple[int, int]] = []
    gathered(WALL, 6, Wilds((5, 5)), batch=2, start=2, progress=lambda *done: told.append(done))
    assert told == [(4, 6), (6, 6)]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"num_episodes": 0}, naming("num_episodes", 0)),
        ({"num_episodes": 2.5}, "num_episodes"),
        ({"batch": 0}, naming("batch", 0)),
        ({"start": 6}, naming("start", "num_episodes", 5, 6)),
        ({"start": -1}, "start"),
        ({"seed": -1}, naming("seed", -1)),
        ({"env_settings": {"max_episode_steps": 5}}, "max_episode_steps is the collector's"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_made(wrong: dict, message: str) -> None:
    arguments = {"num_episodes": 5, "seed": 0, **wrong}
    with pytest.raises(ValueError, match=message):
        collect_batches(WALL, Wilds(), arguments.pop("num_episodes"), **arguments)  # not even iterated


def test_an_episode_without_an_action_is_refused() -> None:
    with pytest.raises(ValueError, match=naming("episode 0", 2, 1)):
        gathered(WALL, 1, Wilds((1, 1)))


def test_an_action_that_is_not_a_number_is_refused() -> None:
    class Broken(Wild):
        def act(self, view: View) -> np.ndarray:
            return np.full(2, np.nan)

    class Brokens(Wilds):
        def script(self, rng: np.random.Generator) -> Wild:
            return Broken(rng, (5, 5), {})

    with pytest.raises(ValueError, match="action"):
        gathered(PUSHT, 2, Brokens())


def test_other_environments_are_refused_by_what_they_lack() -> None:
    with pytest.raises(ValueError, match="CartPole-v1"):
        gathered("CartPole-v1", 1)
    with pytest.raises(ValueError, match="'colour'"):
        gathered(WALL, 1, env_settings={"colour": "red"})
