"""Draw the way from the start of a task to a far goal, over frames that a model's temporal embedding keeps.

What they show is known from the store that they were taken from. Agents never see it.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import gymnasium as gym
import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from wmcontrol import SubgoalAgent, WorldModel
from wmcontrol.data import LatentStore
from wmcontrol.evaluation import RandomTasks

from . import picture_file
from .landmarks import nearest_frames

SIDE, SHOWN, DPI = 150, 9, 100  # pixels of a frame; frames at most


def save_ways(model: WorldModel, store: LatentStore, seeds: Sequence[int], path: Path) -> None:
    """Draw a row of frames for each of some tasks of the environment, from start to goal, and save the picture.

    Args:
        model: with a temporal embedding.
        store: that its frames are of; its states say what they show.
        seeds: of tasks.
        path: of the picture.

    Raises:
        ValueError: a model without a temporal embedding, or a store without states or of no environment.
    """
    embedding = model.temporal_embedding
    if embedding is None or not len(embedding.points):
        raise ValueError("this model has no temporal embedding that keeps frames: wmcontrol fit_temporal_embedding")
    if store.env_id is None or store.states is None:
        raise ValueError(f"{store.folder} has no states, or does not say of which environment; so nothing can be drawn")
    env = gym.make(store.env_id, **{**store.env_settings, "image_size": model.frame_size[0]})
    large = gym.make(store.env_id, **{**store.env_settings, "image_size": 2 * SIDE})
    figure = Figure((SHOWN * SIDE / DPI, len(seeds) * 1.15 * SIDE / DPI), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    for row, seed in enumerate(seeds):
        (task,) = RandomTasks(store.env_id, 1, seed=seed, env_settings=store.env_settings).tasks
        observation, _ = env.reset(seed=task.seed)
        shown, _ = large.reset(seed=task.seed)
        pair = np.stack([observation["pixels"], observation["goal_pixels"]])
        start, goal = model.encode(torch.from_numpy(pair)[:, None])[:, 0]
        way = embedding.way(start, goal, SubgoalAgent.reach)
        picked = [way[i] for i in np.unique(np.linspace(0, len(way) - 1, min(len(way), SHOWN - 2)).round().astype(int))]
        frames = [shown["pixels"]]
        for state in store.states[nearest_frames(embedding.frames[picked], store)] if picked else ():
            frames.append(large.reset(seed=0, options={"state": state, "goal_state": state})[0]["pixels"])
        labels = ["start", *(f"{i + 1} of {len(way)}" for i in map(way.index, picked)), "goal"]
        _draw(figure, row, len(seeds), [*frames, shown["goal_pixels"]], labels)
    env.close()
    large.close()
    figure.savefig(path)


def _draw(figure: Figure, row: int, rows: int, frames: Sequence[NDArray[np.uint8]], labels: Sequence[str]) -> None:
    for column, (frame, label) in enumerate(zip(frames, labels, strict=True)):
        axes = figure.add_axes((column / SHOWN + 0.002, 1 - (row + 1) / rows, 1 / SHOWN - 0.004, 0.86 / rows))
        axes.imshow(frame)
        axes.set_title(label, fontsize=9, pad=3)
        axes.axis("off")


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="a model with a temporal embedding, its folder")
    parser.add_argument("store", help="the latent store that it was fitted to, its folder")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of tasks (default: %(default)s)")
    parser.add_argument("--out", type=picture_file, required=True, help="the picture")
    args = parser.parse_args(argv)
    save_ways(WorldModel.load(args.model), LatentStore.open(args.store), args.seeds, args.out)
    print(args.out)


if __name__ == "__main__":
    main()
