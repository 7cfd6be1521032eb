"""What people do between such frames: a learned proposal of action sequences, for planners to begin with.

Conditional flow matching (Lipman et al. 2022, arXiv 2210.02747) with the linear path: noise becomes a sequence of
actions along a learned velocity. A planner's model then decides which of the proposals are good, so that the prior need
not be right, only wide enough.

Letters: ``B`` environments, ``S`` samples, ``T`` frames, ``H`` model steps ahead, ``P`` patches of a frame, ``D``
numbers of a token, ``A`` numbers in a model action, ``W`` the width of the network.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..checks import check_whole
from .ordinary import check_differentiable, ordinary_tensors

MOST = {"horizon": 1000, "num_frames": 1000, "width": 2**13, "depth": 100}  # of a network that memory has room for
_MIDPOINT_STEPS = 2  # of two velocities each: with 3 to 5 steps to go about as near to the exact end as ten of Euler's
_CODE = 512  # numbers that the patches of a frame are brought to, together
_WAVES = 8  # of the time embedding, in octaves


class ActionPrior(nn.Module):
    """Proposes sequences of model actions that lead from the frames seen to a goal in so many steps.

    Args:
        dim: D.
        num_patches: P.
        action_dim: A.
        horizon: H, the most steps that it proposes.
        num_frames: T, the frames that it looks at, one model step apart; where fewer were seen, the oldest stands for
            those before it.
        width: W.
        depth: residual blocks.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        dim: int,
        num_patches: int,
        action_dim: int,
        *,
        horizon: int = 5,
        num_frames: int = 1,
        width: int = 512,
        depth: int = 3,
    ):
        super().__init__()
        self._settings = {
            "dim": dim,
            "num_patches": num_patches,
            "action_dim": action_dim,
            "horizon": horizon,
            "num_frames": num_frames,
            "width": width,
            "depth": depth,
        }
        for name, value in self._settings.items():
            check_whole(name, value, most=MOST.get(name, math.inf))
        self.dim, self.num_patches, self.action_dim = dim, num_patches, action_dim
        self.horizon, self.num_frames = horizon, num_frames
        self.register_buffer("mean", torch.zeros(dim, dtype=torch.float32))  # of the tokens that it was trained on
        self.register_buffer("std", torch.ones(dim, dtype=torch.float32))
        code = max(1, _CODE // num_patches)
        self.patch = nn.Linear((num_frames + 1) * dim, code, dtype=torch.float32)
        self.frames = nn.Linear(code * num_patches, width, dtype=torch.float32)
        self.steps = nn.Embedding(horizon, width, dtype=torch.float32)
        self.time = nn.Linear(2 * _WAVES, width, dtype=torch.float32)
        self.input = nn.Linear(horizon * action_dim, width, dtype=torch.float32)
        self.blocks = nn.ModuleList(_Block(width) for _ in range(depth))
        self.output = nn.Sequential(
            nn.LayerNorm(width, dtype=torch.float32), nn.Linear(width, horizon * action_dim, dtype=torch.float32)
        )

    def settings(self) -> dict[str, Any]:
        """Return the arguments that make a prior like this one."""
        return dict(self._settings)

    def condition(self, tokens: Tensor, goal: Tensor, steps_to_go: Tensor) -> Tensor:
        """Return what a proposal depends on, (B, W).

        Args:
            tokens: (B, T', P, D) of frames one model step apart, the newest last; of more than T the last T count.
            goal: (B, P, D).
            steps_to_go: (B,) int64, model steps until the goal is due, from 1 to H.

        Raises:
            ValueError: other shapes, or steps out of range.
        """
        self._check(tokens, goal, steps_to_go)
        tokens, goal = ((x.to(self.std) - self.mean) / self.std for x in (tokens[:, -self.num_frames :], goal))
        missing = self.num_frames - tokens.shape[1]
        tokens = torch.cat([tokens[:, :1].expand(-1, missing, -1, -1), tokens], 1)
        newest = tokens[:, -1:]
        # What changed and what is to change: so small differences need not be found between large numbers.
        seen = torch.cat([newest, goal[:, None] - newest, tokens[:, :-1] - newest], 1)  # (B, T + 1, P, D)
        code = torch.nn.functional.silu(self.patch(seen.transpose(1, 2).flatten(2)))
        condition: Tensor = self.frames(code.flatten(1)) + self.steps(steps_to_go - 1)
        return condition

    def forward(self, noisy: Tensor, time: Tensor, condition: Tensor) -> Tensor:
        """Return the velocity (…, H, A) at points (…, H, A) of paths at times (…, 1) from 0 to 1; condition (…, W).

        Leading axes of times and condition are broadcast to those of the points.
        """
        octaves = torch.pi * 2.0 ** torch.arange(_WAVES, device=time.device, dtype=time.dtype)
        waves = torch.cat([(octaves * time).sin(), (octaves * time).cos()], -1)
        condition = torch.nn.functional.silu(condition + self.time(waves))
        hidden = self.input(noisy.flatten(-2))
        for block in self.blocks:
            hidden = block(hidden, condition)
        velocity: Tensor = self.output(hidden).unflatten(-1, (self.horizon, self.action_dim))
        return velocity

    @ordinary_tensors()
    @torch.no_grad()
    def sample(
        self,
        tokens: Tensor,
        goal: Tensor,
        steps_to_go: Tensor,
        num_samples: int,
        generators: Sequence[torch.Generator],
    ) -> Tensor:
        """Propose action sequences (B, S, H, A), normalised; those after the goal is due are 0, the mean action.

        They are not clipped: planners move what they are given into the bounds.

        Args:
            tokens: as of :meth:`condition`, as are the next two.
            goal: (B, P, D).
            steps_to_go: (B,).
            num_samples: S.
            generators: one for each of the B, so that no row depends on another.
        """
        condition = self.condition(tokens, goal, steps_to_go)
        return self.decode(self.noise(num_samples, generators).to(condition), condition, steps_to_go)

    def noise(self, num_samples: int, generators: Sequence[torch.Generator]) -> Tensor:
        """Draw what proposals are made from, (B, S, H, A) standard normal numbers, each row from its own generator."""
        shape = (num_samples, self.horizon, self.action_dim)
        drawn = [torch.randn(shape, dtype=torch.float32, generator=g, device=g.device) for g in generators]
        return torch.stack([numbers.to(self.std) for numbers in drawn])

    def decode(self, noise: Tensor, condition: Tensor, steps_to_go: Tensor) -> Tensor:
        """Return the proposals (B, S, H, A) that noise (B, S, H, A) becomes; see :meth:`sample`.

        A differentiable map, of each sample by itself.

        Args:
            noise: of any kind; samples of the prior are made from standard normal numbers.
            condition: (B, W), from :meth:`condition`.
            steps_to_go: (B,).

        Raises:
            ValueError: gradients are on, and the prior was made inside ``torch.inference_mode()``.
        """
        check_differentiable(self)
        condition, due = condition[:, None], self.due(steps_to_go)[:, None]  # of all samples of a row
        actions, length = noise, 1 / _MIDPOINT_STEPS
        for step in range(_MIDPOINT_STEPS):
            time = noise.new_full((1, 1, 1), step * length)
            # What comes after the goal stays noise, as in training.
            midway = actions + length / 2 * due * self(actions, time, condition)
            actions = actions + length * due * self(midway, time + length / 2, condition)
        return actions * due

    def due(self, steps_to_go: Tensor) -> Tensor:
        """Return which steps (B, H, 1) come before the goal is due: 1 there, else 0."""
        steps = torch.arange(self.horizon, dtype=torch.int64, device=steps_to_go.device)
        return (steps < steps_to_go[:, None])[..., None].to(self.std)

    def _check(self, tokens: Tensor, goal: Tensor, steps_to_go: Tensor) -> None:
        B, frame = len(goal), (self.num_patches, self.dim)
        if tokens.ndim != 4 or tokens.shape[0] != B or not tokens.shape[1] or tuple(tokens.shape[2:]) != frame:
            raise ValueError(f"tokens must have shape ({B}, T, {frame[0]}, {frame[1]}), got {tuple(tokens.shape)}")
        if tuple(goal.shape[1:]) != frame:
            raise ValueError(f"goal must have shape (B, {frame[0]}, {frame[1]}), got {tuple(goal.shape)}")
        if tuple(steps_to_go.shape) != (B,) or steps_to_go.min() < 1 or steps_to_go.max() > self.horizon:
            raise ValueError(f"steps_to_go must be {B} whole numbers from 1 to {self.horizon}, got {steps_to_go}")


class _Block(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.norm = nn.LayerNorm(width, dtype=torch.float32)
        self.condition = nn.Linear(width, width, dtype=torch.float32)
        self.mlp = nn.Sequential(
            nn.Linear(width, width, dtype=torch.float32), nn.SiLU(), nn.Linear(width, width, dtype=torch.float32)
        )

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        added: Tensor = self.mlp(self.norm(x) + self.condition(condition))
        return x + added
