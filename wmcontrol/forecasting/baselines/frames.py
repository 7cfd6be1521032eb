"""Whatever predicts frames: what it predicts is encoded, and judged as tokens that were foreseen.

Letters: ``B`` windows at once, ``T`` frames of one, ``K`` tiles of a frame, ``P`` patches of a tile, ``D`` numbers of a
token.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...encoders import Encoder
from ...encoders.files import encoder_digest
from ..forecasters import Forecaster, Times, Window

Frames = NDArray[np.uint8]


class FrameForecaster(Forecaster):
    """Any function that predicts frames, such as a video generator.

    Args:
        predict: takes the frames that are seen, (T, height, width, 3) uint8, RGB, and how many are to follow in the
            same step; returns as many, (count, height, width, 3) uint8. It is called for each window by itself.
        encoder: of single frames. Heads are trained on its tokens.
        device: where frames are encoded.

    Raises:
        ValueError: an encoder of clips.
    """

    def __init__(
        self, predict: Callable[[Frames, int], Frames], encoder: Encoder, *, device: str | torch.device = "cpu"
    ):
        if encoder.tubelet != 1:
            raise ValueError(f"encoder: expected one of single frames, got one of {encoder.tubelet} at a time")
        self.predict, self.device = predict, torch.device(device)
        self.encoder = encoder.to(self.device)

    def digest(self) -> str:
        """Return a digest of the encoder and of what the function is called, its ``repr`` where it is an object."""
        name = getattr(self.predict, "__qualname__", None)
        called = repr(self.predict) if name is None else f"{self.predict.__module__}.{name}"
        return hashlib.sha256(json.dumps([encoder_digest(self.encoder), called]).encode()).hexdigest()

    @torch.no_grad()
    def foresee(self, seen: Window, asked: Sequence[Times]) -> list[Tensor]:
        """Foresee frames in steps as those of the frames that are seen; all are of one prediction, whatever the way.

        Raises:
            TypeError, ValueError: times are not in that step; or what is predicted are no such frames.
        """
        steps = [seen.steps_to(times) for times in asked]
        frames, count = seen.read().numpy(), max(step for ahead in steps for step in ahead)
        wanted = sorted({step for ahead in steps for step in ahead})
        rows = []
        for window in frames:
            predicted = self._predicted(window, count)[[step - 1 for step in wanted]]
            rows.append(self.encoder(seen.cut(torch.from_numpy(predicted)).to(self.device)))
        tokens = torch.stack(rows)  # (B, wanted, K, P, D)
        return [tokens[:, [wanted.index(step) for step in ahead]] for ahead in steps]

    def _predicted(self, window: Frames, count: int) -> Frames:
        found: Any = self.predict(window.copy(), count)
        expected = (count, *window.shape[1:])
        if not isinstance(found, np.ndarray) or found.dtype != np.uint8 or found.shape != expected:
            got = f"{found.dtype} {found.shape}" if isinstance(found, np.ndarray) else type(found).__name__
            raise ValueError(f"predict: expected an array of uint8 {expected}, got {got}")
        return found
