"""``wmcontrol compare``."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..keys import key
from ..reader_keys import camera_key, control_rate_key, reader_key, reader_settings
from ..task_keys import PROTOCOL_NAMES, objective_key, planner_key, planner_settings_key

_ENVS = ("wall", "pusht", "pointmaze")
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
    base: str = key(
        "the model that was pretrained without actions: a folder, or the packaged one",
        default="base",
        example="models/base/model",
    )
    modes: list[str] = key("which ways", default=list(_MODES), choices=_MODES, example="scratch,full")
    packaged: bool = key("judge the packaged models beside them", default=False, example="true")
    num_train_trajectories: list[int] | None = key(
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
    context_steps: int | None = key(
        "environment steps that agents observe before they act; by default 10 in PointMaze, else 0",
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
    engine: str = key(
        "processes of this machine, or the cores of a Ray cluster, whose machines all see the folder",
        default="processes",
        choices=("processes", "ray"),
        example="ray",
    )
    engine_address: str | None = key(
        "of the Ray cluster; by default RAY_ADDRESS, or the one that this machine belongs to",
        default=None,
        example="10.0.0.1:6379",
    )
    out: Path = key("the folder for all of it", default=Path("outputs/compare"), example="table")

    def __post_init__(self) -> None:
        if not self.env:
            raise ValueError("env: expected at least one")
        if len(set(self.env)) < len(self.env):
            raise ValueError(f"env: expected each once, got {', '.join(self.env)}")
        if self.data is None and reader_settings(self):
            raise ValueError(f"without data=PATH nothing is read; leave {', '.join(reader_settings(self))} out")
        if self.data is not None and len(self.data) != len(self.env):
            raise ValueError(f"data: expected {len(self.env)} of them, one for each environment; got {len(self.data)}")


def run(config: Config) -> None:
    """Do what is not yet done, and save the report."""
    try:
        asked = comparison(config)
        asked.check()  # what cannot be done is told before a folder is made
    except (ValueError, TypeError) as error:
        raise UsageError(str(error)) from error
    told = (asked.as_dict(), asked.base_digests)
    name = hashlib.sha256(repr(told).encode()).hexdigest()[:8]
    out = config.out / f"{'_'.join(config.env)}_{config.protocol}_{name}"
    make(asked, out, config, stages=config.out / "stages")


def make(asked: Any, out: Path, config: Any, stages: Path | None = None) -> None:
    """Make a comparison, tell how far it is, and print what came of it."""
    import logging

    from ...compare import compare
    from ..files import folder_to_save_in

    folder_to_save_in(out)
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    where = {name: getattr(config, name) for name in ("jobs", "engine", "engine_address") if hasattr(config, name)}
    found = compare(asked, out, stages=stages, **where)
    print((out / "report.md").read_text(encoding="utf-8"))
    for path in (*sorted(out.glob("*.mp4")), found.report):
        print(path)


def comparison(config: Config) -> Any:
    """Return what a configuration asks for, a :class:`~wmcontrol.compare.Comparison`."""
    from ...compare import ENVIRONMENTS, Comparison
    from ...evaluation import PROTOCOLS
    from ..planner_names import make_planner, planner_settings

    protocol = PROTOCOLS[config.protocol]
    num_tasks = config.num_tasks or protocol.num_tasks
    environments = {}
    for i, name in enumerate(config.env):
        given = ENVIRONMENTS[name]
        if config.data is not None:
            given = replace(given, data=config.data[i], reader=reader_settings(config))
        if config.num_steps is not None:
            steps = config.num_steps
            given = replace(
                given, training=replace(given.training, num_steps=steps, warmup_steps=min(200, steps // 10))
            )
        environments[name] = replace(
            given, planning=_planning(config, given), finished=name if config.packaged else None
        )
    return Comparison(
        environments=environments,
        base=config.base,
        modes=tuple(config.modes),
        num_train_trajectories=tuple(config.num_train_trajectories or ()),
        few_steps=config.few_steps,
        protocol=protocol,
        num_tasks=num_tasks,
        oracle_tasks=min(config.oracle_tasks, num_tasks),
        planner=make_planner(config.planner, planner_settings(config.planner, protocol, config.planner_settings)),
        training_seeds=tuple(config.training_seeds),
        seed=config.seed,
    )


def _planning(config: Config, given: Any) -> Any:
    """Return how agents plan: what suits an environment, but for what is given."""
    known = {"metric": "metric", "steps": "metric_steps", "standardize": "standardize"}
    for name in config.objective:
        if name not in known:
            raise UsageError(f"objective: expected some of {', '.join(known)}; got {name!r}")
    changes = {known[name]: value for name, value in config.objective.items()}
    if "metric" in changes:
        changes.setdefault("standardize", 0.0)  # a metric that is given is taken as it is
    if config.context_steps is not None:
        frames = 1 + config.context_steps // given.training.frameskip
        changes |= {"context_steps": config.context_steps, "context_frames": frames}
    return replace(given.planning, **changes)
