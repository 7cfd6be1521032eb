"""What every encoder is: frames in, patch tokens out, frozen.

Letters: ``N`` frames (or clips), ``T`` frames of a clip, ``P`` patches of a frame, ``D`` numbers of a token.
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self, final

import torch
from torch import Tensor, nn


class Encoder(nn.Module, ABC):
    """Turns frames into tokens, and never learns.

    It stays in ``eval`` mode, also when a module that holds it is put into ``train`` mode; its parameters ask for no
    gradient, and no gradient passes through it. Tokens are ordinary tensors: what is computed from them may be
    differentiated.

    Attributes:
        dim: how many numbers a token has.
        tubelet: how many neighbouring frames share one set of tokens; 1, but for encoders of video.
        carries_weights: whether its ``state_dict`` is saved with it. False where :meth:`settings` say where the weights
            are, such as those of a published model; they must not be changed then.
    """

    dim: int
    tubelet: int = 1
    carries_weights: ClassVar[bool] = True

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Return what the constructor takes to make this encoder again: numbers, strings, lists, dicts, paths."""

    @abstractmethod
    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Return how many rows and columns of tokens a frame of this size gives.

        Raises:
            ValueError: frames of this size cannot be encoded.
        """

    @abstractmethod
    def _tokens(self, frames: Tensor) -> Tensor:
        """Encode uint8 frames (N, height, width, 3) to (N, P, D); with tubelets, (N, T, …) to (N, T / tubelet, P, D).

        ``N`` is at least 1, and the size is one that :meth:`grid` accepts.
        """

    def forward(self, frames: Tensor) -> Tensor:
        """Encode frames.

        Args:
            frames: (…, height, width, 3), uint8, RGB; with tubelets (…, T, height, width, 3), ``T`` a multiple of
                ``tubelet``.

        Returns:
            Tokens (…, P, D), row by row; with tubelets (…, T / tubelet, P, D).

        Raises:
            TypeError: not a uint8 tensor.
            ValueError: a shape that cannot be encoded.
        """
        clip = 3 if self.tubelet == 1 else 4  # the dimensions of what is encoded at once
        self._check(frames, clip)
        if self.training:  # as every module is that was just made
            self.eval()
        rows, columns = self.grid(*frames.shape[-3:-1])
        lead = frames.shape[:-clip]
        flat = frames.flatten(0, -clip - 1) if lead else frames[None]
        each = () if clip == 3 else (frames.shape[-4] // self.tubelet,)
        with torch.no_grad():
            # With no frames, one is encoded, and none of its tokens are returned.
            tokens = self._tokens(flat if len(flat) else flat.new_zeros(1, *flat.shape[1:]))[: len(flat)]
        return tokens.reshape(*lead, *each, rows * columns, self.dim)

    @final
    def train(self, mode: bool = True) -> Self:
        """Stay in ``eval`` mode, whatever is asked."""
        return super().train(False)

    def _dtype(self) -> torch.dtype:
        """Return the dtype of the weights."""
        return next(t.dtype for t in (*self.parameters(), *self.buffers()) if t.is_floating_point())

    def _check(self, frames: Tensor, clip: int) -> None:
        layout = "(…, height, width, 3)" if clip == 3 else "(…, T, height, width, 3)"
        if not isinstance(frames, Tensor) or frames.dtype != torch.uint8:
            what = f"a tensor of {frames.dtype}" if isinstance(frames, Tensor) else type(frames).__name__
            raise TypeError(
                f"expected frames as a torch.uint8 tensor {layout}, 0 to 255, got {what}; "
                "torch.from_numpy turns an array into a tensor"
            )
        if frames.ndim < clip or frames.shape[-1] != 3:
            raise ValueError(f"expected frames {layout} with the colours last, got shape {tuple(frames.shape)}")
        if clip == 4 and (frames.shape[-4] % self.tubelet or not frames.shape[-4]):
            raise ValueError(
                f"expected a number of frames T that is a multiple of the tubelet, {self.tubelet}, "
                f"got T = {frames.shape[-4]} in shape {tuple(frames.shape)}; leave frames out or repeat the last one"
            )


def frozen(model: nn.Module) -> Any:
    """Return the model in ``eval`` mode, none of its parameters asking for a gradient."""
    return model.requires_grad_(False).eval()
