"""The baseline in the manner of DINO-WM (arXiv 2411.04983): whole frames attend to earlier ones.

Every patch token carries its frame's action, and in released checkpoints an embedding of proprioception, on the
channel axis: ``[token (D), proprioception, action]``. A patch attends to all patches of its own and earlier frames,
and the output at frame t is frame t + 1. Modules are named as in DINO-WM's files, so that their weights fit key for
key. Letters: B clips, S candidates, T frames, P patches, D encoder width, A numbers in a model action, N = T · P
tokens of a window, C = D and the embeddings, h heads.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...checks import check_number, check_whole
from ..checks import check_actions, check_shape, check_tokens


@dataclass(frozen=True, eq=False)
class FrameWindow:
    """The newest frames of B clips, at most ``num_frames``, and the actions between them.

    Before :meth:`expand` there is one candidate per clip (S = 1). ``seen`` has no candidates' axis: candidates share
    it, and a copy is made only for the window that a step computes.
    """

    seen: Tensor  # (B, T, P, D) given frames; T falls to 0 as they leave the window
    predicted: Tensor  # (B, S, K, P, D)
    actions: Tensor  # (B, S, T + K - 1, A), each taken after the frame of its place; the newest frame has none yet
    last_time: Tensor  # (B,) seconds, of the newest frame
    expanded: bool = False

    def expand(self, num_candidates: int) -> "FrameWindow":
        """Return the same window for S candidates per clip, without copying frames."""
        if self.expanded:
            raise ValueError(f"the context already has {self.actions.shape[1]} candidates per row; expand it once")
        check_whole("num_candidates", num_candidates)
        predicted = self.predicted.expand(-1, num_candidates, -1, -1, -1)
        actions = self.actions.expand(-1, num_candidates, -1, -1)
        return FrameWindow(self.seen, predicted, actions, self.last_time, expanded=True)

    def frames(self) -> Tensor:
        """Return the window of every candidate, (B, S, T + K, P, D)."""
        seen = self.seen[:, None].expand(-1, self.predicted.shape[1], -1, -1, -1)
        return torch.cat([seen, self.predicted], 2)


class Attention(nn.Module):
    """Pre-norm self-attention, (B, N, C) -> (B, N, C)."""

    def __init__(self, width: int, heads: int, dim_head: int, dropout: float):
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.norm = nn.LayerNorm(width, dtype=torch.float32)
        self.to_qkv = nn.Linear(width, 3 * heads * dim_head, bias=False, dtype=torch.float32)
        self.to_out = nn.Sequential(nn.Linear(heads * dim_head, width, dtype=torch.float32), nn.Dropout(dropout))

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Attend where ``mask`` (N, N), query by key, is true."""
        B, N, _ = x.shape
        qkv = self.to_qkv(self.norm(x)).view(B, N, 3, self.heads, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (B, h, N, dim_head)
        dropout = self.dropout if self.training else 0.0
        out = F.scaled_dot_product_attention(q, k, v, mask, dropout)  # scales by dim_head ** -0.5
        attended: Tensor = self.to_out(out.transpose(1, 2).reshape(B, N, -1))
        return attended


class FeedForward(nn.Module):
    """Pre-norm MLP, (B, N, C) -> (B, N, C)."""

    def __init__(self, width: int, mlp_dim: int, dropout: float):
        super().__init__()
        self.net = nn.Sequential(
            nn.LayerNorm(width, dtype=torch.float32),
            nn.Linear(width, mlp_dim, dtype=torch.float32),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(mlp_dim, width, dtype=torch.float32),
            nn.Dropout(dropout),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Apply it."""
        out: Tensor = self.net(x)
        return out


class Transformer(nn.Module):
    """Blocks of attention and MLP, each added to its input, and a last norm."""

    def __init__(self, width: int, depth: int, heads: int, dim_head: int, mlp_dim: int, dropout: float):
        super().__init__()
        self.layers = nn.ModuleList(
            nn.ModuleList([Attention(width, heads, dim_head, dropout), FeedForward(width, mlp_dim, dropout)])
            for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width, dtype=torch.float32)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Run tokens (B, N, C) through all blocks; ``mask`` (N, N) is true where a query (row) sees a key."""
        for block in self.layers:
            attention, feed_forward = block.children()
            x = x + attention(x, mask)
            x = x + feed_forward(x)
        out: Tensor = self.norm(x)
        return out


class FrameCausalPredictor(nn.Module):
    """Predicts the next frame's tokens from a window of frames and the action taken after each of them.

    Defaults are DINO-WM's. Positions are learned per place in the window, so that frames have no times: ``times`` are
    accepted, as every predictor's are, and ignored. Frames older than ``num_frames`` are forgotten.

    Proprioception is not used. A model that was trained with it (``proprio_dim`` > 0) gets the same embedding for
    every frame, seen or predicted: that of zero, the mean of DINO-WM's standardised proprioception. (DINO-WM feeds
    its own predictions of proprioception back.)

    Args:
        dim: D, the encoder's width.
        action_dim: A, frameskip × action size; actions come normalised.
        num_patches: P, fixed by the position embedding.
        num_frames: frames in the window.
        depth: blocks.
        heads: attention heads.
        dim_head: width of a head.
        mlp_dim: hidden width of the MLPs.
        action_embed_dim: width of an action's linear embedding.
        proprio_dim: width of the embedding of proprioception; 0 for none.
        dropout: on attention weights and after every linear layer of a block, while training.
    """

    def __init__(
        self,
        *,
        dim: int,
        action_dim: int,
        num_patches: int,
        num_frames: int = 3,
        depth: int = 6,
        heads: int = 16,
        dim_head: int = 64,
        mlp_dim: int = 2048,
        action_embed_dim: int = 10,
        proprio_dim: int = 0,
        dropout: float = 0.1,
    ):
        super().__init__()
        sizes = {
            "dim": dim,
            "action_dim": action_dim,
            "num_patches": num_patches,
            "num_frames": num_frames,
            "depth": depth,
            "heads": heads,
            "dim_head": dim_head,
            "mlp_dim": mlp_dim,
            "action_embed_dim": action_embed_dim,
            "proprio_dim": proprio_dim,
        }
        for name, size in sizes.items():
            check_whole(name, size, least=0 if name == "proprio_dim" else 1)
        check_number("dropout", dropout, "[0, 1)")
        self._settings: dict[str, int | float] = {**sizes, "dropout": dropout}
        self.dim = dim
        self.action_dim = action_dim
        self.num_patches = num_patches
        self.num_frames = num_frames
        width = dim + proprio_dim + action_embed_dim
        # Initialised as DINO-WM does: positions from N(0, 1), all else by torch's defaults.
        self.pos_embedding = nn.Parameter(torch.randn(1, num_frames * num_patches, width, dtype=torch.float32))
        self.transformer = Transformer(width, depth, heads, dim_head, mlp_dim, dropout)
        self.action_encoder = nn.Linear(action_dim, action_embed_dim, dtype=torch.float32)
        self.proprio_embedding = nn.Parameter(torch.zeros(proprio_dim, dtype=torch.float32))

    def settings(self) -> dict[str, int | float]:
        """Return the constructor's arguments, fit for JSON."""
        return dict(self._settings)

    def forward(self, tokens: Tensor, times: Tensor, actions: Tensor, *, grid: tuple[int, int]) -> Tensor:
        """Predict frames 2 to T + 1, each from the true frames before it.

        Args:
            tokens: (B, T, P, D), T at most ``num_frames``.
            times: (B, T + 1) seconds, ignored.
            actions: (B, T, A) normalised; actions[:, t] is taken after frame t.
            grid: rows and columns of patches, P together.

        Returns:
            (B, T, P, D)

        Raises:
            ValueError: a wrong shape.
        """
        B, T = self._check_tokens(tokens, grid)
        window = self.num_frames
        if window < T:
            raise ValueError(f"tokens must have at most {window} frames, the model's window, got {T}; cut the clips")
        check_shape("times", times, (B, T + 1), "one for each frame and one for the last prediction")
        return self._predict(tokens, check_actions(actions, (B, T, self.action_dim)))

    def context(
        self, tokens: Tensor, times: Tensor, *, grid: tuple[int, int], actions: Tensor | None = None
    ) -> FrameWindow:
        """Return what :meth:`step` continues from; only the newest ``num_frames`` frames count.

        Args:
            tokens: (B, T, P, D)
            times: (B, T) seconds, ignored.
            grid: rows and columns of patches.
            actions: (B, T - 1, A) normalised, taken between the frames; where they are not known, None stands for
                zeros, the mean action.

        Raises:
            ValueError: a wrong shape.
        """
        B, T = self._check_tokens(tokens, grid)
        check_shape("times", times, (B, T), "one for each frame")
        if actions is None:
            actions = tokens.new_zeros(B, T - 1, self.action_dim)
        check_actions(actions, (B, T - 1, self.action_dim))
        predicted = tokens.new_zeros(B, 1, 0, *tokens.shape[2:])
        return self._newest(FrameWindow(tokens, predicted, actions[:, None], times[:, -1]))

    def step(self, context: FrameWindow, time: Tensor, action: Tensor) -> tuple[Tensor, FrameWindow]:
        """Predict one frame further.

        Args:
            context: from :meth:`context`, :meth:`FrameWindow.expand` or the step before.
            time: (B,) seconds of the frame to predict, ignored.
            action: (B, A), or (B, S, A) of a expanded context: normalised, taken after the newest frame.

        Returns:
            Its tokens (B, P, D), or (B, S, P, D), and the context that includes it.

        Raises:
            ValueError: a wrong shape.
        """
        B, S = context.actions.shape[:2]
        check_shape("time", time, (B,), "one for each row")
        check_actions(action, (B, S, self.action_dim) if context.expanded else (B, self.action_dim))
        actions = torch.cat([context.actions, action.view(B, S, 1, self.action_dim)], 2)
        frames = context.frames()
        new = self._predict(frames.flatten(0, 1), actions.flatten(0, 1))[:, -1].reshape(B, S, *frames.shape[3:])
        predicted = torch.cat([context.predicted, new[:, :, None]], 2)
        longer = FrameWindow(context.seen, predicted, actions, time, context.expanded)
        return new if context.expanded else new[:, 0], self._newest(longer)

    def _newest(self, context: FrameWindow) -> FrameWindow:
        """Return a context of the newest ``num_frames`` frames."""
        T = context.seen.shape[1]
        extra = max(0, T + context.predicted.shape[2] - self.num_frames)
        return replace(
            context,
            seen=context.seen[:, extra:],
            predicted=context.predicted[:, :, max(0, extra - T) :],
            actions=context.actions[:, :, extra:],
        )

    def _predict(self, frames: Tensor, actions: Tensor) -> Tensor:
        """Predict the frame after each of (B, T, P, D), given the actions (B, T, A) after each."""
        B, T, P, D = frames.shape
        proprio = self.proprio_embedding.expand(B, T, P, -1)
        action = self.action_encoder(actions)[:, :, None].expand(-1, -1, P, -1)
        x = torch.cat([frames, proprio, action], -1).flatten(1, 2)  # (B, N, C)
        frame = torch.arange(T, dtype=torch.int64, device=x.device).repeat_interleave(P)  # of each token
        mask = frame[:, None] >= frame if T > 1 else None
        out: Tensor = self.transformer(x + self.pos_embedding[:, : T * P], mask)
        return out[..., :D].reshape(B, T, P, D)

    def _check_tokens(self, tokens: Tensor, grid: tuple[int, int]) -> tuple[int, int]:
        """Return B and T of tokens (B, T, P, D)."""
        if grid[0] * grid[1] != self.num_patches:
            raise ValueError(
                f"grid must have {self.num_patches} patches, got {grid[0]} × {grid[1]}; this model works only with the "
                "encoder and the size of frames that it was made for"
            )
        check_tokens(tokens, self.dim, grid)
        return tokens.shape[0], tokens.shape[1]
