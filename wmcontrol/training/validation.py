"""How well a predictor imagines: its error some steps ahead, beside that of copying the last frame."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..models import ActionConditioned, Predictor
from .batch import Batch
from .losses import BETA

HORIZON = 5  # model steps, as far as plans look


@dataclass(frozen=True)
class PredictionError:
    """Smooth L1 errors of tokens, 1 to H steps ahead of the one frame that was seen; each (H,)."""

    model: np.ndarray[tuple[int], np.dtype[np.float64]]
    copying: np.ndarray[tuple[int], np.dtype[np.float64]]  # what copying that frame errs by

    @property
    def ratio(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """The model's error as a share of copying's: below 1, it knows something."""
        return self.model / self.copying


@torch.no_grad()
def prediction_error(
    predictor: Predictor | ActionConditioned, batch: Batch, grid: tuple[int, int], *, chunk: int = 256
) -> PredictionError:
    """Measure on clips of H + 1 frames; each frame after the first is imagined from the first and those imagined.

    Args:
        predictor: with actions if the batch has them.
        batch: of clips.
        grid: rows and columns of patches.
        chunk: clips at once.
    """
    was_training = predictor.training
    predictor.eval()
    sums = np.zeros((2, batch.tokens.shape[1] - 1))
    for start in range(0, len(batch.tokens), chunk):
        part = batch.part(slice(start, start + chunk))
        imagined = _imagine(predictor, part, grid)
        true, first = part.tokens[:, 1:], part.tokens[:, :1].expand_as(part.tokens[:, 1:])
        for row, guess in enumerate((imagined, first)):
            errors = F.smooth_l1_loss(guess.float(), true.float(), beta=BETA, reduction="none")
            sums[row] += errors.double().mean((2, 3)).sum(0).cpu().numpy()
    predictor.train(was_training)
    return PredictionError(*(sums / len(batch.tokens)))


def _imagine(predictor: Predictor | ActionConditioned, part: Batch, grid: tuple[int, int]) -> Tensor:
    context = predictor.context(part.tokens[:, :1], part.times[:, :1], grid=grid)
    frames = []
    for step in range(part.tokens.shape[1] - 1):
        action = None if part.actions is None else part.actions[:, step]
        frame, context = predictor.step(context, part.times[:, step + 1], action)
        frames.append(frame)
    return torch.stack(frames, 1)
