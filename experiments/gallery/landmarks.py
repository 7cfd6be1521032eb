"""Draw a model's landmarks over a task: how far each is from the goal, and the path that the agent takes.

A landmark is a frame of the store that the model was fine-tuned on, so that the store says where the agent was in it.
Agents never see that.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from wmcontrol import HierarchicalAgent, RandomShooting, WorldModel
from wmcontrol.data import LatentStore
from wmcontrol.evaluation import RandomTasks
from wmcontrol.models import Landmarks

from . import picture_file

Floats = NDArray[np.float64]

SIDE, WIDTH, DPI = 640, 730, 100  # pixels: of the frame, and with the colour bar beside it
_AT_ONCE = 8192  # frames whose distances to all landmarks are in memory
EDGE, PATH = "0.55", "#E69F00"


def save_landmarks(model: WorldModel, store: LatentStore, seed: int, path: Path) -> None:
    """Draw the landmarks of a model over the first task that is drawn with a seed, and save the picture.

    Args:
        model: with landmarks.
        store: that they are of; its states say where the agent was.
        seed: of the task.
        path: of the picture.

    Raises:
        ValueError: a model without landmarks, or a store without states or of no environment.
    """
    # The path does not depend on how plans are searched for.
    agent = HierarchicalAgent.from_model(
        model, RandomShooting(num_samples=1, num_iterations=1), replan_every=model.frameskip
    )
    assert isinstance(agent, HierarchicalAgent)
    landmarks = model.landmarks
    assert landmarks is not None
    if store.env_id is None or store.states is None:
        raise ValueError(f"{store.folder} has no states, or does not say of which environment; so nothing can be drawn")
    looks: dict[str, Any] = {"render_mode": "rgb_array", "render_size": SIDE, "image_size": model.frame_size[0]}
    env = gym.make(store.env_id, **{**store.env_settings, **looks})
    (task,) = RandomTasks(store.env_id, 1, seed=seed, env_settings=store.env_settings).tasks
    observation, _ = env.reset(seed=task.seed)
    world: Any = env.unwrapped
    _, state = agent.predict(observation)
    route = state.envs[0].route
    assert route is not None
    places = world.places(store.states[nearest_frames(landmarks.tokens, store)], SIDE)[:, 0]
    start, aim = world.get_state(), observation["desired_goal"]
    ends = world.places(np.stack([start, [*aim, *start[len(aim) :]]]), SIDE)[:, 0]
    figure = drawn(env.render(), landmarks, places, route.distances, route.path[:-1], ends)
    env.close()
    figure.canvas.draw()
    picture = Image.fromarray(np.asarray(figure.canvas.buffer_rgba())[..., :3])  # type: ignore[attr-defined]
    picture.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(path, optimize=True)


def nearest_frames(tokens: torch.Tensor, store: LatentStore) -> NDArray[np.int64]:
    """Return the frame (L,) of a store whose tokens are nearest to each of some (L, P, D)."""
    wanted = tokens.flatten(1)
    least = torch.full((len(wanted),), torch.inf, dtype=torch.float32)
    found = torch.zeros(len(wanted), dtype=torch.int64)
    for start in range(0, len(store.tokens), _AT_ONCE):
        some = store.tokens[start : start + _AT_ONCE].flatten(1).float()
        away, at = torch.cdist(wanted, some).min(1)
        found = torch.where(away < least, at + start, found)
        least = torch.minimum(least, away)
    return found.numpy()


def drawn(
    frame: Any, landmarks: Landmarks, places: Floats, distances: Floats, path: Sequence[int], ends: Floats
) -> Figure:
    """Return a frame with landmarks at places (L, 2), their distances (L,), a path, and start and goal (2, 2)."""
    figure = Figure((WIDTH / DPI, SIDE / DPI), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, SIDE / WIDTH, 1))
    axes.imshow(frame)
    axes.axis("off")
    lines = places[landmarks.edges.numpy()]
    axes.add_collection(LineCollection(list(lines), colors=EDGE, linewidths=0.25, alpha=0.15))
    there = np.isfinite(distances)
    axes.scatter(places[~there, 0], places[~there, 1], s=9, color="black", zorder=3)
    shown = axes.scatter(places[there, 0], places[there, 1], s=9, c=distances[there], cmap="viridis", zorder=3)
    way = np.stack([ends[0], *places[list(path)], ends[1]])
    if path or there.any():
        axes.plot(*way.T, color=PATH, linewidth=2.5, marker="o", markersize=4, zorder=4)
    axes.plot(*ends[0], "o", color="white", markeredgecolor="black", markersize=12, zorder=5)
    axes.plot(*ends[1], "*", color=PATH, markeredgecolor="black", markersize=20, zorder=5)
    axes.set(xlim=(-0.5, SIDE - 0.5), ylim=(SIDE - 0.5, -0.5))
    bar = figure.add_axes(((SIDE + 15) / WIDTH, 0.1, 18 / WIDTH, 0.8))
    figure.colorbar(shown, cax=bar, label="model steps to the goal")
    return figure


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="a model with landmarks, its folder")
    parser.add_argument("store", help="the latent store that they were chosen from, its folder")
    parser.add_argument("--seed", type=int, default=0, help="of the task (default: %(default)s)")
    parser.add_argument("--out", type=picture_file, required=True, help="the picture")
    args = parser.parse_args(argv)
    save_landmarks(WorldModel.load(args.model), LatentStore.open(args.store), args.seed, args.out)
    print(args.out)


if __name__ == "__main__":
    main()
