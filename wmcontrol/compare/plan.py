"""Which stages a comparison has, what each does, and on what it is built."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from ..data import LatentStore, collect, encode, open_dataset
from ..data.collecting import CollectPolicy
from ..evaluation.evaluate import evaluate
from ..evaluation.reports.film import film
from ..evaluation.result import Evaluation
from ..evaluation.specs import (
    BEST,
    NO_OP,
    PRIOR,
    RANDOM,
    SIMULATOR,
    AgentSpec,
    baseline,
    baselines_in,
    file_digest,
    model_digests,
    planning_spec,
)
from ..evaluation.tasks import Tasks
from ..models import PlanningSettings, WorldModel
from ..planners import BestProposal, Planner
from ..training import FinetuneSettings, PriorSettings, finetune, fit_prior
from .settings import CollectSettings, Comparison, EnvironmentSettings, planner_settings
from .stages import Stage

TASKS, FILM = "tasks.jsonl", "film.mp4"
SET, STORES, RUN = "set", "stores", "run"  # what stages collect, encode and train in their folders
MODEL = f"{RUN}/model"
FINISHED = "packaged"
WITH_PRIOR = " with a prior"  # after a mode of fine-tuning
_DTYPE = "float16"  # of stored tokens
_BATCH = 16  # tasks side by side
_FILMED = 3  # tasks


@dataclass(frozen=True)
class Row:
    """One agent, and the stages that evaluate it."""

    env: str  # short name of the environment
    agent: str  # the mode of fine-tuning, or how a report calls a baseline, the oracle or a model with a prior
    num_train_trajectories: int | None  # that it was trained on; None: it was not trained
    stages: tuple[Stage, ...]  # one for each training seed; each leaves TASKS in its folder


@dataclass(frozen=True)
class Plan:
    """All that a comparison does."""

    rows: tuple[Row, ...]  # of the report
    films: Mapping[str, Stage]  # stages that leave FILM in their folders, by environment

    @property
    def stages(self) -> list[Stage]:
        """The last stages, which need all others."""
        return [*(stage for row in self.rows for stage in row.stages), *self.films.values()]


def plan(comparison: Comparison) -> Plan:
    """Return the stages of a comparison; none of them has done anything yet."""
    found = {name: _plan_one(comparison, name) for name in comparison.environments}
    rows = tuple(row for of_one, _ in found.values() for row in of_one)
    return Plan(rows, {name: film for name, (_, film) in found.items()})


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

    def judged(agent: str, needs: tuple[Stage, ...], title: str, **trained: int) -> Stage:
        count = asked.oracle_tasks if agent == SIMULATOR else asked.num_tasks
        settings = {**_settings(asked, name, agent, count), **trained}
        return Stage(f"evaluate {name} {title}", settings, needs, partial(_evaluate, asked=asked, name=name))

    rows: list[Row] = []
    of_first_seed: dict[str, Stage] = {}
    for count in (None, *sorted(asked.num_train_trajectories, reverse=True)):
        for mode in asked.modes:
            stages = []
            for seed in asked.training_seeds:
                title = f"{mode} {count or most} seed {seed}"
                training = {"base": base, "mode": mode, **_training(asked, name, count, seed)}
                model = Stage(f"train {name} {title}", training, (store,), partial(_train, base=asked.base))
                of_first_seed.setdefault(mode, model)
                trained = {"num_train_trajectories": count or most, "training_seed": seed}
                stages.append(judged(mode, (model, *unseen), title, **trained))
            rows.append(Row(name, mode, count or most, tuple(stages)))
    filmed = [stage for row in rows[: len(asked.modes)] for stage in row.stages]
    finished = () if given.finished is None else (FINISHED, *prior_rows(given))
    made_with = asked.own[name].env_settings if name in asked.own else {}
    floors = (spec.name for spec in baselines_in(given.env_id, made_with))
    others = dict.fromkeys((*finished, *floors), unseen or (store,))
    if asked.prior is not None:
        mode = asked.modes[-1]
        settings = replace(asked.prior, seed=asked.training_seeds[0], split_seed=asked.seed)
        taught = fitting_prior(f"{name} {mode}", settings, given.planning, store, of_first_seed[mode])
        others = dict.fromkeys((mode + WITH_PRIOR, PRIOR, BEST), (taught, *unseen)) | others
    if asked.oracle_tasks:
        # Its encoder and statistics of actions are those of any model that was trained on all.
        others[SIMULATOR] = (of_first_seed["full" if "full" in asked.modes else asked.modes[-1]], *unseen)
    rows += [Row(name, agent, None, (judged(agent, needs, agent),)) for agent, needs in others.items()]
    if asked.prior is not None:
        filmed = [stage for row in rows for stage in row.stages if row.agent.endswith(WITH_PRIOR)]
    how = _settings(asked, name, "the best", min(_FILMED, asked.num_tasks))
    return rows, Stage(f"film {name}", how, (*filmed, *unseen), partial(_film, asked=asked, name=name))


def prior_rows(given: EnvironmentSettings) -> tuple[str, ...]:
    """Return the rows of a finished model's action prior without a search; none where it has none."""
    has = given.planning.num_proposals > 0 and WorldModel.load(given.finished or "").prior is not None
    return (PRIOR, BEST) if has else ()


def _training(asked: Comparison, name: str, count: int | None, seed: int) -> dict[str, Any]:
    """Return the settings of fine-tuning; a short training has no time for a long warm-up."""
    given = asked.environments[name].training
    if count is not None:
        given = replace(given, num_steps=asked.few_steps, warmup_steps=min(given.warmup_steps, asked.few_steps // 10))
    return asdict(replace(given, num_train_trajectories=count, seed=seed, split_seed=asked.seed))


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
        planner, planning = _how(asked, name, agent)
        settings |= {"planner": planner_settings(planner), "planning": asdict(planning)}
    if agent in (FINISHED, PRIOR, BEST) and given.finished is not None:
        settings |= model_digests(given.finished)
    return settings


def _how(asked: Comparison, name: str, agent: str) -> tuple[Planner, PlanningSettings]:
    """Return how an agent plans; see :func:`~wmcontrol.evaluation.ablations`."""
    planning = asked.environments[name].planning
    if agent == PRIOR:
        planning = replace(planning, num_proposals=1)
    return BestProposal() if agent in (PRIOR, BEST) else asked.planner, planning


def _encode(stage: Stage, root: Path, *, asked: Comparison, name: str) -> dict[str, Any]:
    read = {"image_size": stage.settings["image_size"]}
    dataset = asked.own[name] if name in asked.own else open_dataset(stage.needs[0].folder(root) / SET, **read)
    encoder = WorldModel.load(asked.base).encoder
    encode(dataset, encoder, stage.folder(root) / STORES, dtype=stage.settings["dtype"])
    return encoded_facts(stage, root)


def _train(stage: Stage, root: Path, *, base: str) -> dict[str, Any]:
    (store,) = stage.needs
    settings = {key: value for key, value in stage.settings.items() if key not in ("base", "mode")}
    finetune(
        store_of(store, root),
        base=base,
        mode=stage.settings["mode"],
        settings=FinetuneSettings(**settings),
        folder=stage.folder(root) / RUN,
    )
    return trained_facts(stage, root)


def _evaluate(stage: Stage, root: Path, *, asked: Comparison, name: str) -> dict[str, Any]:
    tasks, kind = _tasks(stage, root, asked, name), stage.settings["agent"]
    left_out = ("num_tasks", "seed", "protocol", "context_steps")  # which the header has in any case
    about = {key: value for key, value in stage.settings.items() if key not in left_out}
    if kind in (NO_OP, RANDOM):
        spec = baseline(kind, tasks, asked.seed)
    else:
        finished = asked.environments[name].finished
        model = _model_of(stage, root) if finished is None or kind not in (FINISHED, PRIOR, BEST) else finished
        spec = _planning(asked, name, tasks, model, kind)
        about["dtype"] = spec.about["dtype"]
    found = evaluate(
        spec.agent,
        tasks,
        asked.protocol,
        file=stage.folder(root) / TASKS,
        seed=asked.seed,
        batch=_BATCH,
        about=about,
    )
    return {"success_end": found.success_end.value, "success_any": found.success_any.value}


def _film(stage: Stage, root: Path, *, asked: Comparison, name: str) -> dict[str, Any]:
    """Film the model with a prior, or that which reached most goals; of several, the last in the order of modes."""
    judged = [need for need in stage.needs if need.name.startswith("evaluate ")]
    reached = [sum(Evaluation.read(need.folder(root) / TASKS).successes()) for need in judged]
    best = max(range(len(judged)), key=lambda i: (reached[i], i))
    tasks = _tasks(stage, root, asked, name)
    filmed = judged[best].settings
    agent = _planning(asked, name, tasks, _model_of(judged[best], root), filmed["agent"]).agent
    path, count = stage.folder(root) / FILM, stage.settings["num_tasks"]
    found = film(agent, tasks, asked.protocol, path, num_episodes=count, seed=asked.seed, title=name)
    return {"mode": filmed["agent"], "training_seed": filmed.get("training_seed"), "reached": found}


def _tasks(stage: Stage, root: Path, asked: Comparison, name: str) -> Tasks:
    dataset = asked.own[name] if name in asked.own else open_dataset(_need(stage, "collect").folder(root) / SET)
    return asked.tasks(name, dataset, stage.settings["num_tasks"])


def _planning(asked: Comparison, name: str, tasks: Tasks, path: str | Path, agent: str) -> AgentSpec:
    model, (planner, planning) = WorldModel.load(path), _how(asked, name, agent)
    # The simulator is in this process: all cores have stages of their own.
    where: dict[str, Any] = {"simulator": agent == SIMULATOR, "num_workers": 0}
    return planning_spec(model, planner, tasks, asked.protocol, **where, **asdict(planning))


def _model_of(stage: Stage, root: Path) -> Path:
    """Return the folder of the model that a stage judges: with its prior, where one was fitted to it."""
    (found,) = (need for need in stage.needs if need.name.startswith(("train ", "fit prior ")))
    return found.folder(root) / MODEL


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


def fitting_prior(name: str, settings: PriorSettings, planning: PlanningSettings, store: Stage, model: Stage) -> Stage:
    """Return the stage that teaches a trained model what to propose."""
    # Planning decides what the prior looks at, and how far.
    told = {"planning": asdict(planning), **asdict(settings)}
    return Stage(f"fit prior {name}", told, (store, model), _fit_prior)


def _fit_prior(stage: Stage, root: Path) -> dict[str, Any]:
    store, trained = stage.needs
    base = WorldModel.load(trained.folder(root) / MODEL, dtype=torch.float32)
    base.planning = PlanningSettings(**stage.settings["planning"])
    fitted = fit_prior(
        store_of(store, root),
        base=base,
        settings=PriorSettings(**{key: value for key, value in stage.settings.items() if key != "planning"}),
        folder=stage.folder(root) / RUN,
    )
    assert fitted.model.prior is not None
    return {
        "parameters": sum(parameter.numel() for parameter in fitted.model.prior.parameters()),
        "error": fitted.error,
        "mean_action_error": fitted.mean_action_error,
    }


def store_of(stage: Stage, root: Path) -> LatentStore:
    """Open the store that a stage "encode …" made."""
    (found,) = stage.folder(root).glob(f"{STORES}/*/store.json")
    return LatentStore.open(found.parent)


def encoded_facts(stage: Stage, root: Path) -> dict[str, Any]:
    """Return the facts of a stage that encoded."""
    store = store_of(stage, root)
    frames, patches, dim = store.tokens.shape
    return {"frames": frames, "patches": patches, "dim": dim, "env_id": store.env_id}


def trained_facts(stage: Stage, root: Path) -> dict[str, Any]:
    """Return the facts of a stage that trained."""
    model = WorldModel.load(stage.folder(root) / MODEL, dtype=torch.float32)
    return {"parameters": sum(parameter.numel() for parameter in model.predictor.parameters())}


def _collect(stage: Stage, root: Path, *, policy: Callable[[], CollectPolicy]) -> dict[str, Any]:
    given, out = stage.settings, stage.folder(root) / SET
    about = {key: given[key] for key in ("policy", "seed", "num_frames")}
    lengths = collect(
        given["env_id"], policy(), given["num_episodes"], folder=out, seed=given["seed"], about=about
    ).lengths
    return {
        "episodes": len(lengths),
        "frames": int(lengths.sum()),
        "sha256": file_digest(out / "data" / "main_data.hdf5"),
    }
