"""What each stage of a comparison does, and on what it is built."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import gymnasium as gym

from ..agents import NoOpAgent, PlanningAgent, RandomAgent, SimulatorModel
from ..evaluation import DatasetTasks, Evaluation, evaluate, film
from ..models import WorldModel
from ..models.checkpoint import packaged_folder
from ..objectives import GoalDistance
from .agents_from_keys import model_digests
from .assets_steps import (
    collecting,
    deciding_keys,
    encoded_facts,
    model_of,
    run_folder,
    set_of,
    store_of,
    trained_facts,
)
from .compare_settings import Comparison
from .jobs import encode, finetune
from .planner_names import make_objective, make_planner
from .reader_keys import open_data
from .recipes import Data
from .stages import Stage

TASKS, FILM = "tasks.jsonl", "film.mp4"
NO_OP, RANDOM, SIMULATOR, PACKAGED = "no-op", "random actions", "true simulator", "packaged"
_BATCH = 16  # tasks side by side
_FILMED = 3  # tasks
_TOLD = (
    "agent",
    "num_train_trajectories",
    "training_seed",
    "planner",
    "planner_settings",
    "objective",
    "history",
    "weights",
    "config",
)


@dataclass(frozen=True)
class Row:
    """One who is judged, and the stage that judges.

    Args:
        env: short name of the environment.
        agent: the mode of fine-tuning, or one of ``NO_OP``, ``RANDOM`` and ``SIMULATOR``.
        labelled: trajectories that it was trained on; None: it was not trained.
        stages: one for each training seed; each leaves ``TASKS`` in its folder.
    """

    env: str
    agent: str
    labelled: int | None
    stages: tuple[Stage, ...]


@dataclass(frozen=True)
class Plan:
    """All that a comparison does.

    Args:
        rows: of the report.
        films: stages that leave ``FILM`` in their folders, by environment.
    """

    rows: tuple[Row, ...]
    films: Mapping[str, Stage]

    @property
    def stages(self) -> list[Stage]:
        """The last stages, which need all others."""
        return [*(stage for row in self.rows for stage in row.stages), *self.films.values()]


def plan(comparison: Comparison) -> Plan:
    """Return the stages of a comparison; none of them has done anything yet."""
    rows: list[Row] = []
    films = {}
    for name in comparison.data:
        found, films[name] = _plan_one(comparison, name)
        rows += found
    return Plan(tuple(rows), films)


def _plan_one(asked: Comparison, name: str) -> tuple[list[Row], Stage]:
    data, (base, encoder) = asked.data[name], asked.base_digests
    read: dict[str, Any] = {"image_size": asked.image_size, "dtype": "float16", "encoder": encoder}
    sets: tuple[Stage, ...] = ()
    unseen: tuple[Stage, ...] = ()
    path = None
    if isinstance(data, Data):
        seen, other = collecting(name, data)
        sets, unseen = (seen,), (other,)
    else:
        path = data.resolve()
        read["data"] = asked.own[name].fingerprint()
    store = Stage(f"encode {name}", read, sets, partial(_encode, path=path, asked=asked))
    most = asked.trained_on(name)
    judging = partial(_judge, asked=asked, name=name)
    rows: list[Row] = []
    with_all: list[Stage] = []
    of_first_seed: dict[str, Stage] = {}
    for labelled in (None, *sorted(asked.labelled, reverse=True)):
        for mode in asked.modes:
            judged = []
            for seed in asked.training_seeds:
                keys = _keys(asked, name, mode, labelled, seed)
                title = f"{name} {mode} {labelled or most} seed {seed}"
                model = Stage(f"train {title}", {"base": base, **keys}, (store,), partial(_train, base=asked.base))
                settings = _settings(asked, name, mode, asked.num_tasks)
                settings |= {"num_train_trajectories": labelled or most, "training_seed": seed}
                judged.append(Stage(f"evaluate {title}", settings, (model, *unseen), judging))
                of_first_seed.setdefault(mode, model)
            rows.append(Row(name, mode, labelled or most, tuple(judged)))
            with_all += [] if labelled else judged
    floors = unseen or (store,)
    if asked.packaged:
        rows.append(Row(name, PACKAGED, None, (_judged(asked, name, PACKAGED, floors, judging),)))
    rows += [Row(name, agent, None, (_judged(asked, name, agent, floors, judging),)) for agent in (NO_OP, RANDOM)]
    if asked.oracle_tasks:
        # Its encoder and statistics of actions are those of any model that was trained on all.
        model = of_first_seed["full" if "full" in asked.modes else asked.modes[-1]]
        rows.append(Row(name, SIMULATOR, None, (_judged(asked, name, SIMULATOR, (model, *unseen), judging),)))
    settings = _settings(asked, name, "the best", min(_FILMED, asked.num_tasks))
    return rows, Stage(f"film {name}", settings, (*with_all, *unseen), partial(_film, asked=asked, name=name))


def _keys(asked: Comparison, name: str, mode: str, labelled: int | None, seed: int) -> dict[str, Any]:
    """Return the keys of fine-tuning."""
    given = {**asked.training[name], **({"num_steps": asked.few_steps} if labelled else {})}
    given.setdefault("warmup_steps", finetune.short_warmup(given["num_steps"]))
    config = finetune.Config(
        store=Path(), mode=mode, num_train_trajectories=labelled, seed=seed, split_seed=asked.seed, **given
    )
    return deciding_keys(config)


def _judged(asked: Comparison, name: str, agent: str, needs: tuple[Stage, ...], work: Any) -> Stage:
    count = asked.oracle_tasks if agent == SIMULATOR else asked.num_tasks
    return Stage(f"evaluate {name} {agent}", _settings(asked, name, agent, count), needs, work)


def _settings(asked: Comparison, name: str, agent: str, count: int) -> dict[str, Any]:
    settings = {
        "agent": agent,
        "num_tasks": count,
        "seed": asked.seed,
        "protocol": asked.protocol.as_dict(),
        "warmup": asked.warmup[name],
    }
    if agent not in (NO_OP, RANDOM):
        # With its defaults: what an older one found is not taken for this one's.
        planner = asdict(cast(Any, make_planner(asked.planner, asked.planner_settings)))
        settings |= {"planner": asked.planner, "planner_settings": planner}
        settings["objective"] = dict(asked.objective[name])
        if agent == PACKAGED:
            settings |= model_digests(packaged_folder(name))
        settings["history"] = 1 + asked.warmup[name] // asked.training[name].get("frameskip", finetune.Config.frameskip)
    return settings


def _encode(stage: Stage, root: Path, *, path: Path | None, asked: Comparison) -> dict[str, Any]:
    data = path or set_of(stage.needs[0], root)
    keys = {name: stage.settings[name] for name in ("image_size", "dtype")}
    keys["reader"] = dict(asked.reader) if path else {}
    encode.run(encode.Config(data=[data], encoder=asked.base, out=stage.folder(root) / "stores", **keys))
    return encoded_facts(stage, root)


def _train(stage: Stage, root: Path, *, base: str) -> dict[str, Any]:
    (store,) = stage.needs
    keys = {name: value for name, value in stage.settings.items() if name != "base"}
    folder, out = store_of(store, root).folder, run_folder(stage, root)
    finetune.run(finetune.Config(store=folder, base=Path(base), out=out, **keys))
    return trained_facts(stage, root)


def _judge(stage: Stage, root: Path, *, asked: Comparison, name: str) -> dict[str, Any]:
    settings = stage.settings
    tasks = _tasks(stage, root, asked, name)
    agent = _agent(stage, root, asked, name, tasks)
    planned = {"dtype": str(agent.model.dtype).removeprefix("torch.")} if isinstance(agent, PlanningAgent) else {}
    found = evaluate(
        agent,
        tasks,
        asked.protocol,
        file=stage.folder(root) / TASKS,
        seed=asked.seed,
        batch=_BATCH,
        about={key: settings[key] for key in _TOLD if key in settings} | planned,
    )
    return {"success_end": found.success_end.value, "success_any": found.success_any.value}


def _film(stage: Stage, root: Path, *, asked: Comparison, name: str) -> dict[str, Any]:
    """Film the model that reached most goals; of several, the last in the order of modes."""
    judged = [need for need in stage.needs if need.name.startswith("evaluate ")]
    reached = [sum(Evaluation.read(need.folder(root) / TASKS).successes()) for need in judged]
    best = max(range(len(judged)), key=lambda i: (reached[i], i))
    tasks = _tasks(stage, root, asked, name)
    model = WorldModel.load(model_of(_need(judged[best], "train"), root))
    agent = _planning(asked, model, make_objective(asked.objective[name], model), stage.settings["history"])
    path, count = stage.folder(root) / FILM, stage.settings["num_tasks"]
    found = film(agent, tasks, asked.protocol, path, num_episodes=count, seed=asked.seed, title=name)
    filmed = judged[best].settings
    return {"mode": filmed["agent"], "training_seed": filmed["training_seed"], "reached": found}


def _tasks(stage: Stage, root: Path, asked: Comparison, name: str) -> DatasetTasks:
    collected = None if name in asked.own else open_data(set_of(_need(stage, "collect"), root), {})
    return asked.tasks(name, collected or asked.own[name], stage.settings["num_tasks"])


def _agent(stage: Stage, root: Path, asked: Comparison, name: str, tasks: DatasetTasks) -> Any:
    kind = stage.settings["agent"]
    if kind in (NO_OP, RANDOM):
        env: gym.Env[Any, Any] = gym.make(tasks.env_id, **{**tasks.env_settings, "obs_type": "state"})
        env.close()
        return NoOpAgent(env.action_space) if kind == NO_OP else RandomAgent(env.action_space, asked.seed)
    # Packaged models have the short names of environments.
    where = packaged_folder(name) if kind == PACKAGED else model_of(_need(stage, "train"), root)
    model: Any = WorldModel.load(where)
    objective = make_objective(asked.objective[name], model)
    if kind == SIMULATOR:
        # In this process: all cores have stages of their own.
        model = SimulatorModel(model, tasks.env_id, env_settings=tasks.env_settings, num_workers=0)
    return _planning(asked, model, objective, stage.settings["history"])


def _planning(
    asked: Comparison, model: WorldModel | SimulatorModel, objective: GoalDistance, history: int
) -> PlanningAgent:
    planner, protocol = make_planner(asked.planner, asked.planner_settings), asked.protocol
    return PlanningAgent(
        model,
        planner,
        objective,
        horizon=protocol.horizon,
        replan_every=protocol.replan_every,
        context_frames=history,
    )


def _need(stage: Stage, kind: str) -> Stage:
    (found,) = (need for need in stage.needs if need.name.startswith(f"{kind} "))
    return found
