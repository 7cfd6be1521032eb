"""Pendulum without a goal: a world model and a head for rewards learn from random actions, and plans maximise rewards.

    pip install "wmcontrol[pendulum]"
    python examples/pendulum_rewards.py

It takes some minutes on two cores. The pendulum is to be swung up by a motor that is too weak to lift it.
"""

from pathlib import Path
from typing import Any

import gymnasium as gym

from wmcontrol import CEM, PlanningAgent, Predictor, PyramidEncoder, WorldModel
from wmcontrol.agents import RandomAgent
from wmcontrol.data import encode, record
from wmcontrol.envs import PixelObservation
from wmcontrol.evaluation import Returns, evaluate_returns
from wmcontrol.training import FinetuneSettings, finetune, fit_reward

FRAMESKIP = 4  # environment steps of a model step


def make() -> gym.Env[Any, Any]:
    """Make Pendulum with frames of 64 pixels in its observations."""
    env = gym.make("Pendulum-v1", render_mode="rgb_array")
    env.unwrapped.screen_dim = 128  # type: ignore[attr-defined]  # drawn in a third of the time that its 500 pixels take
    return PixelObservation(env)


def main(
    folder: str | Path = "pendulum",
    *,
    num_train: int = 200,
    num_frames: int = 101,
    num_steps: int = 3000,
    num_test: int = 20,
    horizon: int = 10,
) -> tuple[Returns, Returns]:
    """Record, train, plan; return what random actions and plans were given in episodes of 200 steps."""
    dataset = record(make(), num_train, num_frames=num_frames)
    encoder = PyramidEncoder(num_components=32)
    store = encode(dataset, encoder, Path(folder) / "stores")  # which fits the encoder first

    small = WorldModel(encoder, Predictor(32, width=96, depth=3, num_heads=3), control_rate=store.control_rate)
    settings = FinetuneSettings(frameskip=FRAMESKIP, num_frames=8, num_steps=num_steps, batch_size=64)
    model = finetune(store, base=small, mode="scratch", settings=settings, folder=Path(folder) / "run").model
    reward = fit_reward(store, frameskip=FRAMESKIP, num_steps=num_steps, num_frames=2)  # as it depends on the speed
    print(f"rewards: {reward.explained:.0%} of their variance explained on unseen trajectories")
    model.reward = reward.head
    model.save(Path(folder) / "model")

    model = WorldModel.load(Path(folder) / "model")  # all that planning needs
    planner = CEM(num_samples=100, num_elites=10, num_iterations=5)
    agent = PlanningAgent.from_model(model, planner, horizon=horizon, replan_every=FRAMESKIP, context_frames=3)
    env = make()
    found = [evaluate_returns(who, make, num_test, seed=1000) for who in (RandomAgent(env.action_space), agent)]
    for name, returns in zip(("random", "planned"), found, strict=True):
        print(f"{name}: {returns}")
    return found[0], found[1]


if __name__ == "__main__":
    main()
