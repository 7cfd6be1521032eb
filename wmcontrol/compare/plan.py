"""Which stages a comparison has, what each does, and on what it is built."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import torch

from ..agents import NoOpAgent, PlanningAgent, RandomAgent, SimulatorModel
from ..data import LatentStore, collect, encode, open_dataset
from ..data.collecting import CollectPolicy
from ..evaluation import DatasetTasks, Evaluation, evaluate, film
from ..models import WorldModel
from ..models.checkpoint import CONFIG, WEIGHTS, find_folder
from ..training import FinetuneSettings, finetune
from .settings import CollectSettings, Comparison, planner_settings
from .stages import Stage

TASKS, FILM = "tasks.jsonl", "film.mp4"
NO_OP, RANDOM, SIMULATOR, FINISHED = "no-op", "random actions", "true simulator", "packaged"
_DTYPE = "float16"  # of stored tokens
_BATCH = 16  # tasks side by side
_FILMED = 3  # tasks


@dataclass(frozen=True)
class Row:
    """One agent, and the stages that evaluate it.

    Args:
        env: short name of the environment.
        agent: the mode of fine-tuning, or one of ``NO_OP``, ``RANDOM``, ``SIMULATOR`` and ``FINISHED``.
        num_train_trajectories: that it was trained on; None: it was not trained.
        stages: one for each training seed; each leaves ``TASKS`` in its folder.
    """

    env: str
    agent: str
    num_train_trajectories: int | None
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
    for name in comparison.environments:
        found, films[name] = _plan_one(comparison, name)
        rows += found
    return Plan(tuple(rows), films)


def _plan_one(asked: Comparison, name: str) -> tuple[list[Row], Stage]:
    given, (base, encoder) = asked.environments[name], asked.base_digests
    read: dict[str, Any] = {"image_size": asked.image_size, "dtype": _DTYPE, "encoder": encoder}
    sets: tuple[Stage, ...] = ()
    unseen: tuple[Stage, ...] = ()
    if isinstance(given.data, CollectSettings):
        seen, other = collecting(name, given.data)
        sets, unseen = (seen,), (other,)
    else:
        read["data"] = asked.own[name].fingerprint()
    store = Stage(f"encode {name}", read, sets, partial(_encode, asked=asked, name=name))
    most = asked.num_trained_on(name)
    judging = partial(_evaluate, asked=asked, name=name)
    rows: list[Row] = []
    with_all: list[Stage] = []
    of_first_seed: dict[str, Stage] = {}
    for count in (None, *sorted(asked.num_train_trajectories, reverse=True)):
        for mode in asked.modes:
            judged = []
            for seed in asked.training_seeds:
                title = f"{name} {mode} {count or most} seed {seed}"
                training = {"base": base, "mode": mode, **_training(asked, name, count, seed)}
                model = Stage(f"train {title}", training, (store,), partial(_train, base=asked.base))
                settings = _settings(asked, name, mode, asked.num_tasks)
                settings |= {"num_train_trajectories": count or most, "training_seed": seed}
                judged.append(Stage(f"evaluate {title}", settings, (model, *unseen), judging))
                of_first_seed.setdefault(mode, model)
            rows.append(Row(name, mode, count or most, tuple(judged)))
            with_all += [] if count else judged
    where = unseen or (store,)
    if given.finished is not None:
        rows.append(Row(name, FINISHED, None, (_judged(asked, name, FINISHED, where, judging),)))
    rows += [Row(name, agent, None, (_judged(asked, name, agent, where, judging),)) for agent in (NO_OP, RANDOM)]
    if asked.oracle_tasks:
        # Its encoder and statistics of actions are those of any model that was trained on all.
        model = of_first_seed["full" if "full" in asked.modes else asked.modes[-1]]
        rows.append(Row(name, SIMULATOR, None, (_judged(asked, name, SIMULATOR, (model, *unseen), judging),)))
    settings = _settings(asked, name, "the best", min(_FILMED, asked.num_tasks))
    return rows, Stage(f"film {name}", settings, (*with_all, *unseen), partial(_film, asked=asked, name=name))


def _training(asked: Comparison, name: str, count: int | None, seed: int) -> dict[str, Any]:
    """Return the settings of fine-tuning; a short training has no time for a long warm-up."""
    given = asked.environments[name].training
    if count is not None:
        given = replace(given, num_steps=asked.few_steps, warmup_steps=min(given.warmup_steps, asked.few_steps // 10))
    return asdict(replace(given, num_train_trajectories=count, seed=seed, split_seed=asked.seed))


def _judged(asked: Comparison, name: str, agent: str, needs: tuple[Stage, ...], work: Any) -> Stage:
    count = asked.oracle_tasks if agent == SIMULATOR else asked.num_tasks
    return Stage(f"evaluate {name} {agent}", _settings(asked, name, agent, count), needs, work)


def _settings(asked: Comparison, name: str, agent: str, count: int) -> dict[str, Any]:
    given = asked.environments[name]
    settings = {
        "agent": agent,
        "num_tasks": count,
        "seed": asked.seed,
        "protocol": asked.protocol.as_dict(),
        "context_steps": given.planning.context_steps,
    }
    if agent not in (NO_OP, RANDOM):
        settings |= {"planner": planner_settings(asked.planner), "planning": asdict(given.planning)}
    if agent == FINISHED:
        folder = find_folder(given.finished or "")
        settings |= {"weights": _file_digest(folder / WEIGHTS), "config": _file_digest(folder / CONFIG)}
    return settings


def _encode(stage: Stage, root: Path, *, asked: Comparison, name: str) -> dict[str, Any]:
    read = {"image_size": stage.settings["image_size"]}
    dataset = asked.own[name] if name in asked.own else open_dataset(set_of(stage.needs[0], root), **read)
    encoder = WorldModel.load(asked.base).encoder
    encode(dataset, encoder, stores_in(stage, root), dtype=stage.settings["dtype"])
    return encoded_facts(stage, root)


def _train(stage: Stage, root: Path, *, base: str) -> dict[str, Any]:
    (store,) = stage.needs
    settings = {key: value for key, value in stage.settings.items() if key not in ("base", "mode")}
    finetune(
        store_of(store, root),
        base=base,
        mode=stage.settings["mode"],
        settings=FinetuneSettings(**settings),
        folder=run_folder(stage, root),
    )
    return trained_facts(stage, root)


def _evaluate(stage: Stage, root: Path, *, asked: Comparison, name: str) -> dict[str, Any]:
    tasks = _tasks(stage, root, asked, name)
    agent = _agent(stage, root, asked, name, tasks)
    left_out = ("num_tasks", "seed", "protocol", "context_steps")  # which the header has in any case
    about = {key: value for key, value in stage.settings.items() if key not in left_out}
    if isinstance(agent, PlanningAgent):
        about["dtype"] = str(agent.model.dtype).removeprefix("torch.")
    found = evaluate(
        agent,
        tasks,
        asked.protocol,
        file=stage.folder(root) / TASKS,
        seed=asked.seed,
        batch=_BATCH,
        about=about,
    )
    return {"success_end": found.success_end.value, "success_any": found.success_any.value}


def _film(stage: Stage, root: Path, *, asked: Comparison, name: str) -> dict[str, Any]:
    """Film the model that reached most goals; of several, the last in the order of modes."""
    judged = [need for need in stage.needs if need.name.startswith("evaluate ")]
    reached = [sum(Evaluation.read(need.folder(root) / TASKS).successes()) for need in judged]
    best = max(range(len(judged)), key=lambda i: (reached[i], i))
    tasks = _tasks(stage, root, asked, name)
    agent = _planning(asked, name, WorldModel.load(model_of(_need(judged[best], "train"), root)))
    path, count = stage.folder(root) / FILM, stage.settings["num_tasks"]
    found = film(agent, tasks, asked.protocol, path, num_episodes=count, seed=asked.seed, title=name)
    filmed = judged[best].settings
    return {"mode": filmed["agent"], "training_seed": filmed["training_seed"], "reached": found}


def _tasks(stage: Stage, root: Path, asked: Comparison, name: str) -> DatasetTasks:
    dataset = asked.own[name] if name in asked.own else open_dataset(set_of(_need(stage, "collect"), root))
    return asked.tasks(name, dataset, stage.settings["num_tasks"])


def _agent(stage: Stage, root: Path, asked: Comparison, name: str, tasks: DatasetTasks) -> Any:
    kind = stage.settings["agent"]
    if kind in (NO_OP, RANDOM):
        env: gym.Env[Any, Any] = gym.make(tasks.env_id, **{**tasks.env_settings, "obs_type": "state"})
        env.close()
        return NoOpAgent(env.action_space) if kind == NO_OP else RandomAgent(env.action_space, asked.seed)
    finished = asked.environments[name].finished or ""
    model: Any = WorldModel.load(finished if kind == FINISHED else model_of(_need(stage, "train"), root))
    if kind == SIMULATOR:
        # In this process: all cores have stages of their own.
        model = SimulatorModel(model, tasks.env_id, env_settings=tasks.env_settings, num_workers=0)
    return _planning(asked, name, model)


def _planning(asked: Comparison, name: str, model: WorldModel | SimulatorModel) -> PlanningAgent:
    planning = {**asdict(asked.environments[name].planning), "horizon": asked.protocol.horizon}
    return PlanningAgent.from_model(model, asked.planner, **{**planning, "replan_every": asked.protocol.replan_every})


def _need(stage: Stage, kind: str) -> Stage:
    (found,) = (need for need in stage.needs if need.name.startswith(f"{kind} "))
    return found


# What comparisons and the making of packaged models share.


def collecting(name: str, data: CollectSettings) -> tuple[Stage, Stage]:
    """Return the stages that collect an environment's trajectories: those to train on, and the unseen ones."""
    found = []
    for title, count, seed in (("", data.num_episodes, data.seed), (" unseen", data.num_unseen, data.unseen_seed)):
        settings = {
            "env_id": data.env_id,
            "policy": data.policy,
            "num_episodes": count,
            "num_frames": list(data.num_frames),
            "seed": seed,
        }
        found.append(Stage(f"collect {name}{title}", settings, (), partial(_collect, policy=data.make_policy)))
    return found[0], found[1]


def set_of(stage: Stage, root: Path) -> Path:
    """Return the folder of the data set that a stage "collect …" made."""
    return stage.folder(root) / "set"


def stores_in(stage: Stage, root: Path) -> Path:
    """Return the folder that a stage "encode …" makes its store in."""
    return stage.folder(root) / "stores"


def store_of(stage: Stage, root: Path) -> LatentStore:
    """Open the store that a stage "encode …" made."""
    (found,) = stores_in(stage, root).glob("*/store.json")
    return LatentStore.open(found.parent)


def run_folder(stage: Stage, root: Path) -> Path:
    """Return the folder that a stage "train …" trains in."""
    return stage.folder(root) / "run"


def model_of(stage: Stage, root: Path) -> Path:
    """Return the folder of the model that a stage "train …" made."""
    return run_folder(stage, root) / "model"


def encoded_facts(stage: Stage, root: Path) -> dict[str, Any]:
    """Return the facts of a stage that encoded."""
    store = store_of(stage, root)
    frames, patches, dim = store.tokens.shape
    return {"frames": frames, "patches": patches, "dim": dim, "env_id": store.env_id}


def trained_facts(stage: Stage, root: Path) -> dict[str, Any]:
    """Return the facts of a stage that trained."""
    model = WorldModel.load(model_of(stage, root), dtype=torch.float32)
    return {"parameters": sum(parameter.numel() for parameter in model.predictor.parameters())}


def _collect(stage: Stage, root: Path, *, policy: Callable[[], CollectPolicy]) -> dict[str, Any]:
    given, out = stage.settings, set_of(stage, root)
    about = {key: given[key] for key in ("policy", "seed", "num_frames")}
    lengths = collect(
        given["env_id"], policy(), given["num_episodes"], folder=out, seed=given["seed"], about=about
    ).lengths
    return {
        "episodes": len(lengths),
        "frames": int(lengths.sum()),
        "sha256": _file_digest(out / "data" / "main_data.hdf5"),
    }


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
