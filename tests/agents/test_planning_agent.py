"""The agent that plans, with a world model in closed form."""

from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from dot_world import FRAMESKIP, dot_model, starts_and_goals
from naming import naming

import wmcontrol
from wmcontrol import CEM, GoalDistance, PlanningAgent, WorldModel
from wmcontrol.models import ActionConditioned, Predictor

FAST = CEM(num_samples=64, num_elites=8, num_iterations=5)


def agent_of(**settings: Any) -> PlanningAgent:
    return PlanningAgent(dot_model(), settings.pop("planner", FAST), GoalDistance(), **settings)


def environments(count: int, **settings: Any) -> tuple[Any, dict[str, np.ndarray]]:
    env = gym.make_vec("wmcontrol/Wall-v0", num_envs=count, terminate_on_success=False, **settings)
    starts, goals = starts_and_goals(count)
    observation, _ = env.reset(seed=0, options={"state": starts, "goal_state": goals})
    return env, observation


def row(observation: dict[str, np.ndarray], i: int) -> dict[str, np.ndarray]:
    return {key: value[i] for key, value in observation.items()}


def run(agent: PlanningAgent, env: Any, observation: Any, steps: int, state: Any = None) -> tuple[Any, Any, Any, Any]:
    actions = []
    for _ in range(steps):
        action, state = agent.predict(observation, state)
        observation, _, _, _, info = env.step(action)
        actions.append(action)
    return np.stack(actions), observation, state, info


def test_reaches_goals_in_a_batch() -> None:
    env, observation = environments(6)
    actions, _, state, info = run(agent_of(), env, observation, 25)
    assert info["is_success"].all()
    assert actions.dtype == np.float32
    assert actions.shape == (25, 6, 2)
    assert (np.abs(actions) <= 1).all()
    assert state.decisions == (1,) * 6


def test_replanning_in_each_model_step_reaches_goals_too() -> None:
    env, observation = environments(6)
    agent, state, reached = agent_of(replan_every=5), None, np.zeros(6, bool)
    for _ in range(50):
        _, observation, state, info = run(agent, env, observation, 1, state)
        reached |= info["is_success"]
    assert reached.all()
    assert state.decisions == (10,) * 6


def test_reaches_the_goal_of_one_environment_as_in_the_readme() -> None:
    env = gym.make("wmcontrol/Wall-v0")
    starts, goals = starts_and_goals(1)
    observation, _ = env.reset(seed=0, options={"state": starts[0], "goal_state": goals[0]})
    agent, state, done = agent_of(), None, False
    for _ in range(25):
        action, state = agent.predict(observation, state)
        assert action.shape == (2,)
        assert env.action_space.contains(action)
        observation, _, done, _, _ = env.step(action)
        if done:
            return
    pytest.fail("the goal was not reached")


def test_a_row_is_planned_for_as_if_it_were_alone() -> None:
    _, observation = environments(4)
    agent = agent_of()
    together, _ = agent.predict(observation)
    for i in range(4):
        alone, _ = agent.predict(row(observation, i), agent.start([i]))
        np.testing.assert_allclose(alone, together[i], atol=1e-6)
    other, _ = agent.predict(row(observation, 0), agent.start([7]))
    assert not np.allclose(other, together[0])


def test_the_same_call_gives_the_same_answer_and_nothing_is_hidden() -> None:
    env, observation = environments(3)
    agent = agent_of(replan_every=5)
    first, seen, state, _ = run(agent, env, observation, 5)
    env, observation = environments(3)
    again, _, _, _ = run(agent_of(replan_every=5), env, observation, 5)
    np.testing.assert_array_equal(first, again)
    one, next_state = agent.predict(seen, state)  # plans anew
    agent.predict(seen, next_state)
    two, _ = agent.predict(seen, state)
    np.testing.assert_array_equal(one, two)
    other, _ = replace(agent, seed=1).predict(observation)
    assert not np.allclose(other, first[0])


def test_plans_only_when_the_queue_is_empty_and_rows_out_of_phase_on_their_own() -> None:
    env, observation = environments(2)
    agent, state = agent_of(replan_every=10), None
    made = []
    for step in range(12):
        start = np.array([False, step == 4])
        action, state = agent.predict(observation, state, episode_start=start)
        observation, *_ = env.step(action)
        made.append(state.decisions)
    assert [m[0] for m in made] == [1] * 10 + [2] * 2
    assert [m[1] for m in made] == [1] * 4 + [2] * 8


def test_a_new_goal_in_mid_episode_is_planned_for_at_once() -> None:
    env, observation = environments(2)
    agent = agent_of(replan_every=25)
    _, observation, state, _ = run(agent, env, observation, 7)
    goals = observation["goal_pixels"].copy()
    goals[1] = goals[0]
    _, after = agent.predict({**observation, "goal_pixels": goals}, state)
    assert after.decisions == (1, 2)
    told = agent.explain(after)
    assert told[0] is not None
    assert told[1] is not None
    assert (told[0].step, told[1].step) == (0, 7)


def test_what_is_left_of_a_plan_starts_the_next_one() -> None:
    env, observation = environments(1)
    agent = agent_of(replan_every=10)
    _, observation, state, _ = run(agent, env, observation, 10)
    first = agent.explain(state)[0]
    # With one candidate, which is the start itself, a plan is the rest of the one before.
    lazy = replace(agent, planner=CEM(num_samples=1, num_elites=1, num_iterations=1))
    _, state = lazy.predict(observation, state)
    second = agent.explain(state)[0]
    assert first is not None
    assert second is not None
    np.testing.assert_array_equal(second.actions[:15], first.actions[10:])
    np.testing.assert_array_equal(second.actions[15:], 0)


def test_an_idle_environment_is_not_planned_for_again_and_again() -> None:
    _, observation = environments(2)
    agent = agent_of(replan_every=5)
    always = np.ones(2, bool)
    first, state = agent.predict(observation, None, always)
    for _ in range(20):  # nothing moves
        action, state = agent.predict(observation, state, always)
        np.testing.assert_array_equal(action, first)
    assert state.decisions == (1, 1)


def test_episodes_that_start_one_after_another_each_get_a_plan_of_their_own() -> None:
    env, observation = environments(2)
    agent, state = agent_of(replan_every=10), None
    for calls in range(1, 5):  # the picture changes while the goal stays
        action, state = agent.predict(observation, state, np.ones(2, bool))
        observation, *_ = env.step(action)
        assert state.decisions == (calls, calls)
        assert [(row.episode, row.step) for row in state.envs] == [(calls - 1, 0)] * 2


def test_an_episode_that_starts_forgets_the_last_one() -> None:
    env, observation = environments(1)
    agent = agent_of(context_frames=3, replan_every=5)
    _, observation, state, _ = run(agent, env, observation, 7)
    assert len(state.envs[0].frames) == 7
    _, state = agent.predict(observation, state, np.array([True]))
    assert set(state.envs[0].frames) == {0}
    assert state.decisions == (3,)


def test_frames_join_the_context_once_encoded_at_their_times() -> None:
    env, observation = environments(1)
    agent = agent_of(context_frames=3, replan_every=5)
    run(agent, env, observation, 16)
    model: Any = agent.model
    tokens, times = zip(*model.predictor.contexts, strict=True)
    assert [t.shape[1] for t in tokens] == [1, 2, 3, 3]
    np.testing.assert_allclose(times[-1], [[0.5, 1.0, 1.5]])
    torch.testing.assert_close(tokens[-1][:, :2], tokens[-2][:, 1:])
    assert len(model.encoder.encoded) == 5  # the goal, and four frames


def test_the_baseline_is_told_what_was_done_between_its_frames() -> None:
    env, observation = environments(1)
    agent = agent_of(context_frames=2, replan_every=5)
    given = []
    model: Any = agent.model
    plain = type(model).context

    def context(self: Any, tokens: Any, times: Any = None, actions: Any = None) -> Any:
        given.append(actions)
        return plain(self, tokens, times, actions)

    model.context = context.__get__(model)
    actions, *_ = run(agent, env, observation, 6)
    assert given[0].shape == (1, 0, 10)
    np.testing.assert_allclose(given[1].numpy(), actions[:5].reshape(1, 1, 10))


def test_watching_fills_the_history_and_plans_nothing() -> None:
    env, observation = environments(1)
    agent, state = agent_of(context_frames=3), None
    for _ in range(7):
        action = np.full((1, 2), 0.1, np.float32)
        state = agent.observe(observation, state, action)
        observation, *_ = env.step(action)
    assert state is not None
    assert state.decisions == (0,)
    agent.predict(observation, state)
    model: Any = agent.model
    np.testing.assert_allclose(model.predictor.contexts[-1][1], [[0.2, 0.7]])
    with pytest.raises(ValueError, match=naming("actions", (1, 2), (1, 3))):
        agent.observe(observation, state, np.zeros((1, 3)))
    for wrong in ([[np.nan, 0.0]], [[b"a", b"b"]]):
        with pytest.raises(ValueError, match="actions"):
            agent.observe(observation, state, np.array(wrong))


def test_explain_tells_what_was_imagined_and_what_came() -> None:
    env, observation = environments(2)
    agent = agent_of()
    assert agent.explain(agent.start([0])) == (None,)
    _, observation, state, _ = run(agent, env, observation, 1)
    fresh = agent.explain(state)[0]
    assert fresh is not None
    assert fresh.surprise.shape == (0,)
    assert fresh.actions.shape == (25, 2)
    assert fresh.history.shape == (5,)
    assert (np.diff(fresh.history) <= 0).all()
    assert fresh.cost == fresh.history[-1]
    assert fresh.info["evaluations"] == 5 * 64
    _, _, state, _ = run(agent, env, observation, 13, state)
    told = agent.explain(state)
    for row_told in told:
        assert row_told is not None
        assert row_told.surprise.shape == row_told.change.shape == (2,)
        assert (row_told.surprise < 0.5).all()  # the model is exact, but for what pixels round
    # A world that does not move is a surprise of the size of what was imagined.
    env, observation = environments(2)
    state = None
    for _ in range(6):
        _, state = agent.predict(observation, state)
    still = agent.explain(state)[0]
    assert still is not None
    moved = still.actions[:5].sum(0) * 2
    np.testing.assert_allclose(still.surprise, np.sqrt((moved**2).mean()), rtol=1e-4)
    np.testing.assert_array_equal(still.change, 0)


def test_frames_with_the_colours_first_are_the_same_frames() -> None:
    _, observation = environments(3)
    agent = agent_of()
    expected, _ = agent.predict(observation)
    first = {k: np.moveaxis(v, -1, 1) if v.dtype == np.uint8 else v for k, v in observation.items()}
    np.testing.assert_array_equal(agent.predict(first)[0], expected)


def test_an_observation_that_is_written_over_is_not_remembered_changed() -> None:
    _, observation = environments(1)
    agent = agent_of(context_frames=2, replan_every=5)
    kept = {key: value.copy() for key, value in observation.items()}
    _, state = agent.predict(observation)
    observation["pixels"][:] = 0
    observation["goal_pixels"][:] = 0
    np.testing.assert_array_equal(state.envs[0].frames[0], kept["pixels"][0])
    assert agent.predict(kept, state)[1].decisions == (1,)


def bad_observations(good: dict[str, np.ndarray]) -> dict[str, tuple[Any, type[Exception], str]]:
    pixels = good["pixels"]
    return {
        "no dict": (pixels, TypeError, "ndarray"),
        "with infos": ((good, {}), TypeError, "tuple"),
        "no goal": ({"pixels": pixels}, ValueError, "goal_pixels"),
        "floats": ({**good, "pixels": pixels / 255}, TypeError, naming("pixels", "uint8", "float64")),
        "another size": (
            {k: v[:, ::2, ::2] for k, v in good.items() if v.ndim == 4},
            ValueError,
            naming("pixels", (64, 64, 3), (2, 32, 32, 3)),
        ),
        "one goal for all": (
            {**good, "goal_pixels": pixels[0]},
            ValueError,
            naming("goal_pixels", (2, 64, 64, 3), (64, 64, 3)),
        ),
        "nobody": ({k: v[:0] for k, v in good.items()}, ValueError, "observation"),
    }


@pytest.mark.parametrize("which", list(bad_observations({"pixels": np.zeros((1, 64, 64, 3), np.uint8)})))
def test_observations_that_do_not_fit_are_refused_before_planning(which: str) -> None:
    _, observation = environments(2)
    bad, error, words = bad_observations(observation)[which]
    agent = agent_of()
    with pytest.raises(error, match=words):
        agent.predict(bad)
    model: Any = agent.model
    assert not model.predictor.contexts


def test_states_and_starts_that_do_not_fit_are_refused() -> None:
    _, observation = environments(2)
    agent = agent_of()
    with pytest.raises(ValueError, match=naming(3, 2)):
        agent.predict(observation, agent.start([0, 1, 2]))
    with pytest.raises(TypeError, match=naming("state", "tuple")):
        agent.predict(observation, (np.zeros(2),))
    with pytest.raises(ValueError, match=naming("episode_start", (2,), (3,))):
        agent.predict(observation, None, np.ones(3, bool))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"replan_every": 7}, naming("replan_every", 5, 7)),
        ({"replan_every": 30}, naming("replan_every", 25, 30)),
        ({"replan_every": 0}, naming("replan_every", 0)),
        ({"horizon": 0}, naming("horizon", 0)),
        ({"context_frames": 0}, naming("context_frames", 0)),
        ({"seed": -1}, naming("seed", -1)),
    ],
)
def test_settings_that_do_not_fit_the_model_are_refused(settings: dict[str, int], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        agent_of(**settings)


def test_parts_of_the_wrong_kind_are_refused() -> None:
    model = dot_model()
    arguments: dict[str, Any] = {"model": model, "planner": FAST, "objective": GoalDistance()}
    for name in arguments:
        with pytest.raises(TypeError, match=name):
            PlanningAgent(**{**arguments, name: "wall"})
    watcher = WorldModel(model.encoder, Predictor(2, 8, 1, 1), control_rate=10.0)
    with pytest.raises(ValueError, match="actions"):
        PlanningAgent(watcher, FAST, GoalDistance())


def test_a_real_predictor_plans_too() -> None:
    model = dot_model()
    torch.manual_seed(0)
    predictor = ActionConditioned(Predictor(2, 16, 2, 2), 2 * FRAMESKIP)
    real = WorldModel(model.encoder, predictor, model.normalizer, control_rate=10.0)
    env, observation = environments(2)
    agent = PlanningAgent(real, FAST, GoalDistance(), replan_every=5, context_frames=2)
    actions, _, state, _ = run(agent, env, observation, 11)
    assert np.isfinite(actions).all()
    told = agent.explain(state)[0]
    assert told is not None
    assert np.isfinite(told.cost)


def test_is_a_name_of_the_package() -> None:
    assert wmcontrol.PlanningAgent is PlanningAgent


def test_a_plan_sees_the_frame_before_though_it_was_not_planned_from() -> None:
    env, observation = environments(1)
    agent = agent_of(context_frames=2, replan_every=10)
    run(agent, env, observation, 11)
    model: Any = agent.model
    np.testing.assert_allclose(model.predictor.contexts[-1][1], [[0.5, 1.0]])


def test_each_plan_of_an_episode_has_random_numbers_of_its_own() -> None:
    env, observation = environments(1)
    agent, state, seeds = agent_of(replan_every=5), None, set()
    for _ in range(3):
        _, observation, state, _ = run(agent, env, observation, 5, state)
        seeds.add(state.envs[0].generator().initial_seed())
    assert len(seeds) == 3
