"""Agents of Stable-Baselines3 learn in the environments."""

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3 import PPO, SAC, HerReplayBuffer

import wmcontrol


def test_sac_with_hindsight_replay_runs_2000_steps_on_wall() -> None:
    env = gym.make("wmcontrol/Wall-v0", obs_type="state")
    agent = SAC(
        "MultiInputPolicy",
        env,
        replay_buffer_class=HerReplayBuffer,
        replay_buffer_kwargs={"n_sampled_goal": 4, "goal_selection_strategy": "future"},
        learning_starts=400,
        train_freq=16,
        gradient_steps=4,
        seed=0,
    )
    before = {name: value.clone() for name, value in agent.policy.state_dict().items()}
    agent.learn(2000)
    assert any((value != before[name]).any() for name, value in agent.policy.state_dict().items())
    buffer = agent.replay_buffer
    assert buffer is not None
    assert buffer.size() == 2000
    observations = buffer.observations
    assert set(observations) == {"observation", "achieved_goal", "desired_goal"}
    for values in observations.values():
        assert np.all((values[:2000] >= 4) & (values[:2000] <= 60))
    # Hindsight: relabelled goals were reached, so the environment's own reward says 1 for some of them.
    batch = buffer.sample(512)
    rewards = batch.rewards.numpy().ravel()
    assert set(np.unique(rewards)) <= {0.0, 1.0}
    assert rewards.mean() > 0.01
    expected = env.unwrapped.compute_reward(
        batch.next_observations["achieved_goal"].numpy(), batch.next_observations["desired_goal"].numpy(), {}
    )
    np.testing.assert_array_equal(rewards, expected)


@pytest.mark.parametrize("env_id", wmcontrol.ENV_IDS[:3])
def test_ppo_runs_500_steps_on_pixels(env_id: str) -> None:
    env = gym.make(env_id, image_size=36)
    agent = PPO("MultiInputPolicy", env, n_steps=250, batch_size=125, n_epochs=1, seed=0)
    agent.learn(500)
    assert agent.num_timesteps == 500
    buffer = agent.rollout_buffer
    # Stable-Baselines3 puts channels first.
    assert buffer.observations["pixels"].shape == (250, 3, 36, 36)
    assert buffer.observations["pixels"].std() > 0
    assert np.ptp(buffer.observations["observation"], axis=0).max() > 0
    action, _ = agent.predict(env.reset(seed=0)[0], deterministic=True)
    assert env.action_space.contains(action)
