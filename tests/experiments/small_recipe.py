"""A recipe of a few seconds, and a way to follow it in a process that can be killed: ``python small_recipe.py OUT``."""

import sys
from pathlib import Path

from wmcontrol.experiments.assets import make_assets
from wmcontrol.experiments.recipes import Data, Pyramid, Recipe

_TRAINING = {"batch_size": 16, "warmup_steps": 2, "device": "cpu"}
SMALL = Recipe(
    data={
        "wall": Data(env="wall", policy="random", episodes=6, frames=(40,), unseen_episodes=3),
        "pointmaze": Data(env="pointmaze", policy="random", episodes=4, frames=(40, 45), unseen_episodes=2),
    },
    encoder=Pyramid(image_size=32, settings={"num_components": 16, "blurs": [1 / 8, 1 / 4]}, fit_frames=100),
    predictor={"width": 16, "depth": 2, "num_heads": 2},
    base={**_TRAINING, "num_steps": 60, "num_frames": 4},
    models={"wall": {**_TRAINING, "num_steps": 60}},
)

if __name__ == "__main__":
    make_assets(SMALL, Path(sys.argv[1]), Path(sys.argv[1]) / "models")
