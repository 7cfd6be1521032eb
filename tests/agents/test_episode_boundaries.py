"""The loops of docs/environments.md: an episode is planned for from its first frame, though the goal stays the same."""

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from dot_world import dot_model
from gymnasium.vector import AutoresetMode

import wmcontrol
from wmcontrol import CEM, GoalDistance, PlanningAgent

WALL = wmcontrol.ENV_IDS[1]
FASTEST = 2.9  # pixels that the dot goes in a step at most; episodes start farther from where others end
STEPS = 7  # of an episode; no plan ends before it
AGENT = PlanningAgent(dot_model(), CEM(num_samples=8, num_elites=2, num_iterations=1), GoalDistance())


class SameGoal(gym.vector.VectorWrapper):
    """Shows one picture of the goal in all episodes."""

    goal: Any = None

    def reset(self, **settings: Any) -> Any:
        observation, infos = self.env.reset(**settings)
        return self._with_goal(observation), infos

    def step(self, actions: Any) -> Any:
        observation, *rest = self.env.step(actions)
        return self._with_goal(observation), *rest

    def _with_goal(self, observation: Any) -> Any:
        self.goal = observation["goal_pixels"].copy() if self.goal is None else self.goal
        return {**observation, "goal_pixels": self.goal}


def vector(mode: AutoresetMode, *, of_singles: bool) -> Any:
    limit = {"max_episode_steps": STEPS}
    kind = "sync" if of_singles else "vector_entry_point"
    settings = {"vector_kwargs": {"autoreset_mode": mode}} if of_singles else {"autoreset_mode": mode}
    return SameGoal(gym.make_vec(WALL, num_envs=3, vectorization_mode=kind, **limit, **settings))


def next_step(env: Any, see: Callable[..., None]) -> None:
    observation, _ = env.reset(seed=0)
    state, start, over = None, np.ones(3, bool), np.zeros(3, bool)
    for _ in range(30):
        action, state = AGENT.predict(observation, state, episode_start=start)
        see(observation, state)
        observation, _, terminated, truncated, _ = env.step(action)
        start, over = over, terminated | truncated


def same_step(env: Any, see: Callable[..., None]) -> None:
    observation, _ = env.reset(seed=0)
    state, start = None, np.ones(3, bool)
    for _ in range(30):
        action, state = AGENT.predict(observation, state, episode_start=start)
        see(observation, state)
        observation, _, terminated, truncated, _ = env.step(action)
        start = terminated | truncated


def disabled(env: Any, see: Callable[..., None]) -> None:
    observation, _ = env.reset(seed=0)
    state, start = None, np.ones(3, bool)
    for _ in range(30):
        action, state = AGENT.predict(observation, state, episode_start=start)
        see(observation, state)
        observation, _, terminated, truncated, _ = env.step(action)
        start = terminated | truncated
        if start.any():
            observation, _ = env.reset(options={"reset_mask": start})


LOOPS = {AutoresetMode.NEXT_STEP: next_step, AutoresetMode.SAME_STEP: same_step, AutoresetMode.DISABLED: disabled}


class Watch:
    """Compares where the dot jumps, which is where episodes begin, with where the agent begins anew."""

    def __init__(self) -> None:
        self.last: Any = None
        self.decisions = np.zeros(3, int)
        self.starts = 0

    def see(self, observation: Any, state: Any) -> None:
        place = np.array(observation["observation"])
        began = np.ones(3, bool) if self.last is None else np.linalg.norm(place - self.last, axis=1) > FASTEST
        decisions = np.array(state.decisions)
        assert ((decisions > self.decisions) == began).all()
        assert (np.array([row.step for row in state.envs]) == 0).tolist() == began.tolist()
        self.last, self.decisions, self.starts = place, decisions, self.starts + began.sum()


@pytest.mark.parametrize("of_singles", [False, True])
@pytest.mark.parametrize("mode", list(LOOPS))
def test_each_autoreset_mode_has_a_loop_that_plans_where_episodes_begin(mode: AutoresetMode, of_singles: bool) -> None:
    env, watch = vector(mode, of_singles=of_singles), Watch()
    LOOPS[mode](env, watch.see)
    env.close()
    assert watch.starts >= 3 * 4


def test_so_has_a_vector_environment_of_stable_baselines() -> None:
    vec_env = pytest.importorskip("stable_baselines3.common.vec_env")

    class OneGoal(gym.Wrapper):
        def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
            return self.env.reset(seed=seed, options={"goal_state": [52.0, 52.0]})

    envs, watch = vec_env.DummyVecEnv([lambda: OneGoal(gym.make(WALL, max_episode_steps=STEPS))] * 3), Watch()
    envs.seed(0)
    observation, state, start = envs.reset(), None, np.ones(3, bool)
    for _ in range(30):
        action, state = AGENT.predict(observation, state, episode_start=start)
        watch.see(observation, state)
        observation, _, start, _ = envs.step(action)
    envs.close()
    assert watch.starts >= 3 * 4
