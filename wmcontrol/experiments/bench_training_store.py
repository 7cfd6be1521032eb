"""A latent store of random tokens, for measuring: training takes the same time whatever the tokens say."""

import json
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ..data import LatentStore
from ..data.latent_store import ARRAYS, DESCRIPTION, TOKENS, VERSION
from ..encoders import PyramidEncoder
from ..encoders.files import save_encoder

_FRAMES = 50  # of a trajectory
_NUMBERS = 2**22  # of all tokens, about
_ACTION_DIM = 2
_FRAME_SIZE = (64, 64)
_CONTROL_RATE = 10.0


class Shape(Protocol):
    """What tokens look like."""

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of a frame's patches."""

    @property
    def dim(self) -> int:
        """Numbers of a token."""


def random_store(folder: Path, shape: Shape) -> LatentStore:
    """Write a store of about 8 MB, in float16, and open it; its encoder is a pyramid where that gives such tokens."""
    folder.mkdir()
    patches = shape.grid[0] * shape.grid[1]
    trajectories = max(20, _NUMBERS // (_FRAMES * patches * shape.dim))
    frames = trajectories * _FRAMES
    rng = np.random.default_rng(0)
    with (folder / TOKENS).open("wb") as file:
        for _ in range(trajectories):
            tokens = rng.standard_normal((_FRAMES, patches, shape.dim), dtype=np.float32)
            file.write(tokens.astype(np.float16).tobytes())
    times = np.tile(np.arange(_FRAMES) / _CONTROL_RATE, trajectories)
    actions = rng.uniform(-1, 1, (frames, _ACTION_DIM))
    np.savez(folder / ARRAYS, lengths=np.full(trajectories, _FRAMES), times=times, actions=actions)
    encoder = PyramidEncoder()
    if (patches, shape.dim) == (1, encoder.dim):
        encoder.fit(random_frames((512,), _FRAME_SIZE))
        save_encoder(encoder, folder, _FRAME_SIZE)
    described = {
        "version": VERSION,
        "key": "random",
        "dtype": "float16",
        "frames": frames,
        "patches": patches,
        "dim": shape.dim,
        "frame_size": list(_FRAME_SIZE),
        "source": {
            "fingerprint": "random",
            "control_rate": _CONTROL_RATE,
            "env_id": None,
            "action_bounds": [[-1.0] * _ACTION_DIM, [1.0] * _ACTION_DIM],
            "env_settings": {},
        },
    }
    (folder / DESCRIPTION).write_text(json.dumps(described), encoding="utf-8")
    return LatentStore.open(folder)


def random_frames(count: tuple[int, ...], size: tuple[int, int]) -> Tensor:
    """Return frames of noise, uint8 (…, height, width, 3)."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(256, (*count, *size, 3), dtype=torch.uint8, generator=generator, device="cpu")
