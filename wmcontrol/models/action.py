"""Actions for a predictor that was pretrained without them.

Source: DINO-world (arXiv 2507.19468), section 3.3 and appendix A.1: after each block ``q + γ · MLP(LN([q, a]))``, with
γ zero at the start, so that the wrapped predictor computes at first what it computed before.

Beyond the paper, a frame's keys and values also know, where it is known, the action that led to it, by a linear map
that is zero at the start. Two frames and what was done between them tell how fast things move at the second; the
frames alone tell it only of the time between them, and in PointMaze that is not enough.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from ..checks import check_choice, check_number, check_whole
from .blocks import MLP
from .checks import check_actions, check_tokens
from .context import Context, Versioned
from .predictor import AfterBlock, Predictor, initialize

Trainable = Literal["action_only", "full"]

# The paper does not give the hidden width, only that the base predictor's 12 blocks add about 22M parameters; 25/24 of
# the width makes it 22.2M.
_HIDDEN = 25 / 24


class ActionBlock(nn.Module):
    """``q + s γ · MLP(LN([q, a]))``, where ``s`` is :attr:`ActionConditioned.action_scale`.

    Args:
        width: of queries and of the action embedding.
        update_scale: s, constant.
    """

    def __init__(self, width: int, update_scale: float = 1.0):
        super().__init__()
        self.update_scale = update_scale
        self.norm = nn.LayerNorm(2 * width, dtype=torch.float32)
        self.mlp = MLP(2 * width, round(_HIDDEN * width), width)
        self.scale = nn.Parameter(torch.zeros(width, dtype=torch.float32))

    def forward(self, q: Tensor, action: Tensor) -> Tensor:
        """Update queries (…, P, width) with the action embedding (…, width) of their frame."""
        a = action[..., None, :].expand_as(q)
        updated: Tensor = q + self.gain() * self.mlp(self.norm(torch.cat([q, a], -1)))
        return updated

    def gain(self) -> Tensor:
        """Return what the MLP's output is multiplied by, s γ, (width,)."""
        return self.scale if self.update_scale == 1 else self.update_scale * self.scale


class ActionConditioned(Versioned):
    """A predictor that takes actions: the frame at ``t + 1`` is predicted from the action at ``t``.

    Args:
        predictor: a pretrained predictor, or a fresh one. It is used, not copied.
        action_dim: A, numbers in a model action: frameskip times the environment's.
        action_scale: s, how large the predictor's queries are, relative to those of a freshly initialised one.
            LayerNorm in an action block normalises queries and action embedding together, so that beside large queries
            the action would be suppressed. Embedding and updates are multiplied by ``s``: action blocks then learn as
            they would beside fresh queries, and the predictor itself stays as it is, bit for bit.
    """

    def __init__(self, predictor: Predictor, action_dim: int, action_scale: float = 1.0):
        super().__init__()
        if not isinstance(predictor, Predictor):
            raise TypeError(f"predictor must be a Predictor without actions, got a {type(predictor).__name__}")
        check_whole("action_dim", action_dim)
        check_number("action_scale", action_scale, "(0, inf)")
        self.predictor = predictor
        self.action_dim, self.action_scale = int(action_dim), float(action_scale)
        self.embed_action = nn.Linear(action_dim, predictor.width, dtype=torch.float32)
        self.embed_arrival = nn.Linear(action_dim, predictor.width, bias=False, dtype=torch.float32)
        self.action_blocks = nn.ModuleList(
            ActionBlock(predictor.width, self.action_scale) for _ in range(predictor.depth)
        )
        initialize(self.embed_action)
        initialize(self.action_blocks)
        nn.init.zeros_(self.embed_arrival.weight)
        like = next(predictor.parameters())
        for part in (self.embed_action, self.embed_arrival, self.action_blocks):
            part.to(like)

    @property
    def dim(self) -> int:
        """D, width of the encoder's tokens."""
        return self.predictor.dim

    def trainable(self, which: Trainable) -> int:
        """Set which parameters learn: only what takes actions, or all of them. Return how many numbers that is."""
        check_choice("which", which, Trainable)
        self.predictor.requires_grad_(which == "full")
        for part in (self.embed_action, self.embed_arrival, self.action_blocks):
            part.requires_grad_(True)
        return sum(parameter.numel() for parameter in self.parameters() if parameter.requires_grad)

    def forward(self, tokens: Tensor, times: Tensor, actions: Tensor | None = None, *, grid: tuple[int, int]) -> Tensor:
        """Predict frames 2 to T + 1, teacher forced; actions (B, T, A), the rest as for ``Predictor.forward``."""
        check_tokens(tokens, self.dim, grid)
        B, T = tokens.shape[:2]
        checked = check_actions(actions, (B, T, self.action_dim))
        after_block = self._after_block(self.embedded(checked))
        previous_actions = self._previous_actions(checked[:, :-1])
        predicted: Tensor = self.predictor(
            tokens, times, grid=grid, after_block=after_block, previous_actions=previous_actions
        )
        return predicted

    def context(
        self, tokens: Tensor, times: Tensor, *, grid: tuple[int, int], actions: Tensor | None = None
    ) -> Context:
        """Compute once what predictions need of frames that were seen; as ``Predictor.context``.

        Args:
            tokens: (B, T, P, D).
            times: (B, T) seconds.
            grid: rows and columns of patches.
            actions: (B, T - 1, A), taken between the frames, where they are known.
        """
        previous_actions = None
        if actions is not None:
            check_tokens(tokens, self.dim, grid)
            B, T = tokens.shape[:2]
            previous_actions = self._previous_actions(check_actions(actions, (B, T - 1, self.action_dim)))
        return self.predictor.context(tokens, times, grid=grid, previous_actions=previous_actions)

    def step(self, context: Context, time: Tensor, action: Tensor | None = None) -> tuple[Tensor, Context]:
        """Predict the next frame; action (B, A), or (B, S, A) with candidates; as ``Predictor.step``."""
        B, S = len(context.origin), context.num_candidates
        shape = (B, self.action_dim) if S is None else (B, S, self.action_dim)
        checked = check_actions(action, shape).reshape(B * (S or 1), -1)
        after_block = self._after_block(self.embedded(checked)[:, None])
        return self.predictor.step(context, time, after_block=after_block, previous_action=self.embed_arrival(checked))

    def embedded(self, actions: Tensor) -> Tensor:
        """Embed actions (…, A) for the action blocks: (…, width), as large as the queries that they stand beside."""
        embedding: Tensor = self.embed_action(actions)
        return embedding if self.action_scale == 1 else self.action_scale * embedding

    def _previous_actions(self, actions: Tensor) -> Tensor:
        """Embed actions (B, T - 1, A) for the frames that they led to; what led to the first of T is not known."""
        embedded: Tensor = self.embed_arrival(actions)
        return torch.nn.functional.pad(embedded, (0, 0, 1, 0))

    def _after_block(self, embedded: Tensor) -> AfterBlock:
        """Apply action blocks to queries (B, T * P, width), with embedded actions (B, T, width)."""
        T = embedded.shape[1]

        def after_block(index: int, q: Tensor) -> Tensor:
            by_frame = q.unflatten(1, (T, -1))
            updated: Tensor = self.action_blocks[index](by_frame, embedded)
            return updated.flatten(1, 2)

        return after_block
