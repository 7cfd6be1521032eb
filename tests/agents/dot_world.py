"""A world model in closed form for Wall away from its wall: the token of a frame is where the dot is, in pixels."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from wmcontrol import WorldModel
from wmcontrol.encoders import Encoder
from wmcontrol.models import ActionNormalizer, Context

FRAMESKIP = 5
SIDE = 64
LEFT = (8.0, 26.0)  # x of the room on the left
BETWEEN = (10.0, 54.0)  # y of both


class DotEncoder(Encoder):
    """Finds the red dot. Counts the frames that it encodes, so that tests can see whether one is encoded twice."""

    dim = 2

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("places", torch.arange(SIDE) + 0.5)
        self.encoded: list[Tensor] = []

    def settings(self) -> dict[str, Any]:
        return {}

    def grid(self, height: int, width: int) -> tuple[int, int]:
        return 1, 1

    def _tokens(self, frames: Tensor) -> Tensor:
        self.encoded.extend(frames)
        red = (frames[..., 0].float() - frames[..., 1].float()).clamp_min(0)
        total = red.sum((1, 2)).clamp_min(1)
        x = (red.sum(1) * self.places).sum(1) / total
        y = (red.sum(2) * self.places).sum(1) / total
        return torch.stack([x, y], 1)[:, None]


class LinearPredictor(nn.Module):
    """Moves the dot by two pixels for each unit of action; remembers in ``contexts`` what it was given."""

    dim, width, depth, num_heads = 2, 2, 1, 1
    action_dim = 2 * FRAMESKIP

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(2.0))
        self.contexts: list[tuple[Tensor, Tensor]] = []

    def context(self, tokens: Tensor, times: Tensor, *, grid: tuple[int, int]) -> Context:
        self.contexts.append((tokens, times))
        shared = tokens.flatten(1, 2)[:, None]
        return Context(((shared, shared),), None, times[:, 0], times[:, -1], grid)

    def step(self, context: Context, time: Tensor, action: Tensor) -> tuple[Tensor, Context]:
        B, S, _ = action.shape
        last = context.shared[0][0][:, 0, -1:].repeat_interleave(S, 0) if context.own is None else None
        last = context.own[0][0][:, 0, -1:] if context.own is not None else last
        assert last is not None
        new = last + self.gain * action.reshape(B * S, FRAMESKIP, 2).sum(1, keepdim=True)
        return new.view(B, S, 1, 2), context.extended(((new[:, None], new[:, None]),), time)


def dot_model() -> WorldModel:
    normalizer = ActionNormalizer([0.0, 0.0], [1.0, 1.0], [-1.0, -1.0], [1.0, 1.0], frameskip=FRAMESKIP)
    predictor: Any = LinearPredictor()
    return WorldModel(DotEncoder(), predictor, normalizer, control_rate=10.0, frame_size=(SIDE, SIDE))


def starts_and_goals(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Places in the left room, goals at least 8 and at most 25 pixels away."""
    rng = np.random.default_rng(seed)
    found = []
    while len(found) < count:
        start, goal = rng.uniform((LEFT[0], BETWEEN[0]), (LEFT[1], BETWEEN[1]), (2, 2))
        if 8 < np.linalg.norm(start - goal) < 25:
            found.append((start, goal))
    starts, goals = zip(*found, strict=True)
    return np.array(starts), np.array(goals)
