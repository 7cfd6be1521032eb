"""Predictors with random weights, contexts and the ways to imagine from them; and how many operations that is."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from wmcontrol import ActionConditioned, ActionNormalizer, Predictor, WorldModel

from ..latents import encoder_of

HORIZON = 5
ACTION_DIM = 10  # 5 actions of 2 numbers
_RATE, _SKIP = 10.0, 5


@dataclass(frozen=True)
class Size:
    """A predictor's size and what it looks at."""

    width: int
    depth: int
    heads: int
    dim: int
    grid: tuple[int, int]
    mlp_ratio: float = 4.0

    @property
    def patches(self) -> int:
        """P, tokens of a frame."""
        return self.grid[0] * self.grid[1]

    def operations(self, candidates: int, horizon: int = HORIZON, frames: int = 1) -> float:
        """Count the floating-point operations of imagining: products of matrices, the context's own left out.

        All that the paper's predictor does for each candidate's frames, and no more: what a step needs not is not
        counted, such as keys of the last frame.
        """
        w, P = self.width, self.patches
        hidden, action = round(self.mlp_ratio * w), round(25 / 24 * w)
        of_token = self.depth * (2 * w * w + 2 * w * hidden + 3 * w * action)
        of_token += self.dim * w  # head
        keys = self.depth * 2 * w * w + self.dim * w  # of all but the last
        seen = sum(frames + step for step in range(horizon)) * P  # keys that the queries of all steps meet
        of_frames = P * (horizon * of_token + (horizon - 1) * keys + seen * self.depth * 2 * w)
        return 2.0 * candidates * of_frames

    def weights(self) -> int:
        """Count the numbers that a step reads of the predictor and its action blocks."""
        return sum(parameter.numel() for parameter in self.predictor().parameters())

    def predictor(self) -> ActionConditioned:
        """Make a predictor with actions, of random weights."""
        torch.manual_seed(0)
        plain = Predictor(self.dim, self.width, self.depth, self.heads, self.mlp_ratio)
        model = ActionConditioned(plain, ACTION_DIM)
        with torch.no_grad():
            for parameter in model.parameters():
                if not parameter.any():  # as if it had been trained
                    parameter.normal_(std=0.1)
        return model.eval().requires_grad_(False)

    def world_model(self, dtype: torch.dtype, device: torch.device, memory_budget: int | None = None) -> WorldModel:
        """Make a world model around it, whose encoder is there for its shape only."""
        normalizer = ActionNormalizer([0, 0], [1, 1], [-2, -2], [2, 2], frameskip=_SKIP)
        side = 16 * max(self.grid)
        model = WorldModel(
            encoder_of(self.grid, self.dim),
            self.predictor(),
            normalizer,
            control_rate=_RATE,
            frame_size=(side, side),
            memory_budget=memory_budget,
        )
        model.predictor.to(device, dtype)
        return model

    def tokens(self, rows: int, frames: int, like: WorldModel) -> Tensor:
        """Draw frames' tokens (B, T, P, D)."""
        generator = torch.Generator().manual_seed(1)
        drawn = torch.randn(rows, frames, self.patches, self.dim, generator=generator)
        return drawn.to(like.device, like.dtype)


def actions(rows: int, candidates: int, horizon: int, like: WorldModel) -> Tensor:
    """Draw plans (B, S, H, A)."""
    generator = torch.Generator().manual_seed(2)
    return torch.randn(rows, candidates, horizon, ACTION_DIM, generator=generator).to(like.device, like.dtype)


def ways(model: WorldModel, tokens: Tensor, plans: Tensor) -> dict[str, Callable[[], Tensor]]:
    """Return the ways to imagine what plans (1, S, H, A) lead to, the slowest first."""
    context = model.context(tokens)

    def fast() -> Tensor:
        with torch.no_grad():
            return model.rollout(context, plans, last_only=True)

    def plain() -> Tensor:
        with torch.enable_grad():  # nothing asks for a gradient; this is the way that gradients take
            return model.rollout(context, plans, last_only=True)

    def recomputing() -> Tensor:
        with torch.no_grad():
            return _without_cache(model, tokens, plans)

    return {"recomputing": recomputing, "cache": plain, "folded": fast}


def _without_cache(model: WorldModel, tokens: Tensor, plans: Tensor) -> Tensor:
    """Imagine with the keys and values of all frames before computed anew in every step, for every candidate."""
    S, H = plans.shape[1:3]
    frames = tokens.expand(S, -1, -1, -1)
    T = tokens.shape[1]
    times = model.step_seconds * torch.arange(T + H, dtype=torch.float64, device=tokens.device).expand(S, -1)
    predictor = model.predictor
    assert isinstance(predictor, ActionConditioned)
    between = plans.new_zeros(S, T - 1, plans.shape[-1])
    for step in range(H):
        context = predictor.context(frames, times[:, : T + step], grid=model.grid, actions=between)
        new, _ = predictor.step(context, times[:, T + step], plans[0, :, step])
        frames = torch.cat([frames, new[:, None]], 1)
        between = torch.cat([between, plans[0, :, step, None]], 1)
    return frames[None, :, -1:]
