"""SAC with hindsight replay (Stable-Baselines3), which sees the true state: what learning in the simulator gives."""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym

from wmcontrol.agents import load_policy
from wmcontrol.files import atomic_write


def fit_sac(
    make: Callable[[], gym.Env[Any, Any]], folder: Path, seconds: float, *, learning_starts: int, gamma: float
) -> tuple[Any, float, int]:
    """Train for so many seconds of one core; what a run before has trained there is taken.

    Args:
        make: returns the environment, which shows states and does not end at its goal.
        folder: for the policy.
        seconds: of one core.
        learning_starts: environment steps of random actions.
        gamma: discount of a step.

    Returns:
        The policy, the seconds, and the environment steps.
    """
    from stable_baselines3 import SAC, HerReplayBuffer
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

    class Clock(BaseCallback):
        begun = 0.0

        def _on_training_start(self) -> None:
            self.begun = time.process_time()

        def _on_step(self) -> bool:
            return time.process_time() - self.begun < seconds

    def train() -> Mapping[str, float]:
        env = VecNormalize(DummyVecEnv([make]), norm_reward=False)
        agent = SAC(
            "MultiInputPolicy",
            env,
            replay_buffer_class=HerReplayBuffer,
            learning_starts=learning_starts,
            buffer_size=200_000,
            gamma=gamma,
            device="cpu",
            seed=0,
        )
        clock = Clock()
        agent.learn(10**9, callback=clock)
        taken = time.process_time() - clock.begun
        agent.save(policy)
        env.save(str(statistics))
        env.close()
        return {"seconds": taken, "steps": agent.num_timesteps}

    folder.mkdir(parents=True, exist_ok=True)
    policy, statistics = folder / "sac.zip", folder / "sac.pkl"
    told = kept(folder / "told.json", train)
    return load_policy("SAC", policy, statistics), told["seconds"], int(told["steps"])


def kept(path: Path, make: Callable[[], Mapping[str, float]]) -> dict[str, float]:
    """Return what a run before has told, or what is made now."""
    if not path.exists():
        told = json.dumps(make())
        with atomic_write(path) as file:
            file.write(told.encode())
    found: dict[str, float] = json.loads(path.read_text(encoding="utf-8"))
    return found
