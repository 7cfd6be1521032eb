"""Plan with EfficientNet's features beside the pyramid's, on Wall and Push-T at 224 pixels: success, and what it costs.

Encoders get the same trajectories, optimiser steps, planner and tasks. The predictor is the size tiny, trained from
scratch; one plan of 25 steps, all of them executed (protocol "paper"), by fast(). Times are seconds of one core that
the process got, so that they hold on a busy machine too. A killed run goes on: what is finished is not done again.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import process_time
from typing import Any

from wmcontrol import Encoder, PyramidEncoder
from wmcontrol.data import collect, encode, open_dataset
from wmcontrol.data.policies import pushes, random
from wmcontrol.encoders import EfficientNetEncoder
from wmcontrol.evaluation import AgentSpec, DatasetTasks, ResultRow, baselines, evaluate_agents, planning_spec
from wmcontrol.files import atomic_write
from wmcontrol.models import PlanningSettings
from wmcontrol.planners import fast
from wmcontrol.training import FinetuneSettings, finetune

from .results import Section, command, save, whole

UNSEEN = 100  # trajectories that tasks are drawn from


@dataclass(frozen=True)
class World:
    """An environment, who acts in it, and for how many frames."""

    env_id: str
    policy: Callable[..., Any]
    num_frames: int


WORLDS: Mapping[str, World] = {
    "wall": World("wmcontrol/Wall-v0", random, 40),
    "pusht": World("wmcontrol/PushT-v0", pushes, 40),
}
ENCODERS: Mapping[str, Callable[[], Encoder]] = {
    "pyramid, 1 x 1 x 128": partial(PyramidEncoder, 128),
    "EfficientNet, 2 x 2 x 112": partial(EfficientNetEncoder, pool=7),
    "pyramid, 2 x 2 x 112": partial(PyramidEncoder, 112, tokens=(2, 2)),
    "EfficientNet, 7 x 7 x 112": partial(EfficientNetEncoder, pool=2),
}


def planned(world: World, name: str, encoder: Callable[[], Encoder] | None, args: Any) -> Section:
    """Train and plan with an encoder; without one, do nothing and act at random."""
    data = args.out / "data" / world.env_id.split("/")[1]
    policy = world.policy(world.env_id, num_frames=world.num_frames)
    for part, count, seed in (("train", args.episodes, 0), ("unseen", UNSEEN, 1)):
        collect(world.env_id, policy, count, folder=data / part, seed=seed)
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
        measured[f"{env}-baselines"] = partial(planned, WORLDS[env], "baselines", None, args)
        for name in args.encoders:
            key = f"{env}-{name.replace(', ', '-').replace(' ', '')}"
            measured[key] = partial(planned, WORLDS[env], name, ENCODERS[name], args)
    save("encoders", args, measured)


if __name__ == "__main__":
    main()
