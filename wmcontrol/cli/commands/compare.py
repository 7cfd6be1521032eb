"""``wmcontrol compare``."""

from dataclasses import dataclass, field, replace
from typing import Any

from ..errors import UsageError
from ..objects import (
    digest_of,
    made,
    make,
    out_folder,
    paths_of,
    planning_changes,
    protocol_of,
    reader_of,
    show_comparison,
)


@dataclass
class Config:
    """Compare the three ways of fine-tuning by planning with what came of them: the paper's Table 4.

    Trajectories are collected, or yours are read: data.path=[A,B], a set for each of envs in the same order. The base
    is fine-tuned in each way, with all trajectories and with few; all are judged on the same tasks, beside doing
    nothing, random actions, and planning with the true simulator. Killed, it goes on where it stopped when the same
    line is run again; other comparisons in the same folder take over what they have in common with it.

    Example: wmcontrol compare envs=[wall] planner=fast num_tasks=128 num_train_trajectories=[50]

    Args:
        envs: which environments: wall, pusht, pointmaze; or module:ID of one that is registered in a module of yours.
            For example [wall,pusht].
        base: the model that was pretrained without actions: a folder, or the packaged one. For example
            models/base/model.
        modes: which ways: scratch, action_only, full. For example [scratch,full].
        packaged: judge the packaged models beside them. For example true.
        num_train_trajectories: how many trajectories to train on, besides all of them; null for all alone. For example
            [200,50].
        num_steps: optimiser steps with all trajectories; by default those of the packaged models. For example 4000.
        few_steps: optimiser steps with few trajectories. For example 1000.
        oracle_tasks: on how many tasks the true simulator is planned with; 0 for none. For example 512.
        context_steps: environment steps that agents observe before they act; by default 10 in PointMaze, else 0. For
            example 5.
        training_seeds: train each way with each of these; intervals are then over seeds and tasks. For example [0,1,2].
        seed: of tasks and agents, and of which trajectories are held out. For example 1.
        jobs: stages at once, with a thread each; by default as many as there are cores. For example 4.
        engine: processes of this machine, or ray, the cores of a Ray cluster, whose machines all see the folder. For
            example ray.
        engine_address: of the Ray cluster; by default RAY_ADDRESS, or the one that this machine belongs to. For example
            10.0.0.1:6379.
        out: the folder for all of it. For example table.
    """

    envs: list[str] = field(default_factory=lambda: ["wall", "pusht", "pointmaze"])
    base: str = "base"
    modes: list[str] = field(default_factory=lambda: ["scratch", "action_only", "full"])
    packaged: bool = False
    num_train_trajectories: list[int] | None = field(default_factory=lambda: [50])
    num_steps: int | None = None
    few_steps: int = 300
    oracle_tasks: int = 128
    context_steps: int | None = None
    training_seeds: list[int] = field(default_factory=lambda: [0])
    seed: int = 0
    jobs: int | None = None
    engine: str = "processes"
    engine_address: str | None = None
    out: str = "outputs/compare"


def run(config: Any) -> None:
    """Do what is not yet done, and save the report."""
    from ...engine import run_parallel

    with made():
        asked = _comparison(config)
        asked.check()  # what cannot be done is told before a folder is made
        run_parallel(str, (), jobs=config.jobs, engine=config.engine)
    root = out_folder(config.out)
    name = "_".join([*asked.environments, config.protocol, digest_of(asked.as_dict(), asked.base_digests)])
    show_comparison(asked, root / name, config, stages=root / "stages")


def _comparison(config: Any) -> Any:
    from ...compare import ENVIRONMENTS, Comparison
    from ...compare.presets import registered

    protocol, paths = protocol_of(config), paths_of(config.data)
    if not config.envs or len(set(map(_short, config.envs))) < len(config.envs):
        raise UsageError(f"envs: expected one or more, each once; got {', '.join(config.envs) or 'none'}")
    if config.data.path is not None and len(paths) != len(config.envs):
        raise UsageError(f"data.path: expected {len(config.envs)} of them, one for each environment; got {len(paths)}")
    reader = reader_of(config.data)
    if config.data.path is None and reader:
        raise UsageError(f"without data.path=PATH nothing is read; leave data.{', data.'.join(reader)} out")
    if "_target_" in config.objective:
        raise UsageError("objective: a comparison has the distance of each model, objective=saved, with its keys")
    changes = planning_changes(config.objective)
    environments = {}
    for i, name in enumerate(config.envs):
        if name not in ENVIRONMENTS and "/" not in name:
            raise UsageError(f"envs: expected some of {', '.join(ENVIRONMENTS)}, or module:ID of yours; got {name}")
        given = ENVIRONMENTS.get(name) or registered(name)
        if config.data.path is not None:
            given = replace(given, data=str(paths[i]), reader=reader)
        if config.num_steps is not None:
            steps = config.num_steps
            training = replace(given.training, num_steps=steps, warmup_steps=min(200, steps // 10))
            given = replace(given, training=training)
        if config.context_steps is not None:
            frames = 1 + config.context_steps // given.training.frameskip
            changes |= {"context_steps": config.context_steps, "context_frames": frames}
        planning = replace(given.planning, **changes)
        finished = name if config.packaged and name in ENVIRONMENTS else None
        environments[_short(name)] = replace(given, planning=planning, finished=finished)
    return Comparison(
        environments=environments,
        base=config.base,
        modes=tuple(config.modes),
        num_train_trajectories=tuple(config.num_train_trajectories or ()),
        few_steps=config.few_steps,
        protocol=protocol,
        num_tasks=protocol.num_tasks,
        oracle_tasks=min(config.oracle_tasks, protocol.num_tasks),
        planner=make(config.planner, "planner"),
        training_seeds=tuple(config.training_seeds),
        seed=config.seed,
    )


def _short(name: str) -> str:
    """Return what an environment is called in the names of folders."""
    from ...evaluation.specs import env_label

    return env_label(name).lower() if "/" in name else name
