"""How well a predictor imagines: its error some time ahead, beside the persistence baseline, which repeats the last
frame."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..data import LatentStore
from ..models import ActionConditioned, ActionNormalizer, Predictor
from .batch import Batch, WindowSource
from .losses import BETA

REACH = 25  # environment steps, as far ahead as plans look in the protocols

NUM_CLIPS = 2048  # that a result is measured on
_BYTES = 2**30  # of their tokens in memory; fewer clips are measured on where one alone is large
_SHOWN = 5  # errors of long horizons, in words

Errors = np.ndarray[tuple[int], np.dtype[np.float64]]


def steps_ahead(frameskip: int) -> int:
    """Return H, the model steps of ``REACH``: models of any frameskip are measured as far ahead in time."""
    return max(1, round(REACH / frameskip))


def context_frames(num_frames: int, horizon: int) -> int:
    """Return how many frames an agent can look at: what a plan leaves of the frames that a model was trained on."""
    return max(1, num_frames - horizon)


@dataclass(frozen=True)
class PredictionError:
    """Smooth L1 errors of tokens, 1 to H steps ahead of the last frame that was seen; each (H,).

    Attributes:
        seconds: how far ahead.
        model: the model's error.
        persistence: the persistence baseline: the error of repeating the last frame that was seen.
        context: how many frames were seen.
    """

    seconds: Errors
    model: Errors
    persistence: Errors
    context: int

    @property
    def relative_error(self) -> Errors:
        """The model's error over that of persistence; below 1, the model knows more than the last frame.

        Models of one encoder can be compared by it, at the same seconds ahead. Those of two encoders cannot, since
        persistence errs more in tokens that tell more.
        """
        return self.model / self.persistence

    def __str__(self) -> str:
        few = np.unique(np.linspace(0, len(self.model) - 1, _SHOWN).round().astype(np.int64))
        return ", ".join(f"{self.seconds[h]:.3g} s {self.relative_error[h]:.1%}" for h in few)

    @staticmethod
    def of(found: Mapping[str, Any]) -> "PredictionError":
        """Read what :meth:`as_dict` returned."""
        seconds, model, persistence = (
            np.array(found[name], np.float64) for name in ("seconds_ahead", "error", "persistence_error")
        )
        return PredictionError(seconds, model, persistence, found["context_frames"])

    def as_dict(self) -> dict[str, Any]:
        """Return the errors as JSON has them, such as ``result.json`` of a fine-tuning."""
        return {
            "error": self.model.tolist(),
            "persistence_error": self.persistence.tolist(),
            "seconds_ahead": self.seconds.tolist(),
            "context_frames": self.context,
        }

    @property
    def warning(self) -> str | None:
        """What is to be said of a model that imagines worse than persistence; None of others."""
        worse = np.flatnonzero(~(self.relative_error < 1))
        if not len(worse):
            return None
        return (
            f"worse than the persistence baseline (repeating the last frame) at {len(worse)} of {len(self.model)} "
            f"times ahead, first at {self.seconds[worse[0]]:.3g} s ({self.relative_error[worse[0]]:.0%}): plans that "
            "look so far mean nothing. Train for more steps if the error was still falling, and with more trajectories "
            "if it was not"
        )


def held_out_clips(
    store: LatentStore,
    members: Sequence[int] | None,
    *,
    num_frames: int,
    frameskip: int,
    normalizer: ActionNormalizer | None,
    seed: int,
    num_clips: int = NUM_CLIPS,
) -> tuple[Batch, int]:
    """Draw clips to measure a model on: as many frames as an agent can look at, then those of ``REACH`` steps.

    Args:
        store: of the model's encoder.
        members: trajectories that the model was not trained on; None for all.
        num_frames: of the windows that it was trained on.
        frameskip: environment steps of a model step.
        normalizer: the model's; None for one without actions.
        seed: decides which clips.
        num_clips: how many, at the most.

    Returns:
        the clips, and how many of their frames are seen: fewer than an agent can look at where trajectories are short.

    Raises:
        ValueError: no trajectory is long enough.
    """
    horizon = steps_ahead(frameskip)
    context = context_frames(num_frames, horizon)
    while True:
        try:
            windows = store.windows(context + horizon, frameskip, members)
            break
        except ValueError:
            if context == 1:
                raise
            context -= 1
    of_one = 4 * (context + horizon) * store.tokens.shape[1] * store.tokens.shape[2]
    count = max(1, min(num_clips, len(windows), _BYTES // of_one))
    return WindowSource(windows, count, normalizer, seed).batch(0), context


@torch.no_grad()
def prediction_error(
    predictor: Predictor | ActionConditioned, batch: Batch, grid: tuple[int, int], *, context: int = 1, chunk: int = 256
) -> PredictionError:
    """Measure on clips; each frame after those seen is imagined from them and from those imagined before it.

    Args:
        predictor: with actions if the batch has them.
        batch: of clips of ``context`` + H frames.
        grid: rows and columns of patches.
        context: how many frames of each clip are seen.
        chunk: clips at once.

    Raises:
        ValueError: clips have no frame more than ``context``.
    """
    horizon = batch.tokens.shape[1] - context
    if context < 1 or horizon < 1:
        raise ValueError(f"context must be from 1 to {batch.tokens.shape[1] - 1}, one less than frames, got {context}")
    was_training = predictor.training
    predictor.eval()
    sums = np.zeros((2, horizon))
    for start in range(0, len(batch.tokens), chunk):
        part = batch.part(slice(start, start + chunk))
        imagined, true = _imagine(predictor, part, grid, context), part.tokens[:, context:]
        for row, guess in enumerate((imagined, part.tokens[:, context - 1 : context].expand_as(true))):
            errors = F.smooth_l1_loss(guess.float(), true.float(), beta=BETA, reduction="none")
            sums[row] += errors.double().mean((2, 3)).sum(0).cpu().numpy()
    predictor.train(was_training)
    seconds = (batch.times[:, context:] - batch.times[:, context - 1 : context]).double().mean(0).cpu().numpy()
    model, persistence = sums / len(batch.tokens)
    return PredictionError(seconds, model, persistence, context)


def _imagine(predictor: Predictor | ActionConditioned, part: Batch, grid: tuple[int, int], context: int) -> Tensor:
    tokens, times = part.tokens[:, :context], part.times[:, :context]
    if part.actions is None or not isinstance(predictor, ActionConditioned):
        seen = predictor.context(tokens, times, grid=grid)
    else:
        seen = predictor.context(tokens, times, grid=grid, actions=part.actions[:, : context - 1])
    frames = []
    for step in range(context - 1, part.tokens.shape[1] - 1):
        action = None if part.actions is None else part.actions[:, step]
        frame, seen = predictor.step(seen, part.times[:, step + 1], action)
        frames.append(frame)
    return torch.stack(frames, 1)
