"""``wmcontrol evaluate``."""

import sys
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

from ..errors import UsageError
from ..objects import device_of, made, make, open_data, plain, planning_changes, protocol_of, run_folder, tracking
from ..progress import progress_bar, progress_bars

_PLAN = ("planning", "simulator", "hierarchical", "subgoals")
_BASELINES = {"noop": "no-op", "random": "random actions"}
_APART = ("videos", "device", "jobs", "tracker")  # keys that change no number


@dataclass
class Config:
    """Judge an agent on tasks, under a protocol: how many it solves, with an interval and baselines beside it.

    Tasks are drawn in env=NAME, or taken from the trajectories of data.path=PATH: a start, and a goal that was reached
    goal_offset steps later, or with goal_offset=null in another trajectory. An environment that is registered in a
    module of yours is env.id=module:ID, with data too.
    No-op and random actions are judged in any case; where the model has an action prior, so is what it proposes; and
    beside agent=hierarchical and agent=subgoals the agent that plans straight for the goal.

    Saved are a line of JSON for each task, tables, plots, videos and report.html, which shows them all. Killed, it goes
    on where it stopped when the same line is run again; finished, it only reports anew.

    Example: wmcontrol evaluate model=wall env=wall protocol=mpc planner=icem num_tasks=64 videos=0

    Args:
        context_frames: frames that the model sees at most, one model step apart; by default as many as the model was
            saved with. For example 3.
        context_steps: environment steps of data that are replayed before the agent takes over, while it observes;
            context_frames=3 needs two model steps, 10; by default as many as the model was saved with. For example 10.
        num_proposals: sequences of actions that the search begins with, where the model has an action prior; 0 for
            none; by default as many as the model was saved with, and 128 of agent=subgoals. For example 200.
        search_space: what the planner searches over: noise, which the model's action prior makes actions from, where it
            has one; or actions, as agent=subgoals does in any case; by default as the model was saved, or noise. For
            example actions.
        device: where the model works; auto is a GPU if there is one. For example cpu.
        out: the folder for all of it; by default one of these settings, under outputs/evaluate. For example
            results/wall.
    """

    context_frames: int | None = None
    context_steps: int | None = None
    num_proposals: int | None = None
    search_space: str | None = None
    device: str = "auto"
    out: str | None = None


def run(config: Any) -> None:
    """Judge it."""
    from ...evaluation import evaluate_and_report
    from ...evaluation.episodes import check
    from ...evaluation.specs import describe
    from ...runs import open_run

    how = {name: config[name] for name in ("seed", "batch", "jobs", "videos")}
    protocol, kind = protocol_of(config), config.agent.get("kind")
    if kind not in (None, *_PLAN, *_BASELINES):
        raise UsageError(f"agent.kind: there is no {kind!r}; choose an agent by agent=NAME, and leave agent.kind out")
    plans = kind in _PLAN
    model = make(config.model, "model", device=device_of(config)) if plans else None
    tasks = _tasks(config, protocol, model)
    with ExitStack() as stack:
        spec = _spec(config, tasks, protocol, model)
        if kind == "simulator":
            stack.enter_context(spec.agent.model)
        with made("agent"):
            check(spec.agent, tasks, protocol, **how)
        out = run_folder(config, "evaluate", apart=_APART, about={"spec": describe(spec.agent), **spec.about})
        settings = {name: value for name, value in plain(config).items() if name not in ("out", *_APART)}
        tracker = stack.enter_context(tracking(config.tracker, out))
        stack.enter_context(open_run(out, "evaluate", settings))
        if config.device == "auto" and model is not None:
            print(f"device: {model.device}", file=sys.stderr)
        if plans and "_target_" not in config.planner:  # auto
            print(f"planner: {spec.agent.planner}", file=sys.stderr)
        progress = stack.enter_context(progress_bars("tasks"))
        how |= {"imports": plain(config.imports), "tracker": tracker, "progress": progress}
        rows, page = evaluate_and_report(spec, tasks, protocol, out, **how)
    for row in rows:
        print(f"{row.env}, protocol {protocol.name}, {row}")
    print(page)


def _tasks(config: Any, protocol: Any, model: Any) -> Any:
    from ...evaluation import PROTOCOLS, DatasetTasks, RandomTasks, baselines

    shared: Any = {"num_tasks": protocol.num_tasks, "seed": config.seed, "env_settings": plain(config.env.settings)}
    dataset = open_data(config.data, optional=True)
    if dataset is None:
        if config.env.id is None or config.context_steps:
            raise UsageError(
                "give env=NAME, for tasks that the environment draws; or data.path=PATH, for tasks from trajectories, "
                "which alone have steps before them for context_steps to replay"
            )
        usual = PROTOCOLS.get(config.protocol)  # whose goal_offset nobody asked for
        if usual is not None and protocol.goal_offset != usual.goal_offset:
            raise UsageError(
                f"goal_offset: tasks that the environment draws have their goals anywhere, got {protocol.goal_offset}; "
                "give data.path=PATH, for tasks from trajectories"
            )
        with made("env"):
            tasks = RandomTasks(config.env.id, **shared)
            baselines(tasks)  # whether there is such an environment
            return tasks
    suits = 0 if model is None else model.planning.context_steps
    with made("data"), progress_bar("finding tasks", "tasks") as progress:
        return DatasetTasks(
            dataset,
            goal_offset=protocol.goal_offset,
            context_steps=suits if config.context_steps is None else config.context_steps,
            split=config.split,
            split_seed=config.split_seed,
            env_id=config.env.id,
            progress=progress,
            **shared,
        )


def _spec(config: Any, tasks: Any, protocol: Any, model: Any) -> Any:
    from ...agents import HierarchicalAgent, PlanningAgent, SubgoalAgent
    from ...evaluation import baseline, planning_spec, policy_spec

    kind = config.agent.get("kind")
    if model is None and kind is not None:
        with made(f"agent={kind}"):
            return baseline(_BASELINES[kind], tasks)
    if model is None:
        about = {name: value for name, value in plain(config.agent).items() if name != "_target_"}
        return policy_spec(make(config.agent, "agent"), **about)
    objective, planner = make(config.objective, "objective"), make(config.planner, "planner")
    own = {name: value for name, value in plain(config.agent).items() if name != "kind"}
    changes = {} if objective else planning_changes(config.objective)
    with made("objective"):
        replace(model.planning, **changes)
    own_keys = ("context_frames", "num_proposals", "search_space")
    changes |= {name: config[name] for name in own_keys if config[name] is not None}
    with made():
        replace(model.planning, **changes)
    path = config.model.get("path")
    with made(f"agent={kind}, model={path}"):
        return planning_spec(
            model,
            planner,
            tasks,
            protocol,
            simulator=kind == "simulator",
            kind={"hierarchical": HierarchicalAgent, "subgoals": SubgoalAgent}.get(kind, PlanningAgent),
            path=path,
            objective=objective,
            **changes,
            **own,
        )
