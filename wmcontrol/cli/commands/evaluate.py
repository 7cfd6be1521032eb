"""``wmcontrol evaluate``."""

import sys
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from omegaconf import OmegaConf

from ..errors import UsageError
from ..objects import device_of, made, make, open_data, planning_changes, protocol_of, reader_of, run_folder, tracking
from ..progress import progress_bar, progress_bars

if TYPE_CHECKING:
    from ...evaluation import AgentSpec, Protocol, Tasks

_APART = ("videos", "device", "jobs", "tracker")  # keys that change no number
_PLAN = ("planning", "simulator")  # kinds of agents
_BASELINES = {"noop": "no-op", "random": "random actions"}  # by kind of agent: how a report calls it


@dataclass
class Config:
    """Judge an agent on tasks, under a protocol: how many it solves, with an interval and baselines beside it.

    Tasks are drawn in env=NAME, or taken from the trajectories of data.path=PATH: a start, and a goal that was reached
    goal_offset steps later. An environment that is registered in a module of yours is env.id=module:ID, with data too.
    No-op and random actions are judged in any case.

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
        device: where the model works; auto is a GPU if there is one. For example cpu.
        videos: how many episodes are filmed. For example 0.
        out: the folder for all of it; by default one of these settings, under outputs/evaluate. For example
            results/wall.
    """

    context_frames: int | None = None
    context_steps: int | None = None
    split: Literal["held_out", "all"] = "held_out"
    split_seed: int = 0
    seed: int = 0
    batch: int = 16
    jobs: int = 1
    device: str = "auto"
    videos: int = 3
    out: str | None = None


def run(config: Any) -> None:
    """Judge it."""
    from ...checks import check_whole
    from ...evaluation import evaluate_and_report
    from ...evaluation.episodes import check
    from ...evaluation.specs import describe
    from ...runs import open_run

    with made():
        check_whole("videos", config.videos, least=0)
        check_whole("jobs", config.jobs)
    protocol = protocol_of(config)
    plans = config.agent.get("kind") in _PLAN
    model = make(config.model, "model", device=device_of(config)) if plans else None
    tasks = _tasks(config, protocol, model)
    with ExitStack() as stack:
        spec = _spec(config, tasks, protocol, model, stack)
        with made("agent"):
            check(spec.agent, tasks, protocol, seed=config.seed, batch=config.batch)
        out = run_folder(config, "evaluate", apart=_APART, about={"spec": describe(spec.agent), **spec.about})
        plain: Any = OmegaConf.to_container(config)
        settings = {name: value for name, value in plain.items() if name not in ("out", *_APART)}
        tracker = stack.enter_context(tracking(config.tracker, out))
        stack.enter_context(open_run(out, "evaluate", settings))
        if config.device == "auto" and model is not None:
            print(f"device: {model.device}", file=sys.stderr)
        progress = stack.enter_context(progress_bars("tasks"))
        rows, page = evaluate_and_report(
            spec,
            tasks,
            protocol,
            out,
            seed=config.seed,
            batch=config.batch,
            jobs=config.jobs,
            videos=config.videos,
            tracker=tracker,
            progress=progress,
        )
    for row in rows:
        print(f"{row.env}, protocol {protocol.name}, {row}")
    print(page)


def _tasks(config: Any, protocol: "Protocol", model: Any) -> "Tasks":
    from ...data import Subset, held_out_split
    from ...evaluation import DatasetTasks, RandomTasks, baselines

    env = config.env.id
    settings: Any = OmegaConf.to_container(config.env.settings)
    if env is None and config.data.path is None:
        raise UsageError(
            "give env=NAME, for tasks that the environment draws, or data.path=PATH, for tasks from trajectories; got "
            "neither of them"
        )
    if config.data.path is None:
        if config.context_steps:
            raise UsageError("context_steps replays the steps before a task, which only tasks of data.path=PATH have")
        if reader_of(config.data):
            raise UsageError(f"with env=NAME no data are read; leave data.{', data.'.join(reader_of(config.data))} out")
        with made("env"):
            tasks = RandomTasks(env, protocol.num_tasks, seed=config.seed, env_settings=settings)
            baselines(tasks)  # whether there is such an environment
            return tasks
    suits = model.planning.context_steps if model is not None else 0
    dataset = open_data(config.data)
    if env is not None and dataset.env_id not in (None, env.rpartition(":")[2]):
        raise UsageError(f"env: expected {dataset.env_id}, of which the data are, or nothing; got {env}")
    with made("data"), progress_bar("finding tasks", "tasks") as progress:
        if config.split == "held_out":
            dataset = Subset(dataset, held_out_split(len(dataset), config.split_seed)[1])
        return DatasetTasks(
            dataset,
            protocol.num_tasks,
            seed=config.seed,
            goal_offset=protocol.goal_offset,
            context_steps=suits if config.context_steps is None else config.context_steps,
            env_id=env,
            env_settings=settings,
            progress=progress,
        )


def _spec(config: Any, tasks: "Tasks", protocol: "Protocol", model: Any, stack: ExitStack) -> "AgentSpec":
    from ...agents import SimulatorModel
    from ...evaluation import AgentSpec, baselines, planning_spec
    from ...evaluation.specs import file_digest

    kind = config.agent.get("kind")
    if model is not None:
        objective = make(config.objective, "objective")
        changes = {} if objective else planning_changes(config.objective)
        if config.context_frames is not None:
            changes["context_frames"] = config.context_frames
        with made("objective"):
            replace(model.planning, **changes)
        with made(f"agent={kind}, model={config.model.path}"):
            if kind == "simulator":
                model = SimulatorModel(model, tasks.env_id, env_settings=tasks.env_settings)
                stack.enter_context(model)
            planner, path = make(config.planner, "planner"), config.model.path
            return planning_spec(model, planner, tasks, protocol, path=path, objective=objective, **changes)
    if kind in _BASELINES:
        for spec in baselines(tasks):
            if spec.name == _BASELINES[kind]:
                return spec
        raise UsageError(
            f"agent={kind}: in {tasks.env_id} with {dict(tasks.env_settings)} zero is an action that does something"
        )
    agent = make(config.agent, "agent")
    about: dict[str, Any] = {name: value for name, value in config.agent.items() if name != "_target_"}
    files = {name: about.get(name) for name in ("path", "vecnormalize")}
    about |= {f"{name}_sha256": file_digest(path) for name, path in files.items() if path and Path(path).is_file()}
    return AgentSpec(about["algorithm"] + " policy" if "algorithm" in about else type(agent).__name__, agent, about)
