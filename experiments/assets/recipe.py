"""What the packaged models are made of: one table, and the types of its entries.

A number changed here makes anew what depends on it, and nothing else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from wmcontrol.compare import ENVIRONMENTS, CollectSettings
from wmcontrol.models import PlanningSettings
from wmcontrol.training import (
    FinetuneSettings,
    PretrainSettings,
    PriorSettings,
    StepsToGoSettings,
    TemporalEmbeddingSettings,
)

FRAMESKIP = 5  # of what is only measured


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
        base: how it is pretrained.
        base_weights: how often each of the data is drawn from, relative to the others; by default all alike.
        models: how each is fine-tuned, all of it, by the name of the data; the model gets the same name.
        further: how a fine-tuned model goes on learning, by its name, one run after the other; by default it does not.
        further_data: what it goes on learning from, by its name; by default from the same as before.
        priors: how the action prior of a model is fitted, by its name; by default it has none.
        far: what a model learns for goals that are farther than a plan, by its name: landmarks or a temporal
            embedding; by default nothing.
        planning: how agents plan with a model, by its name; why is in docs/packaged.md.
    """

    data: Mapping[str, CollectSettings]
    encoder: Pyramid
    predictor: Mapping[str, Any]
    base: PretrainSettings
    base_weights: Sequence[float] | None = None
    models: Mapping[str, FinetuneSettings]
    further: Mapping[str, Sequence[FinetuneSettings]] = field(default_factory=dict)
    further_data: Mapping[str, CollectSettings] = field(default_factory=dict)
    priors: Mapping[str, PriorSettings] = field(default_factory=dict)
    far: Mapping[str, StepsToGoSettings | TemporalEmbeddingSettings] = field(default_factory=dict)
    planning: Mapping[str, PlanningSettings] = field(default_factory=dict)


def with_training_seed(recipe: Recipe, seed: int) -> Recipe:
    """Return a recipe whose models and priors are trained with another seed: weights of actions, windows and noise.

    The base, the data and which trajectories are held out stay.
    """
    return replace(
        recipe,
        models={name: replace(run, seed=seed, split_seed=0) for name, run in recipe.models.items()},
        further={
            name: [replace(run, seed=seed, split_seed=0) for run in runs] for name, runs in recipe.further.items()
        },
        priors={name: replace(run, seed=seed, split_seed=0) for name, run in recipe.priors.items()},
    )


_STEPS = {name: given.training.num_steps for name, given in ENVIRONMENTS.items()}  # compare's models have as many
# A plan after one frame sees 6 in all. Larger batches and errors that count as in plans by standardized distances are
# what the position of Push-T's block asks for.
_FURTHER = FinetuneSettings(
    num_steps=26_000,
    batch_size=256,
    num_frames=6,
    learning_rate=4e-3,
    warmup_steps=300,
    standardize=1.0,
    backbone_lr_scale=1.0,
    backbone_freeze_fraction=0.0,
    compile=True,
)
_MORE_WALKS = FinetuneSettings(
    num_steps=9_000,
    learning_rate=3e-3,
    warmup_steps=300,
    backbone_lr_scale=1.0,
    backbone_freeze_fraction=0.0,
    compile=True,
)
RECIPE = Recipe(
    data={name: given.data for name, given in ENVIRONMENTS.items() if isinstance(given.data, CollectSettings)},
    encoder=Pyramid(image_size=64, settings={"num_components": 128, "tokens": [1, 1]}),
    predictor={"width": 192, "depth": 4, "num_heads": 3, "mlp_ratio": 4.0},  # as the size "tiny"
    base=PretrainSettings(num_steps=3_000, batch_size=128, compile=True),
    base_weights=(1, 2, 2),  # in PointMaze little moves in a frame, and in Push-T much can happen
    models={
        "wall": FinetuneSettings(
            num_steps=_STEPS["wall"], backbone_lr_scale=0.1, backbone_freeze_fraction=0.0, compile=True
        ),
        # With many trajectories nothing is learned by heart, and a slow backbone only learns less: after 8,000 steps
        # with the defaults errors were 7.7 % and 16.8 % of the persistence baseline's, 1 and 5 steps ahead.
        "pusht": FinetuneSettings(
            num_steps=_STEPS["pusht"], backbone_lr_scale=1.0, backbone_freeze_fraction=0.0, compile=True
        ),
        "pointmaze": FinetuneSettings(
            num_steps=_STEPS["pointmaze"], backbone_lr_scale=0.1, backbone_freeze_fraction=0.0, compile=True
        ),
    },
    further={
        "pusht": [_FURTHER, replace(_FURTHER, num_steps=24_000, learning_rate=2e-3)],
        "pointmaze": [_MORE_WALKS, replace(_MORE_WALKS, num_steps=8_000)],
    },
    # On its 2,000 walks longer training gained nothing.
    further_data={
        "pointmaze": CollectSettings(
            env_id="wmcontrol/PointMaze_UMaze-v0", policy="random", num_episodes=16_000, num_frames=(100,), seed=5
        )
    },
    # Where random actions led there is little to propose, and a small network learns it.
    priors={
        "wall": PriorSettings(num_steps=4_000, width=192),
        "pusht": PriorSettings(num_steps=10_000, width=640),
        "pointmaze": PriorSettings(num_steps=4_000, width=192),
    },
    # As many frames as the wheel has room for. Landmarks for places; for a block's turns too, a distance.
    far={
        "wall": StepsToGoSettings(num_landmarks=1_000),
        "pusht": TemporalEmbeddingSettings(num_frames=5_000),
        "pointmaze": StepsToGoSettings(num_landmarks=1_000),
    },
    planning={name: given.planning for name, given in ENVIRONMENTS.items()},
)
