"""Trajectories and sets that tests of Minari share."""

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from wmcontrol.data.formats.minari_writer import MinariWriter
from wmcontrol.data.frames import ArrayFrames
from wmcontrol.data.trajectory import Provenance, Trajectory

WALL = "wmcontrol/Wall-v0"
SETTINGS: dict[str, Any] = {
    "env_id": WALL,
    "control_rate": 10.0,
    "action_bounds": ([-1, -1], [1, 1]),
    "settings": {"policy": "random", "seed": 0},
}


def episodes(count: int, frames: bool = True, size: int = 32, variation: object = None) -> list[Trajectory]:
    """Episodes of Wall of several lengths, played in the environment."""
    env = gym.make(WALL, image_size=size)
    played = []
    for number in range(count):
        observation, _ = env.reset(seed=number, options={"variation": variation})
        env.action_space.seed(number)
        states, pixels, actions = [env.unwrapped.get_state()], [observation["pixels"]], []
        for _ in range(3 + number % 4):
            actions.append(env.action_space.sample())
            observation, *_ = env.step(actions[-1])
            states.append(env.unwrapped.get_state())
            pixels.append(observation["pixels"])
        played.append(
            Trajectory(
                times=np.arange(len(states)) / 10,
                provenance=Provenance("played", Path("wall"), f"seed_{number}"),
                frames=ArrayFrames(np.array(pixels)) if frames else None,
                states=np.array(states),
                actions=np.array(actions, np.float64),
                variation=env.unwrapped.variation,
            )
        )
    return played


def write(folder: Path, trajectories: list[Trajectory], batch: int = 2, **changed: Any) -> Path:
    writer = MinariWriter(folder, **{**SETTINGS, **changed})
    for start in range(writer.written, len(trajectories), batch):
        writer.add(trajectories[start : start + batch])
    return writer.finish()


def assert_equal(read: Trajectory, written: Trajectory, frames: bool = True) -> None:
    np.testing.assert_allclose(read.times, written.times, rtol=0, atol=1e-9)
    for name in ("states", "actions"):
        there, here = getattr(read, name), getattr(written, name)
        assert (there is None) == (here is None), name
        if here is not None:
            np.testing.assert_array_equal(there, here)
    if frames:
        assert read.frames is not None
        assert written.frames is not None
        everything = range(len(written))
        np.testing.assert_array_equal(read.frames.read(everything), written.frames.read(everything))
    assert set(read.variation) == set(written.variation)
    for name, value in written.variation.items():
        np.testing.assert_array_equal(read.variation[name], value)
