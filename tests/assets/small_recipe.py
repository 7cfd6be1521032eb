"""A recipe of a few seconds, and a way to follow it in a process that can be killed: ``python small_recipe.py OUT``."""

import sys
from pathlib import Path

from experiments.assets.make import make_assets
from experiments.assets.recipe import Pyramid, Recipe
from wmcontrol.compare import CollectSettings
from wmcontrol.training import FinetuneSettings, PretrainSettings, PriorSettings, StepsToGoSettings

SMALL = Recipe(
    data={
        "wall": CollectSettings(
            env_id="wmcontrol/Wall-v0", policy="random", num_episodes=6, num_frames=(40,), num_unseen=3
        ),
        "pointmaze": CollectSettings(
            env_id="wmcontrol/PointMaze_UMaze-v0", policy="random", num_episodes=4, num_frames=(40, 45), num_unseen=2
        ),
    },
    encoder=Pyramid(image_size=32, settings={"num_components": 16, "blurs": [1 / 8, 1 / 4]}, fit_frames=100),
    predictor={"width": 16, "depth": 2, "num_heads": 2},
    base=PretrainSettings(num_steps=60, num_frames=4, batch_size=16, warmup_steps=2),
    models={"wall": FinetuneSettings(num_steps=60, batch_size=16, warmup_steps=2)},
    further={
        "wall": [FinetuneSettings(num_steps=steps, batch_size=8, num_frames=6, warmup_steps=2) for steps in (10, 5)]
    },
    priors={"wall": PriorSettings(num_steps=20, batch_size=16, width=8, depth=1)},
    far={"wall": StepsToGoSettings(num_steps=20, batch_size=32, max_steps=3, width=8, depth=1, num_landmarks=20)},
)

if __name__ == "__main__":
    make_assets(SMALL, Path(sys.argv[1]), Path(sys.argv[1]) / "models")
