"""World models for tasks that are farther than one plan, made from random walks: ``python -m experiments.far``.

The packaged models know three worlds; these are of PointMaze's larger mazes, and of Wall with another layout in each
episode. Each has an encoder of its own: the packaged one was fitted to other walls, whose absence would be a constant
a hundred times as large as what the ball changes. Killed, the same line goes on.
"""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from wmcontrol import Predictor, PyramidEncoder, WorldModel
from wmcontrol.data import collect, encode, fit_encoder, policies
from wmcontrol.models import PlanningSettings
from wmcontrol.training import FinetuneSettings, PriorSettings, finetune, fit_prior

_SEES_VELOCITY = PlanningSettings(context_frames=3, context_steps=10)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One world: what is collected there, and how agents plan in it."""

    env_id: str
    num_episodes: int
    env_settings: Mapping[str, Any] = field(default_factory=dict)
    planning: PlanningSettings = field(default_factory=PlanningSettings)
    num_steps: int = 3_000


SETTINGS = {
    "pointmaze_large": Setting(env_id="wmcontrol/PointMaze_Large-v0", num_episodes=4_000, planning=_SEES_VELOCITY),
    "pointmaze_medium": Setting(env_id="wmcontrol/PointMaze_Medium-v0", num_episodes=3_000, planning=_SEES_VELOCITY),
    "wall_random": Setting(env_id="wmcontrol/Wall-v0", num_episodes=4_000, env_settings={"layout": "random"}),
}


def make_model(name: str, out: Path) -> Path:
    """Make a model, or go on making it, and return its folder."""
    given = SETTINGS[name]
    data = collect(
        given.env_id,
        policies.random(given.env_id),
        given.num_episodes,
        folder=out / "set",
        env_settings=given.env_settings,
    )
    encoder = PyramidEncoder(num_components=128, tokens=(1, 1))
    fit_encoder(encoder, [data], num_frames=20_000, folder=out / "stores")
    store = encode(data, encoder, out / "stores")
    # A tenth of the packaged models' size: three times as fast to train and to plan with.
    small = WorldModel(
        encoder, Predictor(encoder.dim, width=96, depth=3, num_heads=3), control_rate=data.control_rate or 1.0
    )
    training = FinetuneSettings(num_steps=given.num_steps, batch_size=64)
    trained = finetune(
        store, base=small, mode="scratch", settings=training, planning=given.planning, folder=out / "train"
    )
    print(f"{name}: {trained.error}", flush=True)
    fitted = fit_prior(
        store, base=trained.model, settings=PriorSettings(width=192, num_steps=2_000), folder=out / "prior"
    )
    print(f"{name}: proposals {fitted.error:.2f}, mean action {fitted.mean_action_error:.2f}", flush=True)
    assert fitted.folder is not None
    return fitted.folder / "model"


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m experiments.far", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", default=list(SETTINGS), help=f"of {', '.join(SETTINGS)}")
    parser.add_argument("--out", type=Path, default=Path("outputs/far"), help="a folder")
    given = parser.parse_args()
    torch.manual_seed(0)  # of the predictors' first weights, which a run that was killed goes on with
    for name in given.names:
        print(make_model(name, given.out / name))


if __name__ == "__main__":
    main()
