"""Draw the README's film: packaged models plan 25 steps each and act, on the first held-out tasks that they solve."""

import argparse
from collections.abc import Sequence
from typing import Any

import cv2
import gymnasium as gym
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wmcontrol import PlanningAgent, WorldModel
from wmcontrol.compare import ENVIRONMENTS, CollectSettings
from wmcontrol.data import collect
from wmcontrol.evaluation import DatasetTasks, Task

from . import picture_file

Picture = NDArray[np.uint8]

TITLES = {"wall": "Wall", "pusht": "Push-T", "pointmaze": "PointMaze"}
SIDE, GAP, TITLE = 168, 8, 26  # pixels
STEPS = 25
MOST = 12  # tasks that are tried


def solved(name: str, episodes: int) -> tuple[list[list[Picture]], int]:
    """Return the frames of so many episodes that a packaged model solves, and how many tasks it took."""
    data = ENVIRONMENTS[name].data
    assert isinstance(data, CollectSettings)
    unseen = collect(data.env_id, data.make_policy(), data.num_unseen, seed=data.unseen_seed)
    model = WorldModel.load(name)
    agent = PlanningAgent.from_model(model)
    tasks = DatasetTasks(unseen, MOST, seed=0, context_steps=model.planning.context_steps)
    looks = {"obs_type": "pixels_state", "render_mode": "rgb_array", "render_size": SIDE, "terminate_on_success": False}
    env = gym.make(tasks.env_id, **{**tasks.env_settings, **looks})
    found: list[list[Picture]] = []
    for tried, task in enumerate(tasks.tasks, start=1):
        frames, success = _episode(env, agent, task)
        found += [frames] if success else []
        print(f"{name}, task {tried}: {'solved' if success else 'not solved'}", flush=True)
        if len(found) == episodes:
            return found, tried
    raise SystemExit(f"{name} solved {len(found)} of the first {MOST} tasks, {episodes} were asked for")


def _episode(env: Any, agent: PlanningAgent, task: Task) -> tuple[list[Picture], bool]:
    options = {"state": task.state, "goal_state": task.goal_state, "variation": dict(task.variation)}
    observation, info = env.reset(seed=task.seed, options=options)
    state, first = None, True
    for action in task.replay:
        state, first = agent.observe(observation, state, action, episode_start=first), False
        observation, *_, info = env.step(action.astype(env.action_space.dtype))
    frames = [env.render()]
    for _ in range(STEPS):
        action, state = agent.predict(observation, state, episode_start=first)
        first = False
        observation, *_, info = env.step(action)
        frames.append(env.render())
    return frames, bool(info["is_success"])


def _side_by_side(pictures: Sequence[Picture]) -> Picture:
    canvas = np.full((TITLE + SIDE + 4, len(pictures) * (SIDE + GAP) + GAP, 3), 255, np.uint8)
    for i, (title, picture) in enumerate(zip(TITLES.values(), pictures, strict=True)):
        left = GAP + i * (SIDE + GAP)
        canvas[TITLE : TITLE + SIDE, left : left + SIDE] = picture
        cv2.putText(canvas, title, (left, TITLE - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (40, 40, 40), 1, cv2.LINE_AA)
    return canvas


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=picture_file, default="docs/pictures/planning.gif", help="(default: %(default)s)")
    parser.add_argument("--episodes", type=int, default=3, help="of each model (default: %(default)s)")
    args = parser.parse_args(argv)
    shown = [solved(name, args.episodes) for name in TITLES]
    pictures = [
        _side_by_side([episodes[number][step] for episodes, _ in shown])
        for number in range(args.episodes)
        for step in [0] * 5 + list(range(STEPS + 1)) + [STEPS] * 8  # start and end stand still
    ]
    first, *rest = (Image.fromarray(picture).quantize(64, dither=Image.Dither.NONE) for picture in pictures)
    first.save(args.out, save_all=True, append_images=rest, duration=100, loop=0, optimize=True)
    print(f"{args.out}, of the first {', '.join(str(tried) for _, tried in shown)} tasks")


if __name__ == "__main__":
    main()
