"""From the keys of ``evaluate`` to who is judged, on what, and how."""

import hashlib
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from ..agents import PlanningAgent, SimulatorModel
from ..data import Subset, TrajectoryDataset, held_out_split
from ..envs.contract import check_fits, image_size
from ..evaluation import (
    AgentSpec,
    DatasetTasks,
    Protocol,
    RandomTasks,
    ResultRow,
    Video,
    baselines,
    film,
    report,
)
from ..evaluation.episodes import make_env
from ..evaluation.specs import describe, env_label
from ..evaluation.tasks import Tasks
from ..models import WorldModel
from ..models.checkpoint import CONFIG, WEIGHTS, find_folder
from ..untrusted import AnyJson, MapOf, Record, read_json
from .errors import UsageError
from .objects import load_model, make, open_data, planning_changes, reader_of
from .progress import progress_bar

_FILE = "tasks.jsonl"
_CARD = Record({}, {"errors": MapOf(AnyJson())}, others=AnyJson())  # of what a model's card says, what is needed here
_PLANS = {"planning": "world model", "simulator": "true simulator"}  # by kind of agent: how a report calls it
_BASELINES = {"noop": "no-op", "random": "random actions"}


def saved_model(config: Any) -> WorldModel | None:
    """Return the model that is planned with; None for agents that do not plan.

    Raises:
        UsageError: there is none, or it takes no actions.
    """
    if config.agent.get("kind") not in _PLANS:
        return None
    model: WorldModel = load_model(config.model, config.device)
    if model.normalizer is None:
        raise UsageError(
            f"model: {config.model.path} takes no actions, so nothing can be planned with it; fine-tune it first"
        )
    return model


def find_tasks(config: Any, protocol: Protocol, model: WorldModel | None) -> Tasks:
    """Return the tasks that the keys ask for.

    Raises:
        UsageError: there are no such tasks.
    """
    if (config.env.id is None) == (config.data.path is None):
        got = "neither" if config.env.id is None else "both"
        raise UsageError(
            "give env=NAME, for tasks that the environment draws, or data.path=PATH, for tasks from trajectories; got "
            f"{got} of them"
        )
    if config.env.id is not None:
        if config.context_steps:
            raise UsageError(
                f"context_steps={config.context_steps} replays the steps before a task, which only tasks of "
                "data.path=PATH have"
            )
        if reader_of(config.data):
            raise UsageError(f"with env=NAME no data are read; leave data.{', data.'.join(reader_of(config.data))} out")
        return RandomTasks(config.env.id, protocol.num_tasks, seed=config.seed, env_settings=_env_settings(config))
    suits = model.planning.context_steps if model is not None else 0
    context_steps = suits if config.context_steps is None else config.context_steps
    dataset = _members(config, context_steps)
    try:
        with progress_bar("finding tasks", "tasks") as progress:
            return DatasetTasks(
                dataset,
                protocol.num_tasks,
                seed=config.seed,
                goal_offset=protocol.goal_offset,
                context_steps=context_steps,
                progress=progress,
            )
    except (TypeError, ValueError) as error:
        raise UsageError(f"data: {error}") from error


def _members(config: Any, context_steps: int) -> TrajectoryDataset:
    """Return the trajectories that tasks may come from, with the settings that their environment is to have."""
    if config.split not in ("held_out", "all"):
        raise UsageError(f"split: expected held_out or all, got {config.split}")
    whole = open_data(config.data)
    try:
        chosen = range(len(whole)) if config.split == "all" else held_out_split(len(whole), config.split_seed)[1]
        members = Subset(whole, [int(member) for member in chosen])
    except ValueError as error:
        raise UsageError(f"data: {error}") from error
    if whole.env_id is None:
        raise UsageError(
            f"data: {config.data.path} does not say which environment it is of; tasks cannot be made of it"
        )
    members.env_settings = {**whole.env_settings, **_env_settings(config)}
    if context_steps and members.env_settings.get("action_mode") != whole.env_settings.get("action_mode"):
        raise UsageError(
            "env.settings: with another action_mode than that of data, context_steps cannot replay its actions"
        )
    return members


def _env_settings(config: Any) -> dict[str, Any]:
    plain: Any = OmegaConf.to_container(config.env.settings)
    return dict(plain)


def check_environment(path: Any, env_id: str) -> None:
    """Refuse a packaged model in another environment than its card names; other models do not say where they belong.

    Raises:
        UsageError: it is of another one.
    """
    card = find_folder(str(path)) / "card.json" if not str(path).startswith("hf://") else Path("card.json")
    if not card.exists():
        return
    known = list(read_json(card, _CARD).get("errors", {}))
    if known and env_label(env_id).lower().split("_")[0] not in known:
        raise UsageError(f"model: {path} is a model of {', '.join(known)}, and the tasks are in {env_label(env_id)}")


def find_specs(
    config: Any, model: WorldModel | None, tasks: Tasks, protocol: Protocol, stack: ExitStack
) -> list[AgentSpec]:
    """Return the agents, the one that was asked for first; what must be closed is left to the stack.

    Raises:
        UsageError: there is no such agent, or it does not fit the tasks.
    """
    kind = config.agent.get("kind")
    if model is not None:
        check_environment(config.model.path, tasks.env_id)
    if kind in _BASELINES:
        found = baselines(_actions(None, tasks))
        chosen = [spec for spec in found if spec.name == _BASELINES[kind]]
        if not chosen:
            raise UsageError(
                f"agent={kind}: in {tasks.env_id} with {dict(tasks.env_settings)} zero is an action that does something"
            )
        return [replace(chosen[0], file=_FILE), *(spec for spec in found if spec is not chosen[0])]
    made = _own(config) if model is None else _planning(config, model, tasks, protocol, stack)
    return [made, *baselines(_actions(made.agent, tasks))]


def _planning(config: Any, model: WorldModel, tasks: Tasks, protocol: Protocol, stack: ExitStack) -> AgentSpec:
    kind = config.agent.kind
    imagines: Any = model
    own = make(config.objective, "objective")
    changes = {} if own else planning_changes(config.objective)
    try:
        power = replace(model.planning, **changes).standardize
    except ValueError as error:
        raise UsageError(f"objective: {error}") from error
    if own is None and power and model.token_std is None:
        raise UsageError(
            "objective: to standardize, a model must know how its tokens vary, and this one was saved without: say "
            "objective.standardize=0, or fine-tune it anew in another folder"
        )
    if config.context_frames is not None:
        changes["context_frames"] = config.context_frames
    try:
        if kind == "simulator":
            imagines = stack.enter_context(SimulatorModel(model, tasks.env_id, env_settings=tasks.env_settings))
        agent = PlanningAgent.from_model(
            imagines,
            make(config.planner, "planner"),
            objective=own,
            horizon=protocol.horizon,
            replan_every=protocol.replan_every,
            **changes,
        )
    except (TypeError, ValueError) as error:
        raise UsageError(f"agent={kind}: {error}") from error
    folder = find_folder(config.model.path)
    about = {
        "model": str(config.model.path),
        "weights": _digest(folder / WEIGHTS),
        "config": _digest(folder / CONFIG),
        "dtype": str(model.dtype).removeprefix("torch."),
        **({"standardize": power} if own is None else {}),
    }
    return AgentSpec(_PLANS[kind], agent, about, role="oracle" if kind == "simulator" else "model", file=_FILE)


def _own(config: Any) -> AgentSpec:
    """Return an agent that its ``_target_`` makes."""
    agent = make(config.agent, "agent")
    about: dict[str, Any] = {name: value for name, value in config.agent.items() if name != "_target_"}
    for name in ("path", "vecnormalize"):
        if about.get(name) is not None and Path(str(about[name])).is_file():
            about[f"{name}_sha256"] = _digest(Path(about[name]))
    name = about["algorithm"] + " policy" if "algorithm" in about else type(agent).__name__
    return AgentSpec(name, agent, about, file=_FILE)


def _digest(path: Path) -> str:
    """Return the SHA-256 digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _actions(agent: Any, tasks: Tasks) -> Any:
    """Return the action space of the tasks' environment, once it is sure that an agent fits it."""
    try:
        env = make_env(tasks.env_id, 1, tasks.env_settings, image_size(agent))
    except (TypeError, ValueError) as error:
        raise UsageError(f"env: {error}") from error
    try:
        check_fits(agent, env)
    except ValueError as error:
        key = "model" if isinstance(agent, PlanningAgent) else "agent"
        raise UsageError(f"{key}: it is not of {env_label(tasks.env_id)}: {error}") from error
    finally:
        env.close()
    return env.single_action_space


def make_report(
    config: Any, rows: list[ResultRow], spec: AgentSpec, tasks: Tasks, protocol: Protocol, out: Path
) -> Path:
    """Film the first episodes, and save the report."""
    videos = []
    count = min(config.videos, len(tasks.tasks))
    if count > 0:
        path = out / f"episodes_{count}.mp4"
        if not path.exists():  # it is whole if it is there, and would show the same
            print(f"filming {count} episodes")
            film(spec.agent, tasks, protocol, path, num_episodes=count, seed=config.seed, title=spec.name)
        solved = ["solved" if success else "not solved" for success in rows[0].evaluation.successes()[:count]]
        videos.append(Video(f"{spec.name}, the first tasks: {', '.join(solved)}", path))
    told = {name: value for name, value in describe(spec.agent).items() if name not in ("type", "model", "policy")}
    return report(
        rows,
        out,
        title=f"{rows[0].env}: {spec.name}",
        about=[f"{spec.name}: {_in_a_line({**spec.about, **told})}"],
        pairs=[(spec.name, row.agent) for row in rows[1:]] if spec.role != "baseline" else (),
        videos=videos,
    )


def _in_a_line(about: Mapping[str, Any]) -> str:
    return "; ".join(f"{name} {_plain(value)}" for name, value in about.items()) + "."


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return "(" + ", ".join(f"{name} {_plain(item)}" for name, item in value.items()) + ")"
    return str(value)
