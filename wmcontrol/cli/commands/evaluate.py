"""``wmcontrol evaluate``."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from ..errors import UsageError
from ..objects import made, protocol_of, run_folder
from ..progress import progress_bars

_APART = ("videos", "device", "jobs")  # keys that change no number


@dataclass
class Config:
    """Judge an agent on tasks, under a protocol: how many it solves, with an interval and baselines beside it.

    Tasks are drawn in env=NAME, or taken from the trajectories of data.path=PATH: a start, and a goal that was reached
    goal_offset steps later. No-op and random actions are judged in any case.

    Saved are a line of JSON for each task, tables, plots, videos and report.html, which shows them all. Killed, it goes
    on where it stopped when the same line is run again; finished, it only reports anew.

    Example: wmcontrol evaluate model=wall env=wall protocol=mpc planner=icem num_tasks=64 videos=0

    Args:
        context_frames: frames that the model sees at most, one model step apart; by default as many as the model was
            saved with. For example 3.
        context_steps: environment steps of data that are replayed before the agent takes over, while it observes;
            context_frames=3 needs two model steps, 10; by default as many as the model was saved with. For example 10.
        split: which trajectories of data: held_out, those that finetune holds out, or all, of a set that nothing was
            trained on. For example all.
        split_seed: the seed that the model was fine-tuned with, for the split. For example 1.
        seed: of the tasks, and of the agent's random numbers. For example 1.
        batch: tasks that run side by side. For example 32.
        jobs: processes that share the tasks, with a thread each; numbers are the same for any. For example 4.
        device: where the model works. For example cuda.
        videos: how many episodes are filmed. For example 0.
        out: the folder for all of it; by default one of these settings, under outputs/evaluate. For example
            results/wall.
    """

    context_frames: int | None = None
    context_steps: int | None = None
    split: str = "held_out"
    split_seed: int = 0
    seed: int = 0
    batch: int = 16
    jobs: int = 1
    device: str = "cpu"
    videos: int = 3
    out: str | None = None


def run(config: Any) -> None:
    """Judge it."""
    from ...evaluation import evaluate_agents
    from ...evaluation.specs import describe
    from ...runs import open_run
    from ...training.distributed import usable_device
    from ..judged import find_specs, find_tasks, make_report, saved_model

    for name, least in (("seed", 0), ("batch", 1), ("jobs", 1), ("videos", 0)):
        if config[name] < least:
            raise UsageError(f"{name}: expected a whole number from {least} up, got {config[name]}")
    with made():
        usable_device(config.device)
    protocol, model = protocol_of(config), saved_model(config)
    tasks = find_tasks(config, protocol, model)
    with ExitStack() as stack:
        specs = find_specs(config, model, tasks, protocol, stack)
        about = {"spec": describe(specs[0].agent), **specs[0].about}
        out = run_folder(config, "evaluate", apart=_APART, about=about)
        stack.enter_context(open_run(out, "evaluate", _settings(config)))
        progress = stack.enter_context(progress_bars("tasks"))
        rows = evaluate_agents(
            specs, tasks, protocol, out, seed=config.seed, batch=config.batch, jobs=config.jobs, progress=progress
        )
        page = make_report(config, rows, specs[0], tasks, protocol, out)
    for row in rows:
        print(f"{row.env}, protocol {protocol.name}, {row}")
    print(page)


def _settings(config: Any) -> Mapping[str, Any]:
    from omegaconf import OmegaConf

    plain: Any = OmegaConf.to_container(config)
    return {name: value for name, value in plain.items() if name not in ("out", *_APART)}
