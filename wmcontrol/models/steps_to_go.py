"""How far it is from one frame to another, in model steps: a temporal distance that trajectories teach.

Letters: ``P`` patches of a frame, ``D`` numbers of a token, ``N`` the most steps that are told apart, ``W`` the width
of the network; ``…`` any axes, those of two frames broadcast to one another.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn

from ..checks import check_whole
from .ordinary import ordinary_tensors

MOST = {"max_steps": 1000, "width": 2**13, "depth": 100}  # of a network that memory has room for
_AT_ONCE = 2**17  # pairs of frames that memory has room for
_CREDIBLE = 0.3  # times as likely as any frame is at any time: what is less does not happen


class StepsToGo(nn.Module):
    """Says how many model steps lie between two frames: a probability for each number from 0 to N, and for "farther".

    It learns from frames of one trajectory how long the way between them took there, and from frames of two what
    "farther" looks like (:func:`wmcontrol.training.fit_steps_to_go`). Two numbers follow from these probabilities.

    :meth:`expected` is how long whoever recorded the data takes. Of those who wander it says nothing about how far two
    frames are: in Wall, a dot walks to places one step away in five steps on average. :meth:`forward` is the fewest
    steps after which the goal is not unlikely: at least 0.3 times as likely as any frame of the data is. What is too
    fast never happens, however people wander, so that this comes near to what the best actions need.

    Args:
        dim: D.
        num_patches: P.
        max_steps: N.
        width: W.
        depth: residual blocks.
    """

    mean: Tensor
    std: Tensor
    shares: Tensor

    def __init__(self, dim: int, num_patches: int, *, max_steps: int = 10, width: int = 128, depth: int = 2):
        super().__init__()
        self._settings = {
            "dim": dim,
            "num_patches": num_patches,
            "max_steps": max_steps,
            "width": width,
            "depth": depth,
        }
        for name, value in self._settings.items():
            check_whole(name, value, most=MOST.get(name, math.inf))
        self.dim, self.num_patches, self.max_steps = dim, num_patches, max_steps
        self.register_buffer("mean", torch.zeros(dim, dtype=torch.float32))  # of the tokens that it was trained on
        self.register_buffer("std", torch.ones(dim, dtype=torch.float32))
        # How often each number of steps, and "farther", came in training.
        self.register_buffer("shares", torch.full((max_steps + 2,), 1 / (max_steps + 2), dtype=torch.float32))
        code = max(1, width // num_patches)
        self.start = nn.Linear(dim, code, dtype=torch.float32)
        self.change = nn.Linear(dim, code, bias=False, dtype=torch.float32)
        self.frames = nn.Linear(code * num_patches, width, dtype=torch.float32)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(width, dtype=torch.float32),
                nn.Linear(width, width, dtype=torch.float32),
                nn.SiLU(),
                nn.Linear(width, width, dtype=torch.float32),
            )
            for _ in range(depth)
        )
        self.output = nn.Sequential(
            nn.LayerNorm(width, dtype=torch.float32), nn.Linear(width, max_steps + 2, dtype=torch.float32)
        )

    def settings(self) -> dict[str, Any]:
        """Return the arguments that make a network like this one."""
        return dict(self._settings)

    def check(self) -> None:
        """Refuse what no steps can be told by.

        Raises:
            ValueError: its shares do not add up to 1, or one is negative.
        """
        if (self.shares < 0).any() or not 0.9 < float(self.shares.sum()) < 1.1:
            raise ValueError("steps_to_go.shares must be shares of 1")

    def logits(self, tokens: Tensor, goal: Tensor) -> Tensor:
        """Return the logits (…, N + 2) of 0 to N steps from frames (…, P, D) to goals (…, P, D), and of "farther".

        Raises:
            ValueError: other shapes.
        """
        frame = (self.num_patches, self.dim)
        for name, value in (("tokens", tokens), ("goal", goal)):
            if tuple(value.shape[-2:]) != frame:
                raise ValueError(f"{name} must have shape (…, {frame[0]}, {frame[1]}), got {tuple(value.shape)}")
        tokens, goal = ((x.to(self.std) - self.mean) / self.std for x in (tokens, goal))
        # Of the frame and of what is to change; each frame is looked at once, however many goals it has.
        code = torch.nn.functional.silu((self.start(tokens) - self.change(tokens)) + self.change(goal))
        hidden = self.frames(code.flatten(-2))
        for block in self.blocks:
            hidden = hidden + block(hidden)
        logits: Tensor = self.output(hidden)
        return logits

    def forward(self, tokens: Tensor, goal: Tensor) -> Tensor:
        """Return the fewest steps (…) that frames (…, P, D) need to goals (…, P, D), N + 1 where N are too few.

        Between whole numbers where it is not sure.
        """
        odds = self.logits(tokens, goal) - self.shares.clamp_min(1e-9).log()
        credible = ((odds[..., :-1] - odds[..., -1:]).exp() / _CREDIBLE).clamp(max=1)
        credible = credible * (self.shares[:-1] > 0)  # of what no pair had, nothing was learned
        return (1 - credible.cummax(-1).values).sum(-1)

    def expected(self, tokens: Tensor, goal: Tensor) -> Tensor:
        """Return how many steps (…) are to be expected of whoever recorded the data; "farther" counts as N + 1."""
        counts = torch.arange(self.max_steps + 2, dtype=self.std.dtype, device=self.std.device)
        return self.logits(tokens, goal).softmax(-1) @ counts

    @ordinary_tensors()
    @torch.no_grad()
    def between(self, starts: Tensor, goals: Tensor) -> Tensor:
        """Return the fewest steps (I, J) from each of the frames (I, P, D) to each of the goals (J, P, D)."""
        rows = max(1, _AT_ONCE // (len(goals) * self.num_patches))
        return torch.cat([self(part[:, None], goals[None]) for part in starts.split(rows)])
