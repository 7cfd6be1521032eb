#!/usr/bin/env bash
# Use the installed wheel from a folder that holds nothing of the project. Argument: its virtual environment.
set -euo pipefail
venv="$1"
cd "$(mktemp -d)"
"$venv/bin/python" -W error - "$venv" <<'PY'
import importlib.util
import sys
from pathlib import Path

import gymnasium as gym
import numpy as np

import wmcontrol

assert Path(wmcontrol.__file__).is_relative_to(sys.argv[1]), wmcontrol.__file__
assert (Path(wmcontrol.__file__).parent / "py.typed").exists()
assert importlib.util.find_spec("experiments") is None  # benchmarks stay in a checkout
for env_id in wmcontrol.ENV_IDS:
    env = gym.make(env_id)
    observation, _ = env.reset(seed=0)
    assert observation["pixels"].shape == (64, 64, 3) and observation["pixels"].std() > 0
    for _ in range(5):
        observation, *_ = env.step(env.action_space.sample())
    assert env.observation_space.contains(observation)
    many = gym.make_vec(env_id, num_envs=3)
    many.reset(seed=0)
    assert many.step(np.zeros((3, 2)))[0]["pixels"].shape == (3, 64, 64, 3)
for name, env_id in (("wall", "Wall-v0"), ("pusht", "PushT-v0"), ("pointmaze", "PointMaze_UMaze-v0")):
    planner = wmcontrol.CEM(num_samples=20, num_elites=5, num_iterations=2)
    agent = wmcontrol.PlanningAgent(wmcontrol.WorldModel.load(name), planner, wmcontrol.GoalDistance())
    env = gym.make(f"wmcontrol/{env_id}")
    observation, _ = env.reset(seed=0)
    action, _ = agent.predict(observation)
    env.step(action)
print(f"wheel: {len(wmcontrol.ENV_IDS)} environments run, wmcontrol {wmcontrol.__version__}")
PY
"$venv/bin/wmcontrol" --version
"$venv/bin/wmcontrol" --help > /dev/null
"$venv/bin/wmcontrol" demo --help > /dev/null
# What a user's own module has, named on the command line.
cat > mine.py <<'PY'
import numpy as np

from wmcontrol import RandomShooting
from wmcontrol.encoders import Encoder, register_encoder


class Still:
    env_settings = {}

    def __init__(self, push):
        self.push = push

    def script(self, rng):
        return Script(self.push)


class Script:
    num_frames, options = 30, {}

    def __init__(self, push):
        self.push = push

    def act(self, view):
        return np.full(2, self.push)


def planner(candidates):
    return RandomShooting(num_samples=candidates)


class Nearness:
    def __call__(self, latents, goal, actions):
        return (latents[:, :, -1] - goal[:, None]).abs().mean((-2, -1))


@register_encoder
class Corner(Encoder):
    carries_weights = False
    dim = 3

    def __init__(self, side):
        super().__init__()
        self.side = side

    def settings(self):
        return {"side": self.side}

    def grid(self, height, width):
        return 1, 1

    def _tokens(self, frames):
        return frames[..., : self.side, : self.side, :].float().mean((-3, -2))[..., None, :] / 255
PY
"$venv/bin/pip" install --quiet h5py
"$venv/bin/wmcontrol" collect env=wall policy._target_=mine.Still policy.push=0.1 num_episodes=3 out=data
"$venv/bin/wmcontrol" encode data.path=data encoder._target_=mine.Corner encoder.side=4 out=stores
"$venv/bin/wmcontrol" evaluate model=wall env=wall planner._target_=mine.planner planner.candidates=4 \
    objective._target_=mine.Nearness num_tasks=1 videos=0 out=result
test -s result/report.html
"$venv/bin/wmcontrol" show data.path=data out=sheet.png
test -s sheet.png
