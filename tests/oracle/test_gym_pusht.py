"""Push-T, step for step against gym-pusht."""

import gymnasium as gym
import numpy as np
import pytest

import wmcontrol  # noqa: F401

gym_pusht = pytest.importorskip("gym_pusht", reason='gym-pusht is not installed: pip install "wmcontrol[oracle]"')


def their_state(env: gym.Env) -> np.ndarray:
    inner = env.unwrapped
    angle = inner.block.angle % (2 * np.pi)
    return np.array([*inner.agent.position, *inner.block.position, angle, *inner.agent.velocity])


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.filterwarnings("ignore")  # theirs, not ours
def test_same_actions_give_the_same_300_steps(seed: int) -> None:
    theirs = gym.make("gym_pusht/PushT-v0", obs_type="state", max_episode_steps=1000)
    ours = gym.make(
        "wmcontrol/PushT-v0",
        obs_type="state",
        action_mode="absolute",
        success="coverage",
        reward_type="dense",
        terminate_on_success=False,
        max_episode_steps=1000,
    )
    # A start without contact: gym-pusht takes a simulation step at the end of its reset.
    rng = np.random.default_rng(seed)
    theirs.reset(seed=seed, options={"reset_to_state": [60, 60, *rng.uniform(200, 300, 2), rng.uniform(0, 6)]})
    start = their_state(theirs)
    ours.reset(seed=seed, options={"state": start})
    moved = 0.0
    for step in range(300):
        if step % 8 == 0:  # push through the block
            aim = their_state(theirs)[2:4] + rng.normal(0, 80, 2)
        action = np.clip(aim + rng.normal(0, 10, 2), 0, 512).astype(np.float32)
        _, their_reward, *_ = theirs.step(action.astype(float))
        observation, reward, _, _, _ = ours.step(action)
        np.testing.assert_allclose(observation["observation"], their_state(theirs), atol=1e-6)
        assert reward == pytest.approx(float(their_reward), abs=1e-6)
        moved = max(moved, float(np.linalg.norm(observation["observation"][2:4] - start[2:4])))
    assert moved > 20, "the block was never pushed: the comparison says nothing about contacts"
