"""Stable-Baselines3 runs our agents, and we run its policies, both unchanged."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from dot_world import dot_model
from walks_data import Walks

import wmcontrol
from wmcontrol import CEM, GoalDistance, PlanningAgent
from wmcontrol.evaluation import DatasetTasks, RandomTasks, evaluate

pytest.importorskip("stable_baselines3")
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecTransposeImage

WALL = wmcontrol.ENV_IDS[1]
FAST = CEM(num_samples=32, num_elites=4, num_iterations=3)


def agent(**settings: Any) -> PlanningAgent:
    return PlanningAgent(dot_model(), FAST, GoalDistance(), **settings)


class LeftRoom(gym.Wrapper):
    """Starts and goals in the left room, where the model is exact."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        rng = np.random.default_rng(seed)
        start = rng.uniform((8, 10), (12, 30))
        return self.env.reset(seed=seed, options={"state": start, "goal_state": start + (12, 12)})


def make() -> gym.Env:
    return Monitor(LeftRoom(gym.make(WALL, max_episode_steps=40)))


@pytest.mark.parametrize("which", ["one", "vector", "transposed"])
def test_evaluate_policy_runs_an_agent_that_plans(which: str) -> None:
    env: Any = make() if which == "one" else DummyVecEnv([make] * 3)
    if which == "transposed":
        env = VecTransposeImage(env)
    reward, _ = evaluate_policy(agent(), env, n_eval_episodes=4)
    assert reward == 1  # one for each goal that is reached


def test_environments_that_have_had_their_episodes_do_not_cost_a_plan_in_each_step() -> None:
    plans = []

    class Counting(PlanningAgent):
        def predict(self, *args: Any, **kwargs: Any) -> Any:
            actions, state = super().predict(*args, **kwargs)
            plans.append(state.decisions)
            return actions, state

    envs = DummyVecEnv([lambda: Monitor(LeftRoom(gym.make(WALL, max_episode_steps=5))), make])
    counting = Counting(dot_model(), FAST, GoalDistance())
    evaluate_policy(counting, envs, n_eval_episodes=2)
    assert len(plans) > 10
    assert plans[-1][0] <= len(plans) / 5 + 2  # one in each of the episodes that begin meanwhile


@pytest.mark.parametrize("which", ["state", "pixels"])
def test_a_policy_runs_in_our_evaluation(which: str, walks: Walks) -> None:
    if which == "state":
        env = gym.make(WALL, obs_type="state")
        policy: Any = SAC("MultiInputPolicy", env, buffer_size=10, device="cpu", policy_kwargs={"net_arch": [8]})
    else:
        env = gym.make(WALL, obs_type="pixels", image_size=36)
        policy = PPO("MultiInputPolicy", env, n_steps=8, batch_size=8, device="cpu")
    tasks = DatasetTasks(walks, 3)
    result = evaluate(policy, tasks, batch=2)
    assert len(result.records) == 3
    assert [record["decisions"] for record in result.records] == [25] * 3
    other = evaluate(policy, tasks, batch=2)
    assert other.report() == result.report()


def test_a_policy_for_other_observations_is_refused() -> None:
    policy = SAC("MultiInputPolicy", gym.make("wmcontrol/PushT-v0", obs_type="state"), buffer_size=10, device="cpu")
    with pytest.raises(ValueError, match="shape"):
        evaluate(policy, RandomTasks(WALL, 1))
