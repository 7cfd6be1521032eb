"""The baseline in the manner of DINO-Foresight (arXiv 2412.11673): the masked last frame of a clip is filled in.

Tokens are standardized and projected on their principal components. Those of the frames before are seen, all of the
frame to predict are one learned vector, and all positions attend to one another: in every block along time, then within
each frame. Letters: ``B`` clips, ``T`` frames, ``N`` frames that are seen, ``P`` patches of a frame, ``D`` numbers of a
token, ``K`` principal components, ``W`` width.
"""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from ...checks import check_whole
from ..blocks import CrossAttention, Rotation
from ..checks import check_shape, check_times, check_tokens
from ..predictor import Predictor, initialize, register_predictor

_SHARE = 1152 / 3072  # of principal components, of DINO-Foresight
_OFF = 0.25  # of a step: films do not keep time exactly


class _AlongTime(nn.Module):
    """Self-attention of all frames of a patch."""

    def __init__(self, width: int, num_heads: int):
        super().__init__()
        self.norm = nn.LayerNorm(width, dtype=torch.float32)
        self.attention = CrossAttention(width, num_heads)

    def forward(self, x: Tensor, rotation: Rotation) -> Tensor:
        """Update tokens (B * P, N + 1, W)."""
        normed = self.norm(x)
        updated: Tensor = x + self.attention(normed, *rotation, self.attention.keys_values(normed, *rotation), None)
        return updated


@dataclass(frozen=True, eq=False)
class MaskedContext:
    """The newest frames.

    Attributes:
        features: (B, N, P, K).
        last_time: (B,) seconds, of the newest.
        step: (B,) seconds from one to the next.
        grid: rows and columns of patches.
    """

    features: Tensor
    last_time: Tensor
    step: Tensor
    grid: tuple[int, int]


@register_predictor
class MaskedPredictor(Predictor):
    """Fill in the frame after ``num_frames`` frames that are as far apart.

    It knows no times: it goes on in the step that it was trained with, which is that of the frames that it sees. Train
    it with :func:`wmcontrol.training.pretrain` on clips of one more frame or longer, all in one step,
    ``step_seconds=(0.2, 0.2)``. Its loss is measured in principal components, as DINO-Foresight's, and of frames with
    enough before them.

    Args:
        dim: D, width of the encoder's tokens.
        width: of its own tokens; DINO-Foresight's is 1152.
        depth: number of blocks, there 12.
        num_heads: of attention, there 8; divides ``width``.
        mlp_ratio: width of an MLP's hidden layer over ``width``.
        num_frames: N. Older ones are not looked at.
        num_components: K; by default as many per D as DINO-Foresight has, three eighths.
        grid: rows and columns of the learned positions; of another grid they are interpolated.

    Raises:
        ValueError: a setting is not what is expected; it is named.
    """

    mean: Tensor
    std: Tensor
    components: Tensor

    def __init__(
        self,
        dim: int,
        width: int = 192,
        depth: int = 4,
        num_heads: int = 3,
        mlp_ratio: float = 4.0,
        num_frames: int = 4,
        num_components: int | None = None,
        grid: tuple[int, int] = (16, 16),
    ):
        check_whole("dim", dim)
        K = max(1, round(_SHARE * dim)) if num_components is None else num_components
        check_whole("num_components", K, most=dim)
        check_whole("num_frames", num_frames, least=2)
        for side in grid:
            check_whole("grid", side)
        super().__init__(K, width, depth, num_heads, mlp_ratio)  # its blocks attend within a frame
        self.dim, self.num_components, self.num_frames = int(dim), int(K), int(num_frames)
        self.table = (int(grid[0]), int(grid[1]))
        self.time_blocks = nn.ModuleList(_AlongTime(width, num_heads) for _ in range(depth))
        initialize(self.time_blocks)
        # Smaller than embedded tokens they would hardly be told apart beside them, and what moves is learned late.
        self.positions = nn.ParameterList(
            nn.Parameter(torch.empty(size, width, dtype=torch.float32)) for size in (num_frames + 1, *self.table)
        )
        for position in self.positions:
            nn.init.trunc_normal_(position, std=0.5)
        self.register_buffer("mean", torch.zeros(dim, dtype=torch.float32))
        self.register_buffer("std", torch.ones(dim, dtype=torch.float32))
        self.register_buffer("components", torch.eye(K, dim, dtype=torch.float32))

    @property
    def least_frames(self) -> int:  # type: ignore[override]
        """How many frames it needs to predict one."""
        return self.num_frames

    def settings(self) -> dict[str, Any]:
        """Return the arguments that make a predictor like this one."""
        return {
            "dim": self.dim,
            "width": self.width,
            "depth": self.depth,
            "num_heads": self.num_heads,
            "mlp_ratio": self.mlp_ratio,
            "num_frames": self.num_frames,
            "num_components": self.num_components,
            "grid": list(self.table),
        }

    @torch.no_grad()
    def fit(self, tokens: Tensor) -> None:
        """Find mean, standard deviation and principal components of tokens (n, D).

        Raises:
            ValueError: there are fewer tokens than components.
        """
        if len(tokens) < self.num_components:
            raise ValueError(f"tokens: {len(tokens)} cannot have {self.num_components} principal components")
        every = tokens.double()
        mean, std = every.mean(0), every.std(0, correction=0)
        std = torch.where(std > 1e-6 * std.max(), std, torch.ones_like(std))
        standard = (every - mean) / std
        _, vectors = torch.linalg.eigh(standard.T @ standard / len(standard))  # in rising order
        self.mean.copy_(mean)
        self.std.copy_(std)
        self.components.copy_(vectors.flip(1)[:, : self.num_components].T)

    def compared(self, tokens: Tensor) -> Tensor:
        """Return the principal components (…, K) of tokens (…, D)."""
        found: Tensor = (tokens - self.mean) / self.std @ self.components.T
        return found

    def forward(
        self, tokens: Tensor, times: Tensor, actions: Tensor | None = None, *, grid: tuple[int, int], **_: Any
    ) -> Tensor:
        """Predict every frame that has N before it, all in parallel.

        Args:
            tokens: (B, T, P, D), of frames 1 to T.
            times: (B, T + 1) seconds, of frames 1 to T + 1; not looked at.
            actions: none.
            grid: rows and columns of patches, P in all.

        Returns:
            (B, T + 1 - N, P, D): frames N + 1 to T + 1.

        Raises:
            ValueError: a wrong shape, or too few frames.
        """
        if actions is not None:
            raise ValueError("a masked predictor takes no actions")
        check_tokens(tokens, self.dim, grid)
        B, T = tokens.shape[:2]
        check_shape("times", times, (B, T + 1), "one more than frames")
        self._check_frames(T)
        windows = self.compared(tokens).unfold(1, self.num_frames, 1)  # (B, T + 1 - N, P, K, N)
        found = self._fill(windows.permute(0, 1, 4, 2, 3).flatten(0, 1), grid)
        return self._tokens(found).view(B, -1, *tokens.shape[2:])

    def context(  # type: ignore[override]
        self, tokens: Tensor, times: Tensor, *, grid: tuple[int, int]
    ) -> MaskedContext:
        """Return the newest N of frames (B, T, P, D) at times (B, T) seconds.

        Raises:
            ValueError: a wrong shape, or too few frames.
        """
        check_tokens(tokens, self.dim, grid)
        B, T = tokens.shape[:2]
        times = check_times(times, (B, T))[:, -self.num_frames :]
        self._check_frames(T)
        step = (times[:, -1] - times[:, 0]) / (self.num_frames - 1)
        return MaskedContext(self.compared(tokens[:, -self.num_frames :]), times[:, -1], step, grid)

    def step(  # type: ignore[override]
        self, context: MaskedContext, time: Tensor, action: Tensor | None = None
    ) -> tuple[Tensor, MaskedContext]:
        """Predict the next frame (B, P, D), and return the context in which it has taken the place of the oldest.

        Raises:
            ValueError: the time (B,) is not one step after the newest frame.
        """
        check_shape("time", time, tuple(context.last_time.shape), "one for each row")
        ahead = (time - context.last_time) / context.step
        if bool(((ahead - 1).abs() > _OFF).any()):
            raise ValueError(
                f"time: a masked predictor foresees the frame one step of {float(context.step[0]):.3g} s after those "
                f"that it sees, and is asked for one {float((time - context.last_time)[0]):.3g} s ahead; forecast by a "
                "rollout in such steps (way=rollout, without far=true)"
            )
        found = self._fill(context.features, context.grid)
        features = torch.cat([context.features[:, 1:], found[:, None]], 1)
        return self._tokens(found), replace(context, features=features, last_time=time)

    def _check_frames(self, count: int) -> None:
        if count < self.num_frames:
            raise ValueError(f"frames: this masked predictor sees {self.num_frames}, got {count}; give it as many")

    def _fill(self, features: Tensor, grid: tuple[int, int]) -> Tensor:
        """Return the features (B, P, K) of the frame after N frames (B, N, P, K)."""
        B, _, P, _ = features.shape
        x = torch.cat([self.embed(features), self.query.expand(B, 1, P, -1)], 1) + self._positions(grid)
        nowhere = x.new_zeros(1, 1, 1, 0)  # positions are in the tokens: nothing is rotated
        rotation = (nowhere, nowhere)
        for along_time, block in zip(self.time_blocks, self.blocks, strict=True):
            patches = along_time(x.transpose(1, 2).flatten(0, 1), rotation)  # (B * P, N + 1, W)
            frames = patches.unflatten(0, (B, P)).transpose(1, 2).flatten(0, 1)  # (B * (N + 1), P, W)
            x = block(frames, block.norm_attention(frames), rotation, rotation, None).unflatten(0, (B, -1))
        found: Tensor = self.head(self.norm(x[:, -1]))
        return found

    def _positions(self, grid: tuple[int, int]) -> Tensor:
        """Return the positions of all tokens, (N + 1, P, W)."""
        time, *axes = self.positions
        rows, columns = (
            table if len(table) == size else interpolate(table.T[None], size, mode="linear", align_corners=False)[0].T
            for table, size in zip(axes, grid, strict=True)
        )
        found: Tensor = time[:, None] + (rows[:, None] + columns).flatten(0, 1)
        return found

    def _tokens(self, features: Tensor) -> Tensor:
        """Return tokens (…, D) with these principal components, and the mean of all others."""
        return features @ self.components * self.std + self.mean
