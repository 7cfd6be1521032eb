"""What ``wmcontrol evaluate`` does."""

import hashlib
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..agents import SimulatorModel, load_policy
from ..evaluation import AgentSpec, Protocol, ResultRow, Video, baselines, film, report
from ..evaluation.protocols import protocol_named
from ..evaluation.specs import describe
from ..evaluation.tasks import Tasks
from ..files import exclusive_lock
from .agents_from_keys import Loaded, action_space_for, check_environment, file_digest, load_model, planning
from .errors import UsageError
from .files import check_device
from .judging import evaluate_with_bars
from .planner_names import make_planner, planner_settings
from .record import results_folder
from .tasks_from_keys import find_tasks

FILE = "tasks.jsonl"
_PLANNING = {"planning": "world model", "simulator": "true simulator"}  # by agent: how a report calls it
_FLOOR = {"noop": "no-op", "random": "random actions"}


def evaluate_agent(config: Any) -> None:
    """Judge an agent; ``config`` is that of :mod:`.jobs.evaluate`.

    Raises:
        UsageError: keys that do not go together, or a model or policy that does not fit the tasks.
    """
    check_device(config.device)
    protocol = protocol_named(config.protocol)
    loaded, warmup = None, config.warmup
    if config.agent in _PLANNING:
        loaded = load_model(config.model, config.device, config.dtype)
        if warmup is None and config.data is not None:
            warmup = loaded.model.planning.context_steps
    tasks = find_tasks(config, protocol, warmup or 0)
    if loaded is not None:
        check_environment(loaded, tasks.env_id)
    with ExitStack() as stack:
        specs = _specs(config, loaded, tasks, protocol, stack)
        same = replace(config, videos=0, out=None)  # these two change no number
        told = f"{same!r} {specs[0].about!r}"  # a model that was trained anew has a folder of its own
        name = hashlib.sha256(told.encode()).hexdigest()[:12]
        out = results_folder("evaluate", same, config.out or Path("outputs/evaluate") / name)
        stack.enter_context(exclusive_lock(out))
        rows = evaluate_with_bars(specs, tasks, protocol, out, seed=config.seed, batch=config.batch)
        page = _report(config, rows, specs[0], tasks, protocol, out)
    for row in rows:
        print(f"{row.env}, protocol {protocol.name}, {row}")
    print(page)


def _specs(config: Any, loaded: Loaded | None, tasks: Tasks, protocol: Protocol, stack: ExitStack) -> list[AgentSpec]:
    """Return the agents, the one that was asked for first; what must be closed is left to the stack."""
    if config.agent in _FLOOR:
        found = baselines(action_space_for(None, tasks))
        chosen = [spec for spec in found if spec.name == _FLOOR[config.agent]]
        if not chosen:
            raise UsageError(
                f"agent: in {tasks.env_id} with {dict(tasks.env_settings)} zero is an action that does something"
            )
        return [replace(chosen[0], file=FILE), *(spec for spec in found if spec is not chosen[0])]
    made = _policy(config) if loaded is None else _planning(config, loaded, tasks, protocol, stack)
    return [made, *baselines(action_space_for(made.agent, tasks))]


def _planning(config: Any, loaded: Loaded, tasks: Tasks, protocol: Protocol, stack: ExitStack) -> AgentSpec:
    planner = make_planner(config.planner, planner_settings(config.planner, protocol, config.planner_settings))
    simulator = None
    if config.agent == "simulator":
        try:
            made = SimulatorModel(loaded.model, tasks.env_id, env_settings=tasks.env_settings)
        except (TypeError, ValueError) as error:
            raise UsageError(f"agent=simulator: {error}") from error
        simulator = stack.enter_context(made)
    return planning(
        loaded,
        planner,
        protocol,
        name=_PLANNING[config.agent],
        file=FILE,
        objective=config.objective,
        history=config.history,
        simulator=simulator,
    )


def _policy(config: Any) -> AgentSpec:
    _, algorithm, path = (*config.agent.split(":", 2), "", "")[:3]
    try:
        policy = load_policy(algorithm, path, vecnormalize=config.vecnormalize)
    except (ImportError, OSError, ValueError) as error:
        raise UsageError(f"agent: {error}") from error
    statistics = config.vecnormalize and file_digest(config.vecnormalize)
    about = {"policy": f"sb3:{algorithm}", "file": path, "weights": file_digest(Path(path)), "vecnormalize": statistics}
    return AgentSpec(f"{algorithm} policy", policy, about, file=FILE)


def _report(config: Any, rows: list[ResultRow], spec: AgentSpec, tasks: Tasks, protocol: Protocol, out: Path) -> Path:
    videos = []
    count = min(config.videos, len(tasks.tasks))
    if count:
        path = out / f"episodes_{count}.mp4"
        if not path.exists():  # it is whole if it is there, and would show the same
            print(f"filming {count} episodes")
            film(spec.agent, tasks, protocol, path, num_episodes=count, seed=config.seed, title=spec.name)
        solved = ["solved" if success else "not solved" for success in rows[0].evaluation.successes()[:count]]
        videos.append(Video(f"{spec.name}, the first tasks: {', '.join(solved)}", path))
    return report(
        rows,
        out,
        title=f"{rows[0].env}: {spec.name}",
        about=[f"{spec.name}: {in_a_line({**spec.about, **settings_of(spec.agent)})}"],
        pairs=[(spec.name, row.agent) for row in rows[1:]] if config.agent not in _FLOOR else (),
        videos=videos,
    )


def settings_of(agent: Any) -> dict[str, Any]:
    """Return an agent's settings for readers: without digests of weights."""
    found = describe(agent)
    return {name: value for name, value in found.items() if name not in ("type", "model", "policy", "seed")}


def in_a_line(about: Mapping[str, Any]) -> str:
    """Return what the file of an evaluation says about an agent, for readers."""
    return "; ".join(f"{name} {_plain(value)}" for name, value in about.items()) + "."


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return "(" + ", ".join(f"{name} {_plain(item)}" for name, item in value.items()) + ")"
    return str(value)
