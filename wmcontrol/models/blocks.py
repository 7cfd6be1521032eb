"""The predictor's parts: cross-attention over cached keys and values, and the MLP."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .context import KeysValues
from .rotary import rotate

_FEW_KEYS = 64
Rotation = tuple[Tensor, Tensor]  # cosines and sines


class MLP(nn.Module):
    """Two linear layers with a GELU between them."""

    def __init__(self, in_features: int, hidden_features: int, out_features: int):
        super().__init__()
        self.fc1 = nn.Linear(in_features, hidden_features, dtype=torch.float32)
        self.fc2 = nn.Linear(hidden_features, out_features, dtype=torch.float32)

    def forward(self, x: Tensor) -> Tensor:
        """Map (…, in_features) to (…, out_features)."""
        y: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return y


class CrossAttention(nn.Module):
    """Multi-head attention of queries to the tokens of earlier frames, with rotary positions."""

    def __init__(self, width: int, num_heads: int):
        super().__init__()
        self.num_heads = num_heads
        self.query = nn.Linear(width, width, dtype=torch.float32)
        self.key_value = nn.Linear(width, 2 * width, dtype=torch.float32)
        self.out = nn.Linear(width, width, dtype=torch.float32)

    def keys_values(self, context: Tensor, cos: Tensor, sin: Tensor) -> KeysValues:
        """Return keys (rotated) and values of tokens (B, N, width), each (B, h, N, d)."""
        keys, values = self.key_value(context).chunk(2, -1)
        return rotate(self._split(keys), cos, sin), self._split(values)

    def forward(self, queries: Tensor, cos: Tensor, sin: Tensor, kv: KeysValues, mask: Tensor | None) -> Tensor:
        """Attend: queries (B, Q, width) to keys and values (B, h, N, d); mask (Q, N), True where allowed."""
        q = rotate(self._split(self.query(queries)), cos, sin)
        attended = attend(q, *kv, mask)
        merged: Tensor = self.out(attended.transpose(1, 2).flatten(2))
        return merged

    def weights(self, queries: Tensor, cos: Tensor, sin: Tensor, keys: Tensor) -> Tensor:
        """Return how much queries (B, Q, width) attend to keys (B, h, N, d): (B, h, Q, N), rows sum to one."""
        q = rotate(self._split(self.query(queries)), cos, sin)
        weights: Tensor = (q * q.shape[-1] ** -0.5 @ keys.transpose(-1, -2)).softmax(-1)
        return weights

    def to_shared_and_own(
        self, queries: Tensor, cos: Tensor, sin: Tensor, shared: KeysValues, own: KeysValues | None
    ) -> Tensor:
        """Attend from every candidate to the frames that all share and to those of its own.

        One softmax over both, as if the shared keys stood before each candidate's own; but they are not copied: all
        candidates' queries meet them in one matrix product.

        Args:
            queries: (B * S, P, width).
            cos: of the queries' positions, (B * S, 1, P, m).
            sin: the same.
            shared: (B, h, N, d).
            own: (B * S, h, M, d), or None.
        """
        BS, P, _ = queries.shape
        keys, values = shared
        B, h, N, d = keys.shape
        S = BS // B
        q = rotate(self._split(self.query(queries)), cos, sin) * d**-0.5  # (B * S, h, P, d)
        q_BhSPd = q.view(B, S, h, P, d).transpose(1, 2).reshape(B, h, S * P, d)
        if own is None:
            weights = (q_BhSPd @ keys.transpose(-1, -2)).softmax(-1)
            attended = weights @ values
        else:
            M = own[0].shape[2]
            scores = (q_BhSPd @ keys.transpose(-1, -2)).view(B, h, S, P, N).transpose(1, 2)
            own_scores = (q @ own[0].transpose(-1, -2)).view(B, S, h, P, M)
            weights = torch.cat([scores, own_scores], -1).softmax(-1)  # (B, S, h, P, N + M)
            weights_shared = weights[..., :N].transpose(1, 2).reshape(B, h, S * P, N)
            attended_own = (weights[..., N:].reshape(BS, h, P, M) @ own[1]).view(B, S, h, P, d)
            attended = weights_shared @ values + attended_own.transpose(1, 2).reshape(B, h, S * P, d)
        merged = attended.view(B, h, S, P, d).permute(0, 2, 3, 1, 4).reshape(BS, P, h * d)
        out: Tensor = self.out(merged)
        return out

    def _split(self, x: Tensor) -> Tensor:
        B, N, width = x.shape
        return x.view(B, N, self.num_heads, width // self.num_heads).transpose(1, 2)


def attend(q: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
    """Attend: queries (B, h, Q, d) to keys and values (B, h, N, d); mask (Q, N), True where allowed.

    The fused kernel spares the memory of the weights (B, h, Q, N). But in bfloat16 on a CPU plain products
    take between a quarter and six tenths of its time while keys are few.
    """
    if q.device.type != "cpu" or q.dtype != torch.bfloat16 or keys.shape[2] > _FEW_KEYS:
        return F.scaled_dot_product_attention(q, keys, values, attn_mask=mask)
    scores = (q * q.shape[-1] ** -0.5) @ keys.transpose(-1, -2)
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    attended: Tensor = scores.softmax(-1) @ values
    return attended


class Block(nn.Module):
    """``q + CrossAttention(LN(q))``, then ``q + MLP(LN(q))`` (DINO-world, equations 2 and 3)."""

    def __init__(self, width: int, num_heads: int, mlp_ratio: float):
        super().__init__()
        self.norm_attention = nn.LayerNorm(width, dtype=torch.float32)
        self.attention = CrossAttention(width, num_heads)
        self.norm_mlp = nn.LayerNorm(width, dtype=torch.float32)
        self.mlp = MLP(width, round(mlp_ratio * width), width)

    def forward(
        self, q: Tensor, context: Tensor, of_queries: Rotation, of_context: Rotation, mask: Tensor | None
    ) -> Tensor:
        """Update queries (B, Q, width) from a context (B, N, width), each at its own positions; mask (Q, N).

        All at once, because a sharded block's weights are there only while this runs.
        """
        kv = self.attention.keys_values(context, *of_context)
        q = q + self.attention(self.norm_attention(q), *of_queries, kv, mask)
        updated: Tensor = q + self.mlp(self.norm_mlp(q))
        return updated
