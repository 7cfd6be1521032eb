"""What training minimises: the error of predicted tokens of all next frames."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..checks import check_whole
from ..models import ActionConditioned, Predictor

BETA = 0.1  # DINO-world, appendix A.1


class PredictionLoss(nn.Module):
    """Smooth L1 of every next frame's tokens, teacher forced; and if asked for, of those that follow imagined ones.

    With ``rollout_steps=k`` there are k passes, whose losses are averaged. The first sees true frames (DINO-world,
    section 3.2). Each later one sees, in place of the frames after the first, what the pass before it predicted; so
    in pass k a frame is predicted from frames that were themselves imagined k - 1 deep, all in parallel.

    Args:
        predictor: with actions or without.
        grid: rows and columns of patches.
        rollout_steps: k; 1 is teacher forcing alone.
        backprop_through_rollout: let gradients flow through all passes, not only through the last.
        weights: (D,) what errors of each number of a token are multiplied by; by default 1.
    """

    def __init__(
        self,
        predictor: Predictor | ActionConditioned,
        grid: tuple[int, int],
        *,
        rollout_steps: int = 1,
        backprop_through_rollout: bool = False,
        weights: Sequence[float] | None = None,
    ):
        super().__init__()
        check_whole("rollout_steps", rollout_steps)
        inner = predictor.predictor if isinstance(predictor, ActionConditioned) else predictor
        if inner.least_frames > 1 and (rollout_steps > 1 or weights is not None):
            raise ValueError(
                f"a {type(inner).__name__} needs {inner.least_frames} frames, and is trained with rollout_steps=1 and "
                f"without weights; got rollout_steps={rollout_steps}{'' if weights is None else ' and weights'}"
            )
        self.predictor, self._compared = predictor, inner.compared
        self.grid = grid
        self.rollout_steps, self.backprop_through_rollout = rollout_steps, backprop_through_rollout
        found = None if weights is None else torch.tensor(weights, dtype=torch.float32, device="cpu")
        self.weights: Tensor | None
        self.register_buffer("weights", found, persistent=False)

    def forward(self, tokens: Tensor, times: Tensor, actions: Tensor | None) -> Tensor:
        """Return the loss of clips: tokens (B, T, P, D), times (B, T), actions (B, T - 1, A) or None."""
        if self.rollout_steps >= tokens.shape[1]:
            raise ValueError(f"{self.rollout_steps} rollout steps need clips of more frames than {tokens.shape[1]}")
        seen, losses = tokens[:, :-1], []
        for step in range(self.rollout_steps):
            predicted = self.predictor(seen, times, actions, grid=self.grid).to(tokens.dtype)
            # The first frames are predicted from true ones again; what is new begins ``step`` frames later.
            # And a predictor that needs several frames predicts the last ones alone.
            error = self._compared(predicted[:, step:]) - self._compared(
                tokens[:, 1 + step :][:, -predicted.shape[1] :]
            )
            if self.weights is not None:
                error = error * self.weights
            losses.append(F.smooth_l1_loss(error, torch.zeros_like(error), beta=BETA))
            imagined = predicted if self.backprop_through_rollout else predicted.detach()
            seen = torch.cat([tokens[:, :1], imagined[:, :-1]], 1)
        return torch.stack(losses).mean()
