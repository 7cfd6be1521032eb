"""A head that predicts rewards from tokens.

Letters: ``P`` patches of a frame, ``D`` numbers of a token.
"""

import torch
from torch import Tensor, nn

from ..checks import check_whole

_HEADS = 4  # looks at the patches, each with weights of its own


class RewardHead(nn.Module):
    """Predicts the reward of an environment step, on average over the model step that led to a frame.

    Tokens are standardised, weighted by attention over the patches, and pass through an MLP.

    Args:
        num_patches: P.
        dim: D.
        width: of the network, a multiple of 4.
    """

    token_mean: Tensor
    token_std: Tensor
    mean: Tensor
    std: Tensor

    def __init__(self, num_patches: int, dim: int, width: int = 128):
        super().__init__()
        for name, value in (("num_patches", num_patches), ("dim", dim), ("width", width)):
            check_whole(name, value)
        if width % _HEADS:
            raise ValueError(f"width must be a multiple of {_HEADS}, got {width}")
        self.num_patches, self.dim, self.width = num_patches, dim, width
        # Of the tokens and of the rewards that it was trained on.
        self.register_buffer("token_mean", torch.zeros(dim, dtype=torch.float32))
        self.register_buffer("token_std", torch.ones(dim, dtype=torch.float32))
        self.register_buffer("mean", torch.zeros((), dtype=torch.float32))
        self.register_buffer("std", torch.ones((), dtype=torch.float32))
        self.embed = nn.Linear(dim, width, dtype=torch.float32)
        self.position = nn.Parameter(torch.zeros(num_patches, width, dtype=torch.float32))
        self.attend = nn.Linear(width, _HEADS, dtype=torch.float32)
        self.mlp = nn.Sequential(
            nn.LayerNorm(width, dtype=torch.float32),
            nn.Linear(width, width, dtype=torch.float32),
            nn.GELU(),
            nn.Linear(width, 1, dtype=torch.float32),
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """Predict the rewards (…) of frames with tokens (…, P, D), in float32."""
        if tuple(tokens.shape[-2:]) != (self.num_patches, self.dim):
            raise ValueError(f"tokens must have shape (…, {self.num_patches}, {self.dim}), got {tuple(tokens.shape)}")
        embedded = torch.relu(
            self.embed((tokens.to(self.embed.weight.dtype) - self.token_mean) / self.token_std) + self.position
        )
        weights = self.attend(embedded).softmax(-2)  # (…, P, heads)
        values = embedded.unflatten(-1, (_HEADS, -1))  # (…, P, heads, width / heads)
        pooled = (weights[..., None] * values).sum(-3).flatten(-2)
        predicted: Tensor = (self.mlp(pooled)[..., 0] * self.std + self.mean).float()
        return predicted

    def settings(self) -> dict[str, int]:
        """Return the arguments that make a head like this one."""
        return {"num_patches": self.num_patches, "dim": self.dim, "width": self.width}
