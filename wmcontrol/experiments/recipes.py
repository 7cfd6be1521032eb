"""What the packaged models are made of: one table, and the types of its entries.

``wmcontrol assets`` reads it. A number changed here makes anew what depends on it, and nothing else.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Data:
    """The trajectories of one environment.

    Args:
        env: its short name.
        policy: who acts in it.
        episodes: how many are trained on.
        frames: how many an episode has, or from how many to how many.
        seed: which episodes.
        unseen_episodes: how many more, of the seed ``unseen_seed``, no model ever sees: for the errors in the cards.
    """

    env: str
    policy: str
    episodes: int
    frames: tuple[int, ...]
    seed: int = 0
    unseen_episodes: int = 200
    unseen_seed: int = 1


@dataclass(frozen=True, kw_only=True)
class Pyramid:
    """The encoder: a pyramid, fitted to frames of all environments alike.

    Args:
        image_size: side of the frames, pixels.
        settings: of :class:`~wmcontrol.PyramidEncoder`.
        fit_frames: how many frames it is fitted to.
        seed: which.
    """

    image_size: int
    settings: Mapping[str, Any]
    fit_frames: int = 20_000
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All that decides what the packaged models are.

    Args:
        data: by name.
        encoder: of all models.
        predictor: settings of :class:`~wmcontrol.models.Predictor`, but for ``dim``.
        base: keys of ``wmcontrol pretrain``.
        models: keys of ``wmcontrol finetune``, mode=full, by the name of the data; the model gets the same name.
        planning: fields of :class:`~wmcontrol.PlanningSettings` that are not its defaults, by the model's name; why is
            in docs/packaged.md.
    """

    data: Mapping[str, Data]
    encoder: Pyramid
    predictor: Mapping[str, Any]
    base: Mapping[str, Any]
    models: Mapping[str, Mapping[str, Any]]
    planning: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


RECIPE = Recipe(
    data={
        "wall": Data(env="wall", policy="random", episodes=2_000, frames=(50,)),
        "pusht": Data(env="pusht", policy="pushes", episodes=18_500, frames=(100, 300)),
        "pointmaze": Data(env="pointmaze_umaze", policy="random", episodes=2_000, frames=(100,)),
    },
    encoder=Pyramid(image_size=64, settings={"num_components": 128, "tokens": [1, 1]}),
    predictor={"width": 192, "depth": 4, "num_heads": 3, "mlp_ratio": 4.0},  # as the size "tiny"
    # In PointMaze little moves in a frame, and in Push-T much can happen.
    base={"num_steps": 3_000, "batch_size": 128, "weights": [1, 2, 2], "compile": True},
    models={
        "wall": {"num_steps": 1_500, "backbone_lr_scale": 0.1, "backbone_freeze_fraction": 0.0, "compile": True},
        # With many trajectories nothing is learned by heart, and a slow backbone only learns less: after 8,000 steps
        # with the defaults errors were 7.7 % and 16.8 % of the persistence baseline's, 1 and 5 steps ahead.
        "pusht": {"num_steps": 12_000, "backbone_lr_scale": 1.0, "backbone_freeze_fraction": 0.0, "compile": True},
        "pointmaze": {"num_steps": 4_000, "backbone_lr_scale": 0.1, "backbone_freeze_fraction": 0.0, "compile": True},
    },
    planning={
        "pusht": {"standardize": 1.0},  # what tells how a block is turned varies little in a token
        "pointmaze": {"context_frames": 3, "context_steps": 10},  # one frame does not tell the velocity
    },
)
