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
"$venv/bin/wmcontrol" show envs out=pictures
test -s pictures/environments.png
