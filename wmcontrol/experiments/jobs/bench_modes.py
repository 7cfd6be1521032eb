"""``wmcontrol bench modes``."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

from ..keys import key
from ..record import results_folder

_MODES = ("scratch", "action_only", "full")


@dataclass
class Config:
    """Compare the three ways of fine-tuning, with many labelled trajectories and with few, in each environment.

    Measured is the error of predictions on trajectories that are held out, 1 and 5 model steps ahead, beside that of
    copying the last frame. A table, the same in JSON, and a plot are saved. Killed, it goes on where it stopped when
    the same line is run again; when all is trained, it only draws anew.
    """

    stores: list[Path] = key("latent stores with actions, one for each environment", example="stores/1f2e,stores/3d4c")
    base: Path = key(
        "the model that was pretrained without actions, of the stores' encoder", example="models/base/model"
    )
    labelled: list[int] = key(
        "how many trajectories are trained on", default=[1800, 200, 50], at_least=1, example="1000,100"
    )
    modes: list[str] = key("which ways", default=list(_MODES), choices=_MODES, example="scratch,full")
    num_steps: int = key("optimiser steps of each training", default=500, at_least=1, example="4000")
    batch_size: int = key("windows of a step", default=128, at_least=1, example="256")
    seeds: list[int] = key(
        "of the splits, weights and windows; several give a range", default=[0], at_least=0, example="0,1,2"
    )
    jobs: int | None = key(
        "trainings at once, with a thread each; by default as many as there are cores",
        default=None,
        at_least=1,
        example="4",
    )
    out: Path | None = key("the folder for all of it; by default under outputs", default=None, example="modes")

    def __post_init__(self) -> None:
        for name in ("stores", "labelled", "modes", "seeds"):
            values = getattr(self, name)
            if not values:
                raise ValueError(f"{name}: expected at least one")
            twice = [value for value in values if values.count(value) > 1]
            if twice:
                raise ValueError(f"{name}: {twice[0]} is there twice")


def run(config: Config) -> None:
    """Train what is missing, and save the report."""
    from ..bench_modes import compare_modes, plan_runs

    plan_runs(config)  # what cannot be done is told before a folder is made
    same = replace(config, jobs=None, out=None)  # these two change no number
    name = hashlib.sha256(repr(same).encode()).hexdigest()[:12]
    out = results_folder("bench modes", same, config.out or Path("outputs/bench_modes") / name)
    compare_modes(config, out)
