"""How well a saved model imagines trajectories that it was not trained on."""

from collections.abc import Sequence

import numpy as np

from ..data import LatentStore
from ..models import FrameCausalPredictor, WorldModel
from ..training import Batch, PredictionError, prediction_error
from ..training.validation import steps_ahead

MOST = 2048  # windows that are measured on, evenly spread over all


def held_out_error(
    model: WorldModel, store: LatentStore, frameskip: int, members: Sequence[int] | None = None
) -> PredictionError:
    """Measure errors up to 25 environment steps ahead of one frame, and those of copying it; on the CPU.

    Args:
        model: in float32; with actions, or without.
        store: of its encoder.
        frameskip: environment steps of a model step.
        members: trajectories that the windows are of; by default all.
    """
    windows = store.windows(1 + steps_ahead(frameskip), frameskip, members)
    found = windows.batch(np.unique(np.linspace(0, len(windows) - 1, MOST).round().astype(np.int64)))
    actions = None
    if model.normalizer is not None:
        assert found.actions is not None
        actions = model.normalizer.to_model(found.actions.unflatten(-1, (frameskip, -1)))
    predictor = model.predictor
    if isinstance(predictor, FrameCausalPredictor):
        raise TypeError("errors are measured of this package's Predictor, got a FrameCausalPredictor")
    batch = Batch(found.tokens.float(), found.times, actions, [""] * len(found.tokens))
    return prediction_error(predictor, batch, store.grid)
