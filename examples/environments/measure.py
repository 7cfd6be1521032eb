"""Collect, train and plan in the environments of this folder, and print a table of goals reached.

python examples/environments/measure.py reacher pusht --out results
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from wmcontrol import CategoricalCEM, Predictor, PyramidEncoder, WorldModel
from wmcontrol.data import Subset, collect, encode, fit_encoder, held_out_split, policies
from wmcontrol.evaluation import AgentSpec, DatasetTasks, Protocol, baselines, evaluate_agents, planning_spec
from wmcontrol.planners import fast
from wmcontrol.training import FinetuneSettings, finetune


@dataclass(frozen=True)
class Setting:
    """What is measured in one environment.

    Attributes:
        env_id: which.
        frameskip: environment steps of a model step.
        horizon: model steps of a plan.
        num_episodes: of 100 frames, of random actions that last 5 steps on average.
        num_steps: of the optimiser.
        context_frames: that the agent sees, one model step apart: one tells no velocity.
        standardize: see ``PlanningSettings``.
    """

    env_id: str
    frameskip: int = 5
    horizon: int = 5
    num_episodes: int = 200
    num_steps: int = 600
    context_frames: int = 2
    standardize: float = 0.0


SETTINGS = {
    "reacher": Setting("examples/Reacher-v0"),
    "pusher": Setting("examples/Pusher-v0"),
    "pusht": Setting("examples/PushT-v0"),
    "point_maze": Setting("examples/PointMaze-v0", frameskip=10),
    "cartpole": Setting("examples/Cartpole-v0", num_episodes=100),
    "ogbench_maze": Setting("examples/OGBenchMaze-v0", num_episodes=100),
    "four_ways": Setting("examples/FourWays-v0"),
}


def measure(name: str, out: Path, *, num_tasks: int, seed: int, replanning: bool) -> str:
    """Return the rows of one environment; what is done already is read."""
    import_module(name)
    setting, seconds = SETTINGS[name], {}
    episodes, steps = setting.num_episodes, setting.num_steps
    offset = setting.frameskip * setting.horizon

    def timed(what: str, call: Callable[[], Any]) -> Any:
        begun = time.process_time()
        found = call()
        seconds[what] = time.process_time() - begun
        print(f"{name}: {what} {seconds[what]:.0f} s", flush=True)
        return found

    random = policies.random(setting.env_id)
    data = timed("collect", lambda: collect(setting.env_id, random, episodes, folder=out / f"data_{episodes}"))

    def encoded() -> Any:
        encoder = PyramidEncoder(num_components=64)
        fit_encoder(encoder, [data], num_frames=4000, folder=out / f"stores_{episodes}")
        return encode(data, encoder, out / f"stores_{episodes}")

    store = timed("encode", encoded)
    training = FinetuneSettings(num_steps=steps, frameskip=setting.frameskip, batch_size=64, warmup_steps=steps // 10)
    folder = out / f"model_{episodes}_{steps}_{setting.frameskip}"
    # A tenth of the size that it has without a base: so little data do not fill it, and it is three times as fast.
    small = WorldModel(
        store.encoder, Predictor(store.encoder.dim, width=96, depth=3, num_heads=3), control_rate=data.control_rate
    )

    def trained() -> Any:
        return finetune(store, base=small, mode="scratch", settings=training, folder=folder, device="cpu")

    result = timed("train", trained)
    print(f"{name}: {result.error}", flush=True)
    held_out = Subset(data, held_out_split(len(data), 0)[1])
    protocols = [Protocol(name="one plan", goal_offset=offset, budget=offset, replan_every=offset)]
    if replanning:
        protocols += [Protocol(name="replanning", goal_offset=offset, budget=50, replan_every=setting.frameskip)]
    lines = []
    for protocol in protocols:
        protocol = replace(protocol, horizon=setting.horizon)
        context_steps = (setting.context_frames - 1) * setting.frameskip
        tasks = DatasetTasks(held_out, num_tasks, seed=seed, goal_offset=offset, context_steps=context_steps)
        planner = CategoricalCEM(num_samples=100, num_elites=10) if data.action_layout else fast()
        about = {"context_frames": setting.context_frames, "standardize": setting.standardize}
        planned = planning_spec(result.model, planner, tasks, protocol, **about)
        specs = [AgentSpec("world model", planned.agent), *baselines(tasks)]
        how = "_".join(str(part) for part in (protocol.name.replace(" ", "_"), num_tasks, seed, *about.values()))
        rows = timed(protocol.name, lambda: evaluate_agents(specs, tasks, protocol, folder / how))  # noqa: B023
        for row in rows:
            found = row.evaluation
            seconds_each = f"{found.seconds_per_decision:.2f}" if row.role == "model" else ""
            parts = (name, protocol.name, row.agent, found.success_end, found.success_any, seconds_each)
            lines.append(f"| {' | '.join(map(str, parts))} |")
            print(lines[-1], flush=True)
    print(", ".join(f"{what} {spent:.0f} s" for what, spent in seconds.items()), flush=True)
    return "\n".join(lines)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", default=list(SETTINGS), help=f"of {', '.join(SETTINGS)}")
    parser.add_argument("--out", type=Path, default=Path("outputs/environments"), help="a folder")
    parser.add_argument("--num-tasks", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0, help="of the tasks")
    parser.add_argument("--replanning", action="store_true", help="also with a plan every model step, 50 steps in all")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)  # of the predictor's first weights: a run that was killed goes on with the same ones
    about = {name: getattr(args, name) for name in ("num_tasks", "seed", "replanning")}
    tables = [measure(name, args.out / name, **about) for name in args.names]
    print("| environment | protocol | agent | at the end | at any time | seconds per decision |")
    print("|---|---|---|---|---|---|", *tables, sep="\n")


if __name__ == "__main__":
    main()
