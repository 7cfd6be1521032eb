"""A head that predicts rewards from tokens.

Letters: ``H`` frames, one model step apart, ``T`` of them that are looked at together, ``P`` patches of a frame, ``D``
numbers of a token.
"""

import math

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
        num_frames: T, the frames that a reward is predicted from; 2 where it depends on speeds.
    """

    token_mean: Tensor
    token_std: Tensor
    mean: Tensor
    std: Tensor

    def __init__(self, num_patches: int, dim: int, width: int = 128, num_frames: int = 1):
        super().__init__()
        self._settings = {"num_patches": num_patches, "dim": dim, "width": width, "num_frames": num_frames}
        for name, value in self._settings.items():
            check_whole(name, value, most={"width": 2**13, "num_frames": 1000}.get(name, math.inf))
        if width % _HEADS:
            raise ValueError(f"width must be a multiple of {_HEADS}, got {width}")
        self.num_patches, self.dim, self.num_frames = num_patches, dim, num_frames
        # Of the tokens and of the rewards that it was trained on.
        self.register_buffer("token_mean", torch.zeros(dim, dtype=torch.float32))
        self.register_buffer("token_std", torch.ones(dim, dtype=torch.float32))
        self.register_buffer("mean", torch.zeros((), dtype=torch.float32))
        self.register_buffer("std", torch.ones((), dtype=torch.float32))
        self.embed = nn.Linear(num_frames * dim, width, dtype=torch.float32)
        self.position = nn.Parameter(torch.zeros(num_patches, width, dtype=torch.float32))
        self.attend = nn.Linear(width, _HEADS, dtype=torch.float32)
        self.mlp = nn.Sequential(
            nn.LayerNorm(width, dtype=torch.float32),
            nn.Linear(width, width, dtype=torch.float32),
            nn.GELU(),
            nn.Linear(width, 1, dtype=torch.float32),
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """Predict the rewards (…, H - T + 1) of frames with tokens (…, H, P, D) but the first T - 1, in float32."""
        H, frame = tokens.shape[-3] if tokens.ndim > 2 else 0, (self.num_patches, self.dim)
        if self.num_frames > H or tuple(tokens.shape[-2:]) != frame:
            raise ValueError(
                f"tokens must have shape (…, H, {frame[0]}, {frame[1]}), H from {self.num_frames} up; got "
                f"{tuple(tokens.shape)}"
            )
        known = (tokens.to(self.embed.weight.dtype) - self.token_mean) / self.token_std
        last = H - self.num_frames + 1
        windows = torch.cat([known[..., i : i + last, :, :] for i in range(self.num_frames)], -1)  # (…, P, T * D)
        embedded = torch.relu(self.embed(windows) + self.position)
        weights = self.attend(embedded).softmax(-2)  # (…, P, heads)
        values = embedded.unflatten(-1, (_HEADS, -1))  # (…, P, heads, width / heads)
        pooled = (weights[..., None] * values).sum(-3).flatten(-2)
        predicted: Tensor = (self.mlp(pooled)[..., 0] * self.std + self.mean).float()
        return predicted

    def settings(self) -> dict[str, int]:
        """Return the arguments that make a head like this one."""
        return dict(self._settings)
