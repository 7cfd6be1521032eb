"""What foresees frames: what forecasts and surprise ask of a world model, and of all that is compared with one.

Letters: ``B`` windows at once, ``T`` frames of one, ``K`` tiles of a frame, ``P`` patches of a tile, ``D`` numbers of a
token.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..encoders import Encoder
from ..models import Predictor, WorldModel

Times = NDArray[np.float64]
_OFF = 0.25  # of a step: films do not keep time exactly


@dataclass(frozen=True, eq=False)
class Window:
    """Frames that follow one another, of B windows.

    Attributes:
        tokens: (B, T, K, P, D) of each frame, on the forecaster's device.
        times: (B, T) seconds, rising.
        grid: rows and columns of patches of a tile.
        read: returns the frames themselves, (B, T, height, width, 3) uint8.
        cut: cuts frames (n, height, width, 3) into tiles (n, K, …, 3), as they are encoded.
    """

    tokens: Tensor
    times: Times
    grid: tuple[int, int]
    read: Callable[[], Tensor]
    cut: Callable[[Tensor], Tensor]

    def first(self, count: int) -> "Window":
        """Return the first frames alone."""
        return replace(
            self, tokens=self.tokens[:, :count], times=self.times[:, :count], read=lambda: self.read()[:, :count]
        )

    def steps_to(self, times: Times) -> list[int]:
        """Return how many steps after the last frame times (B, calls) are, in steps as those between its frames.

        Raises:
            ValueError: it is one frame; or a time is between two steps, or not as many in all windows.
        """
        if self.times.shape[1] < 2:
            raise ValueError("frames: expected 2 or more to be seen, whose distance is the step of a forecast, got 1")
        steps = (self.times[:, -1] - self.times[:, 0]) / (self.times.shape[1] - 1)
        ahead = (times - self.times[:, -1:]) / steps[:, None]
        whole = np.round(ahead)
        if (np.abs(ahead - whole) > _OFF).any() or (whole != whole[0]).any() or (whole < 1).any():
            raise ValueError(
                f"this forecaster goes on in the step of the frames that it sees, {steps[0]:.3g} s, and is asked for "
                f"one {times[0, 0] - self.times[0, -1]:.3g} s ahead; ask for a rollout (way=rollout, without far=true)"
            )
        return [int(step) for step in whole[0]]


class Forecaster(ABC):
    """Foresees tokens of frames: a world model without actions, or what is compared with one.

    Attributes:
        encoder: of single frames. What is foreseen is compared with its tokens, and heads are trained on them.
        device: where tokens are.
    """

    encoder: Encoder
    device: torch.device

    @abstractmethod
    def digest(self) -> str:
        """Return what tells it from others, wherever it lies."""

    @abstractmethod
    def foresee(self, seen: Window, asked: Sequence[Times]) -> list[Tensor]:
        """Foresee frames after those that are seen.

        Args:
            seen: the frames.
            asked: rollouts, each the times (B, calls) of frames, rising: each frame is foreseen from those before it
                too. One of a single call is a direct forecast.

        Returns:
            Tokens (B, calls, K, P, D) of each rollout.

        Raises:
            ValueError: it cannot begin with so few frames, or foresee these times.
        """

    def targets(self, window: Window, seen: int) -> Tensor:
        """Return what surprise compares the frames after those that are seen with, (B, T - seen, K, P, D): tokens."""
        return window.tokens[:, seen:]


class ModelForecaster(Forecaster):
    """A world model without actions."""

    def __init__(self, model: WorldModel):
        if not isinstance(model.predictor, Predictor):
            raise ValueError("model: expected one without actions (wmcontrol pretrain), got one that has them")
        self.model, self.encoder, self.device = model, model.encoder, model.device

    def digest(self) -> str:
        """Return the predictor's."""
        found: str = self.model.predictor.digest()  # type: ignore[operator]
        return found

    @torch.no_grad()
    def foresee(self, seen: Window, asked: Sequence[Times]) -> list[Tensor]:
        """Foresee frames; what the predictor needs of those that are seen is computed once for all rollouts."""
        B, _, K = seen.tokens.shape[:3]
        tokens = seen.tokens.transpose(1, 2).flatten(0, 1).to(self.model.dtype)
        predictor: Any = self.model.predictor
        times = torch.from_numpy(seen.times.repeat(K, 0)).to(tokens.device)
        context = predictor.context(tokens, times, grid=seen.grid)
        rollouts = [torch.stack(roll_out(self.model, context, times.repeat(K, 0)), 1) for times in asked]
        return [found.unflatten(0, (B, K)).transpose(1, 2) for found in rollouts]


def forecaster_of(model: WorldModel | Forecaster) -> Forecaster:
    """Return a forecaster, which may be given as a world model.

    Raises:
        TypeError: it is neither.
        ValueError: a model with actions.
    """
    if isinstance(model, Forecaster):
        return model
    given: object = model
    if not isinstance(given, WorldModel):
        raise TypeError(f"model: expected a WorldModel or a Forecaster, got {type(given).__name__}")
    return ModelForecaster(model)


@torch.no_grad()
def encode_frames(
    forecaster: Forecaster, frames: Any, numbers: NDArray[np.int64], cut: Callable[[Tensor], Tensor], batch: int
) -> Tensor:
    """Return the tokens (n, K, P, D) of frames with these numbers, as many at once as ``batch``."""
    parts = [
        forecaster.encoder(cut(torch.from_numpy(np.array(frames[part.tolist()]))).to(forecaster.device))
        for part in np.split(numbers, range(batch, len(numbers), batch))
    ]
    return torch.cat(parts)


def read_frames(frames: Any, numbers: NDArray[np.int64]) -> Tensor:
    """Return frames with these numbers (B, T), (B, T, height, width, 3), each read once."""
    needed, places = np.unique(numbers, return_inverse=True)
    return torch.from_numpy(np.array(frames[needed.tolist()]))[torch.from_numpy(places.reshape(numbers.shape))]


@torch.no_grad()
def roll_out(model: WorldModel, context: Any, times: Times) -> list[Tensor]:
    """Predict frames (B, P, D) one after another at times (B, calls) seconds, each seen by those after it."""
    predictor: Any = model.predictor
    found = []
    for time in torch.from_numpy(times).to(model.device).unbind(1):
        tokens, context = predictor.step(context, time)
        found.append(tokens)
    return found
