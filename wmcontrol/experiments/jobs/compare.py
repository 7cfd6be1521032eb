"""``wmcontrol compare``."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..keys import key
from ..reader_keys import camera_key, control_rate_key, reader_key, reader_settings
from ..recipes import RECIPE
from ..task_keys import PROTOCOL_NAMES, objective_key, planner_key, planner_settings_key

_ENVS = tuple(RECIPE.data)
_MODES = ("scratch", "action_only", "full")


@dataclass
class Config:
    """Compare the three ways of fine-tuning by planning with what came of them: the paper's Table 4.

    Trajectories are collected, or yours are read; the base is fine-tuned in each way, with all trajectories and with
    few; all are judged on the same tasks, beside doing nothing, random actions, and planning with the true simulator.
    Killed, it goes on where it stopped when the same line is run again; other comparisons in the same folder take over
    what they have in common with it.
    """

    env: list[str] = key("which environments", default=list(_ENVS), choices=_ENVS, example="wall,pusht")
    data: list[Path] | None = key(
        "your trajectories, a set for each environment in the same order, in any layout that wmcontrol convert --help "
        "names; by default they are collected",
        default=None,
        example="data/wall,data/pusht",
    )
    camera: str | None = camera_key()
    control_rate: float | None = control_rate_key()
    reader: dict[str, Any] = reader_key()
    base: str | None = key(
        "the model that was pretrained without actions; by default the packaged one",
        default=None,
        example="models/base/model",
    )
    modes: list[str] = key("which ways", default=list(_MODES), choices=_MODES, example="scratch,full")
    packaged: bool = key("judge the packaged models beside them", default=False, example="true")
    labelled: list[int] | None = key(
        "how many trajectories to train on, besides all of them; null for all alone",
        default=[50],
        at_least=1,
        example="200,50",
    )
    num_steps: int | None = key(
        "optimiser steps with all trajectories; by default those of the packaged models",
        default=None,
        at_least=1,
        example="4000",
    )
    few_steps: int = key("optimiser steps with few trajectories", default=300, at_least=1, example="1000")
    protocol: str = key(
        "how agents are judged: open loop, planning anew in each model step, or stable-worldmodel's",
        default="paper",
        choices=PROTOCOL_NAMES,
        example="mpc",
    )
    num_tasks: int | None = key("by default as many as the protocol says", default=None, at_least=1, example="128")
    oracle_tasks: int = key(
        "on how many of them the true simulator is planned with; 0 for none", default=128, at_least=0, example="512"
    )
    planner: str = planner_key()
    planner_settings: dict[str, Any] = planner_settings_key()
    objective: dict[str, Any] = objective_key()
    warmup: int | None = key(
        "environment steps that agents look on before they act; by default 10 in PointMaze, else 0",
        default=None,
        at_least=0,
        example="5",
    )
    training_seeds: list[int] = key(
        "train each way with each of these; intervals are then over seeds and tasks",
        default=[0],
        at_least=0,
        example="0,1,2",
    )
    seed: int = key("of tasks and agents, and of which trajectories are held out", default=0, at_least=0, example="1")
    jobs: int | None = key(
        "stages at once, with a thread each; by default as many as there are cores",
        default=None,
        at_least=1,
        example="4",
    )
    out: Path = key("the folder for all of it", default=Path("outputs/compare"), example="table")

    def __post_init__(self) -> None:
        for name in ("env", "modes", "labelled", "training_seeds"):
            values = getattr(self, name) or []
            twice = [value for value in values if values.count(value) > 1]
            if twice:
                raise ValueError(f"{name}: {twice[0]} is there twice")
            if not values and name != "labelled":
                raise ValueError(f"{name}: expected at least one")
        if self.data is None and reader_settings(self):
            raise ValueError(f"without data=PATH nothing is read; leave {', '.join(reader_settings(self))} out")
        if self.data is not None and len(self.data) != len(self.env):
            raise ValueError(f"data: expected {len(self.env)} of them, one for each environment; got {len(self.data)}")


def run(config: Config) -> None:
    """Do what is not yet done, and save the report."""
    from ..compare import compare
    from ..files import folder_to_save_in
    from ..record import results_folder

    asked = comparison(config)
    asked.check()  # what cannot be done is told before a folder is made
    root = folder_to_save_in(config.out) / "stages"
    same = replace(config, jobs=None, out=Path())  # these two change no number
    name = hashlib.sha256(repr((same, asked.base_digests)).encode()).hexdigest()[:8]
    out = results_folder("compare", same, config.out / f"{'_'.join(config.env)}_{config.protocol}_{name}")
    compare(asked, root.resolve(), out, config.jobs)


def comparison(config: Config) -> Any:
    """Return what a configuration asks for, a :class:`~..compare_settings.Comparison`."""
    from ...evaluation import PROTOCOLS
    from ...models import PlanningSettings
    from ..compare_settings import Comparison
    from ..planner_names import objective_settings, planner_settings

    protocol = PROTOCOLS[config.protocol]
    num_tasks = config.num_tasks or protocol.num_tasks
    collected: list[Any] = [RECIPE.data[name] for name in config.env]
    suits = {name: PlanningSettings(**RECIPE.planning.get(name, {})) for name in config.env}
    steps = {} if config.num_steps is None else {"num_steps": config.num_steps}
    return Comparison(
        data=dict(zip(config.env, config.data or collected, strict=True)),
        reader=reader_settings(config),
        base=config.base or Comparison.base,
        modes=tuple(config.modes),
        labelled=tuple(config.labelled or ()),
        training={name: {"num_steps": RECIPE.models[name]["num_steps"], **steps} for name in config.env},
        few_steps=config.few_steps,
        protocol=protocol,
        num_tasks=num_tasks,
        oracle_tasks=min(config.oracle_tasks, num_tasks),
        planner=config.planner,
        planner_settings=planner_settings(config.planner, protocol, config.planner_settings),
        objective={name: objective_settings(protocol, config.objective, suits[name]) for name in config.env},
        packaged=config.packaged,
        warmup={name: suits[name].context_steps if config.warmup is None else config.warmup for name in config.env},
        training_seeds=tuple(config.training_seeds),
        seed=config.seed,
    )
