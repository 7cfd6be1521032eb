"""Draw what action priors propose and what the planner makes of it: paths over the frame that an agent plans from.

The rings and outlines are the goal. Thin lines are where proposals really lead, thick ones where the plan does: blue is
the agent, orange what it pushes. Agents never see them.
"""

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
from wmcontrol.evaluation import DatasetTasks, Task, planning_spec
from wmcontrol.evaluation.reports.paths import true_paths

from . import picture_file

Picture = NDArray[np.uint8]

SIDE, GAP = 320, 8  # pixels
SHOWN = 32  # proposals
COLORS = ((0, 114, 178), (230, 159, 0))  # of the agent, and of what it pushes
FINE = 4  # bits of a pixel's fraction


def pictures(name: str, path: str, count: int) -> list[Picture]:
    """Return a picture of the first plan of so many held-out tasks of an environment, with the model of a folder."""
    model, data = WorldModel.load(path), ENVIRONMENTS[name].data
    if model.prior is None:
        raise SystemExit(f"{path} has no action prior; teach it one with wmcontrol fit_prior")
    assert isinstance(data, CollectSettings)
    unseen = collect(data.env_id, data.make_policy(), count, seed=data.unseen_seed)
    tasks = DatasetTasks(unseen, count, seed=0, context_steps=model.planning.context_steps)
    agent = planning_spec(model, None, tasks).agent
    looks = {"obs_type": "pixels_state", "render_mode": "rgb_array", "render_size": SIDE, "terminate_on_success": False}
    env = gym.make(tasks.env_id, **{**tasks.env_settings, **looks})
    return [_planned(env, agent, tasks, task) for task in tasks.tasks]


def _planned(env: Any, agent: PlanningAgent, tasks: DatasetTasks, task: Task) -> Picture:
    options = {"state": task.state, "goal_state": task.goal_state, "variation": dict(task.variation)}
    observation, _ = env.reset(seed=task.seed, options=options)
    state = None
    for action in task.replay:
        state = agent.observe(observation, state, action)
        observation, *_ = env.step(action.astype(env.action_space.dtype))
    _, state = agent.predict(observation, state)
    (told,) = agent.explain(state)
    assert told is not None
    actions = np.concatenate([told.proposals[:SHOWN], told.actions[None]])
    world = env.unwrapped
    paths = true_paths(tasks.env_id, tasks.env_settings, world.variation, world.get_state(), actions, SIDE)
    return draw(env.render(), paths)


def draw(frame: Picture, paths: NDArray[np.float64]) -> Picture:
    """Return a frame with paths (K, q, L, 2) over it, of which the last is the plan's."""
    thin = frame.copy()
    for path in paths[:-1]:
        _lines(thin, path, thickness=1)
    drawn: Picture = np.asarray(cv2.addWeighted(frame, 0.4, thin, 0.6, 0), np.uint8)
    _lines(drawn, paths[-1], thickness=3)
    return drawn


def _lines(frame: Picture, path: NDArray[np.float64], thickness: int) -> None:
    for places, color in zip(path, COLORS, strict=False):
        points = np.rint(places * 2**FINE).astype(np.int32)
        cv2.polylines(frame, [points], False, color, thickness, cv2.LINE_AA, FINE)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", metavar="ENV=MODEL", help="such as pusht=models/pusht_prior/model")
    parser.add_argument(
        "--out", type=picture_file, default="docs/pictures/proposals.png", help="(default: %(default)s)"
    )
    parser.add_argument("--tasks", type=int, default=3, help="of each model (default: %(default)s)")
    args = parser.parse_args(argv)
    models = dict(each.split("=", 1) for each in args.models) or {name: name for name in ENVIRONMENTS}
    rows = [pictures(name, path, args.tasks) for name, path in models.items()]
    canvas = np.full((len(rows) * (SIDE + GAP) + GAP, args.tasks * (SIDE + GAP) + GAP, 3), 255, np.uint8)
    for i, row in enumerate(rows):
        for j, picture in enumerate(row):
            top, left = GAP + i * (SIDE + GAP), GAP + j * (SIDE + GAP)
            canvas[top : top + SIDE, left : left + SIDE] = picture
    Image.fromarray(canvas).save(args.out)
    print(args.out)


if __name__ == "__main__":
    main()
