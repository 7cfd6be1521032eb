"""``wmcontrol compare``."""

import sys
from dataclasses import dataclass, field
from typing import Any

from ..errors import UsageError
from ..objects import (
    digest_of,
    made,
    make,
    out_folder,
    paths_of,
    plain,
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
        envs: which environments: wall, pusht, pointmaze; or module:ID of one that is registered in a module of yours,
            or module:make_env, a function of it. For example [wall,pusht].
        packaged: judge the packaged models beside them. For example true.
        num_train_trajectories: how many trajectories to train on, besides all of them; null for all alone. For example
            [200,50].
        num_steps: optimiser steps with all trajectories; by default those of the packaged models. For example 4000.
        context_steps: environment steps that agents observe before they act; by default 10 in PointMaze and in
            environments of yours, else 0. For example 5.
        out: the folder for all of it. For example table.
    """

    envs: list[str] = field(default_factory=lambda: ["wall", "pusht", "pointmaze"])
    packaged: bool = False
    num_train_trajectories: list[int] | None = field(default_factory=lambda: [50])
    num_steps: int | None = None
    context_steps: int | None = None
    out: str = "outputs/compare"


def run(config: Any) -> None:
    """Do what is not yet done, and save the report."""
    from ...compare import ENVIRONMENTS, usual_comparison
    from ...engine import run_parallel
    from ...planners import CEM

    if "_target_" in config.objective:
        raise UsageError("objective: a comparison has the distance of each model, objective=saved, with its keys")
    given: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in plain(config).items()
    }
    where = {name: given[name] for name in ("jobs", "engine", "engine_address", "imports")}
    names = ("base", "modes", "few_steps", "oracle_tasks", "training_seeds", "seed")
    reader, protocol = reader_of(config.data), protocol_of(config)
    with made():
        asked = usual_comparison(
            given["envs"],
            protocol,
            make(config.planner, "planner") or CEM(std=2.0),  # auto: models of several kinds have one planner
            data=None if config.data.path is None else paths_of(config.data),
            reader=reader,
            num_steps=config.num_steps,
            context_steps=config.context_steps,
            planning=planning_changes(config.objective),
            packaged=config.packaged,
            num_train_trajectories=given["num_train_trajectories"] or (),
            **{name: given[name] for name in names},
        )
        asked.check()  # what cannot be done is told before a folder is made
        run_parallel(str, (), jobs=config.jobs, engine=config.engine)
    foreign = [env for env in given["envs"] if env not in ENVIRONMENTS]
    if foreign and config.base == "base":
        unseen = ", ".join(foreign)
        print(f"base: the packaged one has not seen {unseen}; pretrain one on frames of it: base=…", file=sys.stderr)
    root = out_folder(config.out)
    name = "_".join([*asked.environments, config.protocol, digest_of(asked.as_dict(), asked.base_digests)])
    show_comparison(asked, root / name, config.tracker, stages=root / "stages", **where)
