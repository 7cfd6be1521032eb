"""Plan with EfficientNet's features beside the pyramid's, on Wall and Push-T at 224 pixels: success, and what it costs.

Encoders get the same trajectories, optimiser steps, planner and tasks. The predictor is the size tiny, trained from
scratch; one plan of 25 steps, all of them executed (protocol "paper"), by fast(). Before that, what distances between
tokens say of distances in the world. Times are seconds of one core that the process got, so that they hold on a busy
machine too. A killed run goes on: what is finished is not done again.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr

from wmcontrol import Encoder, PyramidEncoder
from wmcontrol.data import collect, encode, fit_encoder, open_dataset
from wmcontrol.data.policies import pushes, random
from wmcontrol.encoders import EfficientNetEncoder
from wmcontrol.evaluation import AgentSpec, DatasetTasks, ResultRow, baselines, evaluate_agents, planning_spec
from wmcontrol.files import atomic_write
from wmcontrol.models import PlanningSettings
from wmcontrol.planners import fast
from wmcontrol.training import FinetuneSettings, finetune

from .results import Section, command, save, whole

UNSEEN = 100  # trajectories that tasks are drawn from
COMPARED = 40  # of them, whose frames are compared: 6 of each, 5 steps apart


@dataclass(frozen=True)
class World:
    """An environment, who acts in it, for how many frames, and which numbers of a state say where each thing is."""

    env_id: str
    policy: Callable[..., Any]
    num_frames: int
    things: Mapping[str, slice]


WORLDS: Mapping[str, World] = {
    "wall": World("wmcontrol/Wall-v0", random, 40, {"agent": slice(2)}),
    "pusht": World("wmcontrol/PushT-v0", pushes, 40, {"agent": slice(2), "block": slice(2, 4), "angle": slice(4, 5)}),
}
ENCODERS: Mapping[str, Callable[[], Encoder]] = {
    "pyramid, 1 x 1 x 128": partial(PyramidEncoder, 128),
    "EfficientNet, 2 x 2 x 112": partial(EfficientNetEncoder, pool=7),
    "pyramid, 2 x 2 x 112": partial(PyramidEncoder, 112, tokens=(2, 2)),
    "EfficientNet, 7 x 7 x 112": partial(EfficientNetEncoder, pool=2),
    "EfficientNet, 14 x 14 x 112": EfficientNetEncoder,
}


def collected(world: World, args: Any) -> Path:
    """Return the folder of an environment's trajectories, which are collected if they are not there."""
    folder: Path = args.out / "data" / world.env_id.split("/")[1]
    policy = world.policy(world.env_id, num_frames=world.num_frames)
    for part, count, seed in (("train", args.episodes, 0), ("unseen", UNSEEN, 1)):
        collect(world.env_id, policy, count, folder=folder / part, seed=seed)
    return folder


def distances(world: World, args: Any) -> Section:
    """Compare distances between the tokens of two frames of a trajectory with distances between its states."""
    folder = collected(world, args)
    train, unseen = (open_dataset(folder / part, image_size=args.image_size) for part in ("train", "unseen"))
    frames, states = [], []
    for number in range(min(COMPARED, len(unseen))):
        trajectory = unseen.trajectory(number)
        assert trajectory.frames is not None
        assert trajectory.states is not None
        frames.append(torch.from_numpy(trajectory.frames.read(range(0, 26, 5))))
        states.append(trajectory.states[0:26:5])
    one, other = np.triu_indices(6, 1)
    apart = np.stack(states)[:, one] - np.stack(states)[:, other]  # (trajectories, pairs, numbers of a state)
    rows, numbers = [], {}
    for name, make in ENCODERS.items():
        encoder = make()
        if isinstance(encoder, PyramidEncoder):
            fit_encoder(encoder, [train], num_frames=1000)
        start = process_time()
        tokens = torch.cat([encoder(part) for part in frames]).unflatten(0, (-1, 6))  # (trajectories, 6, P, D)
        milliseconds = 1e3 * (process_time() - start) / len(frames) / 6
        a, b = tokens[:, one], tokens[:, other]
        between = {"cosine": (1 - torch.cosine_similarity(a, b, -1)).mean(-1), "l2": (a - b).norm(dim=-1).mean(-1)}
        found = {
            f"{thing}, {metric}": float(spearmanr(_size(apart[..., place], thing).ravel(), value.ravel())[0])
            for thing, place in world.things.items()
            for metric, value in between.items()
        }
        numbers[name] = {"ms": milliseconds, **found}
        rows.append([name, *(f"{value:.2f}" for value in found.values()), f"{milliseconds:.2g}"])
    return Section(
        f"{folder.name}: distances",
        f"Spearman's rank correlation of distances between tokens with distances in the world, over {one.size} pairs "
        f"of frames of each of {len(frames)} trajectories, up to 25 steps apart.",
        ("", *found, "ms a frame"),
        rows,
        numbers,
    )


def _size(apart: np.ndarray, thing: str) -> np.ndarray:
    turned: np.ndarray = np.abs(np.angle(np.exp(1j * apart[..., 0])))
    return turned if thing == "angle" else np.linalg.norm(apart, axis=-1)


def planned(world: World, name: str, encoder: Callable[[], Encoder] | None, args: Any) -> Section:
    """Train and plan with an encoder; without one, do nothing and act at random."""
    data = collected(world, args)
    tasks = DatasetTasks(open_dataset(data / "unseen"), args.tasks, seed=args.seed)
    folder = args.out / f"{data.name}, {name}"
    numbers: dict[str, Any] = {}
    specs: Sequence[AgentSpec]
    if encoder is None:
        specs = baselines(tasks, args.seed)
    else:
        with counting(folder, "encoding") as spent:
            store = encode(open_dataset(data / "train", image_size=args.image_size), encoder(), folder / "stores")
        numbers["encoding_ms"] = 1e3 * spent["encoding"] / store.tokens.shape[0]
        settings = FinetuneSettings(
            num_steps=args.steps, warmup_steps=args.steps // 10, batch_size=args.windows, num_frames=6, seed=args.seed
        )
        planning = PlanningSettings(metric=args.metric)
        with counting(folder, "training") as spent:
            found = finetune(store, mode="scratch", settings=settings, planning=planning, folder=folder / "run")
        numbers |= {"training_s": spent["training"], "error": found.error.relative_error.tolist()}
        specs = [planning_spec(found.model, fast(), tasks)]
    with counting(folder, "planning") as spent:
        rows = evaluate_agents(specs, tasks, folder=folder / "tasks", seed=args.seed)
    if encoder is not None:
        numbers["plan_s"] = spent["planning"] / args.tasks
    return Section(
        f"{data.name}, {name}",
        f"{args.tasks} tasks.",
        (
            "",
            "goals reached at the end",
            "at any time",
            "error, 5 to 25 steps",
            "ms a frame",
            "training, s",
            "a plan, s",
        ),
        [line(name if encoder else row.agent, row, numbers) for row in rows],
        {"success": {row.agent: row.evaluation.report() for row in rows}, **numbers},
    )


def line(name: str, row: ResultRow, numbers: Mapping[str, Any]) -> list[str]:
    """Return a row as it is shown."""
    shown = [name, str(row.evaluation.success_end), str(row.evaluation.success_any)]
    if not numbers:
        return [*shown, *["–"] * 4]
    first, *_, last = numbers["error"]
    costs = [f"{numbers[key]:.2g}" for key in ("encoding_ms", "training_s", "plan_s")]
    return [*shown, f"{first:.0%} to {last:.0%}", *costs]


@contextmanager
def counting(folder: Path, what: str) -> Iterator[dict[str, float]]:
    """Add the processor's seconds that something takes to those in a file, of runs that were interrupted."""
    folder.mkdir(parents=True, exist_ok=True)
    file, start = folder / "seconds.json", process_time()
    spent: dict[str, float] = json.loads(file.read_text()) if file.exists() else {}
    try:
        yield spent
    finally:
        spent[what] = spent.get(what, 0.0) + process_time() - start
        with atomic_write(file) as opened:
            opened.write(json.dumps(spent).encode())


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = command("encoders", __doc__)
    parser.add_argument("--envs", nargs="+", choices=WORLDS, default=list(WORLDS), help="which")
    parser.add_argument("--encoders", nargs="+", choices=ENCODERS, default=list(ENCODERS)[:3], help="which")
    parser.add_argument("--image-size", type=whole, default=224, help="side of the frames in pixels")
    parser.add_argument("--episodes", type=whole, default=200, help="to train on")
    parser.add_argument("--steps", type=whole, default=300, help="of the optimiser")
    parser.add_argument("--windows", type=whole, default=64, help="of a step, each of 6 frames")
    parser.add_argument("--metric", default="cosine", help="of the distance to the goal")
    parser.add_argument("--tasks", type=whole, default=128, help="how many, from trajectories that no model saw")
    parser.add_argument("--seed", type=int, default=0, help="of training, tasks and agents")
    args = parser.parse_args(argv)
    measured: dict[str, Callable[[], Section]] = {}
    for env in args.envs:
        measured[f"{env}-distances"] = partial(distances, WORLDS[env], args)
        measured[f"{env}-baselines"] = partial(planned, WORLDS[env], "baselines", None, args)
        for name in args.encoders:
            key = f"{env}-{name.replace(', ', '-').replace(' ', '')}"
            measured[key] = partial(planned, WORLDS[env], name, ENCODERS[name], args)
    save("encoders", args, measured)


if __name__ == "__main__":
    main()
