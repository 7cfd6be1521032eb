"""Temporal distances that are known: around the wall in Wall's two rooms, and on a line."""

import numpy as np
import torch
from torch import Tensor

from wmcontrol.models import TemporalEmbedding

DOOR, WALL = 30.0, 32.0


class AroundTheWall(TemporalEmbedding):
    """The way through the door in steps of 10 pixels, exact from one room to the other; in a room about as straight."""

    def embed(self, tokens: Tensor) -> Tensor:
        place = tokens[..., 0, :].float()
        away = place - place.new_tensor([WALL, DOOR])
        along = away.norm(dim=-1) * away[..., 0].sign()
        return torch.stack([along, 0.1 * away[..., 1], torch.zeros_like(along)], -1) / 10


class Line(TemporalEmbedding):
    """Frames are places on a line."""

    def embed(self, tokens: Tensor) -> Tensor:
        return tokens[..., 0, :1].float()


def grid() -> Tensor:
    left, right = np.arange(6, 27, 4.0), np.arange(38, 59, 4.0)
    places = [(x, y) for x in (*left, *right) for y in np.arange(6, 59, 4.0)]
    places += [(x, DOOR) for x in (27.0, 30.0, 34.0, 37.0)]
    return torch.tensor(places, dtype=torch.float32)[:, None]


def embedding(frames: Tensor | None = None) -> TemporalEmbedding:
    return AroundTheWall(2, 1, size=3, width=4, depth=1).keep(grid() if frames is None else frames)
