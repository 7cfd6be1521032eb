"""The predictor of DINO-world: queries for a future frame attend to the tokens of all frames before it.

Source: arXiv 2507.19468, section 3.2 and appendix A.1. Initialisation as of DINOv2's vision transformer: weights
from a normal distribution of standard deviation 0.02, truncated; biases zero.

Letters: ``B`` clips, ``S`` candidates, ``T`` frames, ``P`` patches of a frame, ``D`` encoder width, ``A`` numbers in a
model action.
"""

import hashlib
import json
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn

from ..checks import check_number, check_whole
from ..encoders.registry import register
from .blocks import Block
from .checks import check_context, check_shape, check_times, check_tokens
from .context import Context, Versioned
from .rotary import patch_positions, periods_per_axis, rotation

# width, blocks, heads
SIZES: dict[str, tuple[int, int, int]] = {
    # Without action blocks 1.8M parameters, with them 2.3M. Ten blocks of width 128 learn no better (Push-T, scratch,
    # 600 steps: 19.4 % of persistence's error, these 19.2 %) and take 1.5 times as long to plan with.
    "tiny": (192, 4, 3),
    "small": (384, 12, 6),  # between: 21M parameters, as ViT-S
    # These are the paper's, table 5.
    "base": (768, 12, 12),
    "large": (1024, 24, 16),
    "giant": (1536, 40, 24),
}
# What ActionConditioned puts after each block: takes its index and the queries.
AfterBlock = Callable[[int, Tensor], Tensor]


class Predictor(Versioned):
    """Predict the tokens of the next frame, at any time after the frames that are given.

    Args:
        dim: D, width of the encoder's tokens.
        width: of the predictor's own tokens.
        depth: number of blocks.
        num_heads: of each block's attention; divides ``width``.
        mlp_ratio: width of an MLP's hidden layer over ``width``.
        spatial_range: positions of a frame's edges. The paper says both [-1, 1] (section 3.2) and [0, 1] (A.1).

    Attributes:
        least_frames: how many frames it needs to predict one.
    """

    least_frames = 1

    def __init__(
        self,
        dim: int,
        width: int,
        depth: int,
        num_heads: int,
        mlp_ratio: float = 4.0,
        spatial_range: tuple[float, float] = (-1.0, 1.0),
    ):
        super().__init__()
        for name, value in (("dim", dim), ("width", width), ("depth", depth), ("num_heads", num_heads)):
            check_whole(name, value)
        if width % num_heads:
            raise ValueError(f"width must be divisible by num_heads, got {width} and {num_heads}")
        if width // num_heads < 6:
            raise ValueError(f"a head must have at least 6 numbers to hold a position, got {width // num_heads}")
        check_number("mlp_ratio", mlp_ratio, "(0, 1e4)")
        low, high = spatial_range
        if not low < high:
            raise ValueError(f"spatial_range must be (low, high) with low < high, got {spatial_range!r}")
        self.dim, self.width, self.depth, self.num_heads = int(dim), int(width), int(depth), int(num_heads)
        self.mlp_ratio, self.spatial_range = float(mlp_ratio), (float(low), float(high))
        self.num_periods = periods_per_axis(width // num_heads)
        self.embed = nn.Linear(dim, width, dtype=torch.float32)
        self.query = nn.Parameter(torch.empty(width, dtype=torch.float32))
        blocks = nn.ModuleList(Block(width, num_heads, mlp_ratio) for _ in range(depth))
        self.blocks = cast(Iterable[Block], blocks)
        self.norm = nn.LayerNorm(width, dtype=torch.float32)
        self.head = nn.Linear(width, dim, dtype=torch.float32)
        initialize(self)
        nn.init.trunc_normal_(self.query, std=0.02)

    @classmethod
    def from_size(cls, size: str, *, dim: int) -> "Predictor":
        """Make a predictor of a named size, a key of ``SIZES``, for tokens of ``dim`` numbers."""
        if size not in SIZES:
            raise ValueError(f"size must be one of {list(SIZES)}, got {size!r}")
        width, depth, num_heads = SIZES[size]
        return cls(dim, width, depth, num_heads)

    def settings(self) -> dict[str, Any]:
        """Return the arguments that make a predictor like this one."""
        return {
            "dim": self.dim,
            "width": self.width,
            "depth": self.depth,
            "num_heads": self.num_heads,
            "mlp_ratio": self.mlp_ratio,
            "spatial_range": list(self.spatial_range),
        }

    def fit(self, tokens: Tensor) -> None:
        """Find what it needs to know of tokens (n, D) before it is trained on them: nothing, but of derived classes."""

    def compared(self, tokens: Tensor) -> Tensor:
        """Return what training measures errors of tokens (…, D) in: the tokens, but of derived classes."""
        return tokens

    def digest(self) -> str:
        """Return a SHA-256 digest of settings and weights: the same wherever the predictor lies or was saved."""
        found = hashlib.sha256(json.dumps(self.settings(), sort_keys=True).encode())
        for name, tensor in sorted(self.state_dict().items()):
            found.update(name.encode() + tensor.detach().cpu().float().numpy().tobytes())
        return found.hexdigest()

    def forward(
        self,
        tokens: Tensor,
        times: Tensor,
        actions: Tensor | None = None,
        *,
        grid: tuple[int, int],
        after_block: AfterBlock | None = None,
        previous_actions: Tensor | None = None,
    ) -> Tensor:
        """Predict every next frame from the true frames before it (teacher forcing), all in parallel.

        Args:
            tokens: (B, T, P, D), of frames 1 to T.
            times: (B, T + 1) seconds, of frames 1 to T + 1. Only differences matter. Give float64 where they are
                large: the shortest period is a hundredth of a second.
            actions: none; wrap the predictor in ``ActionConditioned`` to give it actions.
            grid: rows and columns of patches, P in all.
            after_block: what ``ActionConditioned`` does after each block.
            previous_actions: (B, T, width), embedded, which led to each of frames 1 to T; added to their tokens.

        Returns:
            (B, T, P, D): frames 2 to T + 1.
        """
        if actions is not None:
            raise ValueError("this predictor takes no actions: wrap it in ActionConditioned")
        check_tokens(tokens, self.dim, grid)
        B, T, P, _ = tokens.shape
        check_shape("times", times, (B, T + 1), "one more than frames")
        times = times - times[:, :1]
        context = self._embed(tokens, previous_actions)
        of_context = self.rotation_at(times[:, :-1], grid, context.dtype)
        of_queries = self.rotation_at(times[:, 1:], grid, context.dtype)
        frame = torch.arange(T, dtype=torch.int64, device=tokens.device).repeat_interleave(P)
        mask = frame[:, None] >= frame  # a query for frame t + 1 sees frames up to t
        q = self.query.expand(B, T * P, -1)
        for i, block in enumerate(self.blocks):
            q = block(q, context, of_queries, of_context, mask)
            if after_block is not None:
                q = after_block(i, q)
        predicted: Tensor = self.head(self.norm(q))
        return predicted.view(B, T, P, -1)

    def context(
        self, tokens: Tensor, times: Tensor, *, grid: tuple[int, int], previous_actions: Tensor | None = None
    ) -> Context:
        """Compute once what predictions need of frames that were seen.

        Args:
            tokens: (B, T, P, D).
            times: (B, T) seconds, rising; in float64 where they are over 1,000.
            grid: rows and columns of patches.
            previous_actions: see ``forward``.
        """
        check_tokens(tokens, self.dim, grid)
        B, T, _, _ = tokens.shape
        times = check_times(times, (B, T))
        origin = times[:, 0]
        embedded = self._embed(tokens, previous_actions)
        cos, sin = self.rotation_at(times - origin[:, None], grid, embedded.dtype)
        shared = tuple(block.attention.keys_values(embedded, cos, sin) for block in self.blocks)
        return Context(shared, None, origin, times[:, -1], grid)

    def step(
        self,
        context: Context,
        time: Tensor,
        action: Tensor | None = None,
        after_block: AfterBlock | None = None,
        previous_action: Tensor | None = None,
    ) -> tuple[Tensor, Context]:
        """Predict the next frame and remember it.

        Args:
            context: of the frames before it; with S candidates after ``context.expand(S)``.
            time: (B,) seconds, of the frame to predict.
            action: none, see ``forward``.
            after_block: see ``forward``.
            previous_action: (B, width) or with candidates (B * S, width), see ``forward``: it leads to the frame to
                predict, which those after it are predicted from.

        Returns:
            the frame's tokens, (B, P, D) or with candidates (B, S, P, D), and the context that includes it.
        """
        if action is not None:
            raise ValueError("this predictor takes no actions: wrap it in ActionConditioned")
        check_context(context, self.depth, time)
        B, P, S = len(context.origin), context.grid[0] * context.grid[1], context.num_candidates
        elapsed = (time - context.origin)[:, None]
        cos, sin = self.rotation_at(elapsed, context.grid, self.query.dtype)
        q = self.query.expand(B * (S or 1), P, -1)
        cos_S, sin_S = (x if S is None else x.repeat_interleave(S, 0) for x in (cos, sin))
        for i, block in enumerate(self.blocks):
            own = None if context.own is None else context.own[i]
            normed = block.norm_attention(q)
            q = q + block.attention.to_shared_and_own(normed, cos_S, sin_S, context.shared[i], own)
            q = q + block.mlp(block.norm_mlp(q))
            if after_block is not None:
                q = after_block(i, q)
        predicted: Tensor = self.head(self.norm(q))
        embedded = self._embed(predicted[:, None], None if previous_action is None else previous_action[:, None])
        new = tuple(block.attention.keys_values(embedded, cos_S, sin_S) for block in self.blocks)
        shaped = predicted if S is None else predicted.view(B, S, P, -1)
        return shaped, context.extended(new, time)

    def _embed(self, tokens: Tensor, previous_actions: Tensor | None) -> Tensor:
        """Bring tokens (B, T, P, D) to the width, (B, T * P, width), and add what is known of each frame."""
        # Contiguous, so that rounding is the same with and without previous actions.
        embedded: Tensor = self.embed(tokens.contiguous())
        if previous_actions is not None:
            embedded = embedded + previous_actions[:, :, None]
        return embedded.flatten(1, 2)

    def rotation_at(self, times: Tensor, grid: tuple[int, int], dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Return the cosines and sines of all tokens of frames at ``times`` (B, T); see :func:`.rotary.rotation`."""
        patches = patch_positions(grid, *self.spatial_range, times.device)
        return rotation(times, patches, self.num_periods, dtype)


_PredictorClass = TypeVar("_PredictorClass", bound=type[Predictor])
PREDICTORS: dict[str, type[Predictor]] = {}  # what users brought


def register_predictor(cls: _PredictorClass) -> _PredictorClass:
    """Let checkpoints name a predictor of your own, a class derived from :class:`Predictor`; to be used as a decorator.

    A file only ever names it, with its ``settings()``: whoever loads the file must have imported the class before.

    Raises:
        TypeError: it is no class of predictors.
        ValueError: the name is taken, by another class.
    """
    register(cls, Predictor, PREDICTORS, "predictor", taken=["Predictor"])
    return cls


def initialize(module: nn.Module) -> None:
    """Initialise linear layers as DINOv2's vision transformer does."""
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.trunc_normal_(part.weight, std=0.02)
            nn.init.zeros_(part.bias)
