"""Stable-Baselines3 runs our agents, and we run its policies, both unchanged."""

from collections.abc import Callable
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
from stable_baselines3 import PPO, SAC, HerReplayBuffer
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecTransposeImage

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


@pytest.mark.parametrize("which", ["one", "vector", "processes", "transposed"])
def test_evaluate_policy_runs_an_agent_that_plans(which: str) -> None:
    env: Any
    if which == "one":
        env = make()
    elif which == "processes":
        env = SubprocVecEnv([make] * 2)
    else:
        env = DummyVecEnv([make] * 3)
    if which == "transposed":
        env = VecTransposeImage(env)
    reward, _ = evaluate_policy(agent(), env, n_eval_episodes=4)
    env.close()
    assert reward == 1  # one for each goal that is reached


def trained_on_states() -> SAC:
    env = gym.make(WALL, obs_type="state", max_episode_steps=20)
    return SAC(
        "MultiInputPolicy",
        env,
        replay_buffer_class=HerReplayBuffer,
        learning_starts=100,
        train_freq=10,
        buffer_size=500,
        policy_kwargs={"net_arch": [8]},
        device="cpu",
        seed=0,
    ).learn(300)


def trained_on_pixels() -> PPO:
    env = gym.make(WALL, obs_type="pixels", image_size=36)
    return PPO("MultiInputPolicy", env, n_steps=8, batch_size=8, n_epochs=2, device="cpu", seed=0).learn(16)


@pytest.mark.parametrize("train", [trained_on_states, trained_on_pixels])
def test_a_policy_runs_in_our_evaluation(train: Callable[[], Any], walks: Walks) -> None:
    policy = train()
    tasks = DatasetTasks(walks, 3)
    result = evaluate(policy, tasks, batch=2)
    assert len(result.records) == 3
    assert [record["decisions"] for record in result.records] == [25] * 3
    assert evaluate(policy, tasks, batch=2).report() == result.report()
    assert len(evaluate(policy, RandomTasks(WALL, 2)).records) == 2
