"""The keys that say on which tasks and how agents are judged, shared by the jobs that judge; quick to import."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .keys import key
from .reader_keys import camera_key, control_rate_key, reader_key, reader_settings

PLANNER_NAMES = (
    "cem",
    "fast",
    "icem",
    "mppi",
    "gradient",
    "hybrid",
    "cma",
    "random_shooting",
)  # help must not import torch
PROTOCOL_NAMES = ("paper", "mpc", "swm")


def planner_key() -> Any:
    """Define the key that names the planner."""
    return key("who searches for plans", default="cem", choices=PLANNER_NAMES, example="icem")


def planner_settings_key() -> Any:
    """Define the key of the planner's settings."""
    return key(
        "settings of the planner; by default its own, and for cem the protocol's with std=2, a wide start",
        default={},
        example="{num_samples:100,num_iterations:5}",
    )


def objective_key() -> Any:
    """Define the key of what plans make small."""
    return key(
        "settings of the distance to the goal that plans make small: metric (cosine unless you say l2, squared or "
        "l1), steps (last, mean or a discount; last unless you say so, and mean with protocol=mpc) and standardize "
        "(the power, from 0 to 2, to which the numbers of a token are divided by their deviations; as the model was "
        "saved with, and 0 where you say the metric)",
        default={},
        example="{metric:squared}",
    )


@dataclass
class TaskKeys:
    """A model, and the tasks that it is judged on."""

    model: Path | None = key(
        "the world model to plan with: a folder, or the name of a packaged one; agents that do not plan need none",
        default=None,
        example="wall",
    )
    dtype: str = key(
        "what the model computes in: stored, what it was saved in, and float32 for packaged ones; or auto, bfloat16 "
        "where the device has arithmetic for it, which is faster, and plans then differ from machine to machine",
        default="stored",
        choices=("stored", "auto", "float32", "bfloat16"),
        example="auto",
    )
    env: str | None = key(
        "draw tasks in this environment: a short name, or a Gymnasium id of ours; this or data",
        default=None,
        example="wall",
    )
    data: Path | None = key(
        "take tasks from these trajectories, in any layout that wmcontrol convert --help names: a start, and a goal "
        "that was reached 25 steps later; this or env",
        default=None,
        example="data/wall",
    )
    camera: str | None = camera_key()
    control_rate: float | None = control_rate_key()
    reader: dict[str, Any] = reader_key()
    split: str = key(
        "which trajectories of data: those that finetune holds out, or all, of a set that nothing was trained on",
        default="held_out",
        choices=("held_out", "all"),
        example="all",
    )
    split_seed: int = key("the seed that the model was fine-tuned with, for the split", default=0, example="1")
    settings: dict[str, Any] = key(
        "settings of the environment; those of data are known and need not be said",
        default={},
        example="{layout:random}",
    )
    num_tasks: int | None = key("how many; by default the protocol's", default=None, at_least=1, example="64")
    seed: int = key("of the tasks, and of the agent's random numbers", default=0, at_least=0, example="1")

    def __post_init__(self) -> None:
        if (self.env is None) == (self.data is None):
            got = "neither" if self.env is None else "both"
            raise ValueError(
                "give env=NAME, for tasks that the environment draws, or data=PATH, for tasks from trajectories; got "
                f"{got} of them"
            )
        if self.data is None and reader_settings(self):
            raise ValueError(f"with env=NAME no data are read; leave {', '.join(reader_settings(self))} out")
