"""Encoders of any shape and stores of noise, for measuring: time does not depend on what tokens say."""

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from wmcontrol import PyramidEncoder
from wmcontrol.data import ArrayDataset, LatentStore, encode

FRAME_SIZE = (64, 64)
CONTROL_RATE = 10.0
NUMBERS = 2**22  # of all tokens of a store, about: 8 MB in float16
_FRAMES = 50  # of a trajectory
_ACTION_DIM = 2


def encoder_of(grid: tuple[int, int], dim: int) -> PyramidEncoder:
    """Return an encoder with so many tokens of so many numbers, not fitted."""
    side = math.ceil(math.sqrt(dim / 12))  # of the samples of a token: 4 blurs of 3 colours
    samples = (side * grid[0], side * grid[1])
    return PyramidEncoder(dim, tokens=grid, grids=[samples] * 4)


def noise(*count: int, size: tuple[int, int] = FRAME_SIZE) -> Tensor:
    """Return frames of noise, uint8 (…, height, width, 3)."""
    return torch.randint(256, (*count, *size, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def noise_store(folder: Path, grid: tuple[int, int], dim: int) -> LatentStore:
    """Encode trajectories of noise, all of the same frames, with random actions."""
    encoder = encoder_of(grid, dim)
    encoder.fit(noise(512))
    count = max(20, NUMBERS // (_FRAMES * grid[0] * grid[1] * dim))
    frames = noise(_FRAMES).numpy()
    actions = np.random.default_rng(0).uniform(-1, 1, (count, _FRAMES - 1, _ACTION_DIM))
    bounds = np.full(_ACTION_DIM, -1.0), np.full(_ACTION_DIM, 1.0)
    dataset = ArrayDataset([frames] * count, list(actions), control_rate=CONTROL_RATE, action_bounds=bounds)
    return encode(dataset, encoder, folder)
