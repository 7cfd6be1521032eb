"""What a predictor without actions sees, and what it foresees.

Letters: ``B`` windows at once, ``T`` frames that are seen, ``P`` patches of a frame, ``D`` numbers of a token.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..models import Predictor, WorldModel


def check_watches(model: WorldModel) -> None:
    """Raise a ValueError unless a model predicts without actions."""
    if not isinstance(model.predictor, Predictor):
        raise ValueError("model: expected one without actions (wmcontrol pretrain), got one that has them")


@torch.no_grad()
def encode_frames(
    model: WorldModel, frames: Any, numbers: NDArray[np.int64], prepare: Callable[[Tensor], Tensor], batch: int
) -> Tensor:
    """Return the tokens of frames with these numbers, as many at once as ``batch``, on the model's device."""
    parts = [
        model.encoder(prepare(torch.from_numpy(np.array(frames[part.tolist()]))).to(model.device)).to(model.dtype)
        for part in np.split(numbers, range(batch, len(numbers), batch))
    ]
    return torch.cat(parts)


@torch.no_grad()
def watched(model: WorldModel, tokens: Tensor, times: NDArray[np.float64], grid: tuple[int, int]) -> Any:
    """Return the predictor's context of frames (B, T, P, D) at times (B, T) seconds."""
    predictor: Any = model.predictor
    return predictor.context(tokens, torch.from_numpy(times).to(tokens.device), grid=grid)


@torch.no_grad()
def roll_out(model: WorldModel, context: Any, times: NDArray[np.float64]) -> list[Tensor]:
    """Predict frames (B, P, D) one after another at times (B, calls) seconds, each seen by those after it."""
    predictor: Any = model.predictor
    found = []
    for time in torch.from_numpy(times).to(context.origin.device).unbind(1):
        tokens, context = predictor.step(context, time)
        found.append(tokens)
    return found
