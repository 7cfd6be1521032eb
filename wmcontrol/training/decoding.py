"""Fitting what makes tokens visible."""

from typing import NamedTuple

import torch

from ..data import TrajectoryDataset
from ..data.fitting import sample_frames
from ..models import FrameDecoder, WorldModel


class DecoderResult(NamedTuple):
    """What fitting a decoder gave.

    Attributes:
        decoder: on the CPU.
        explained: the share of the variance of the frames, shrunk by half, that it draws of them, at most 1.
    """

    decoder: FrameDecoder
    explained: float


def fit_decoder(
    model: WorldModel, dataset: TrajectoryDataset, *, num_frames: int = 4000, shrink: int = 2, seed: int = 0
) -> DecoderResult:
    """Fit a decoder to frames and the tokens that the model's encoder makes of them, by least squares: seconds.

    It is for looking only: set ``model.decoder`` to it, and films of evaluations show what plans imagine.

    Args:
        model: of which the encoder counts.
        dataset: with frames of the model's size.
        num_frames: how many it is fitted to. For example 2000.
        shrink: what moves is drawn at the frames' size over this, and enlarged. For example 1.
        seed: which frames. For example 1.

    Raises:
        ValueError: frames of another size, no frames, or all of them are the same.
        OSError: they cannot be read.
    """
    height, width = model.frame_size
    rows, columns = model.grid
    (pixels,) = sample_frames([dataset], num_frames, seed)
    frames = torch.from_numpy(pixels)
    with torch.no_grad():
        tokens = torch.cat([model.encode(part[None])[0].float().cpu() for part in frames.split(64)])
    patch = max(1, round(height / rows / shrink)), max(1, round(width / columns / shrink))
    decoder = FrameDecoder(model.encoder.dim, (rows, columns), (height, width), patch)
    return DecoderResult(decoder, decoder.fit(frames, tokens))
