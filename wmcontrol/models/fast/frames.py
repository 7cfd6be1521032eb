"""Keys and values of the frames that candidates imagined, and attention to them and to those that were seen.

Letters: ``R`` rows, which are the S candidates of each of B environments; ``N`` frames of the context; ``P`` patches
of a frame; ``M`` frames imagined so far; ``w`` width; ``h`` heads; ``d`` numbers of a head; ``L`` blocks.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ..context import KeysValues


class OneTokenFrames:
    """Of frames that are one token each: few keys, compared by products of numbers, not by products of matrices.

    Args:
        shared: of each block, keys and values of the frames that were seen, (N, B, 1, w).
        rows: R.
        steps: M, how many frames will be remembered.
        heads: h.
    """

    def __init__(self, shared: list[KeysValues], rows: int, steps: int, heads: int):
        self._shared, self._heads = shared, heads
        self._own = shared[0][0].new_empty(len(shared), 2, steps, rows, shared[0][0].shape[-1])

    def attend(self, i: int, step: int, q: Tensor) -> Tensor:
        """Attend from block ``i``'s queries (R * P, w), at ``step``, to all frames before that: (R * P, w)."""
        (keys, values), own = self._shared[i], self._own[i, :, :step]
        (N, B), (R, w), h = keys.shape[:2], q.shape, self._heads
        scores = (q.view(B, -1, w) * keys).reshape(N, R, h, w // h).sum(-1)
        if step:
            scores = torch.cat([scores, (q * own[0]).unflatten(-1, (h, -1)).sum(-1)])
        weights = scores.softmax(0)  # (N + M, R, h)
        of_shared = weights[:N].view(N, B, -1, h, 1)
        attended: Tensor = of_shared[0] * values[0].unflatten(-1, (h, -1))  # (B, S, h, d)
        for n in range(1, N):
            attended.addcmul_(of_shared[n], values[n].unflatten(-1, (h, -1)))
        attended = attended.reshape(R, h, w // h)
        for weight, value in zip(weights[N:], own[1], strict=True):
            attended.addcmul_(weight[..., None], value.view_as(attended))
        return attended.view(R, w)

    def add(self, step: int, keys_values: Tensor) -> None:
        """Remember a frame's keys and values in all blocks, (R * P, L * 2 * w)."""
        L, _, _, R, w = self._own.shape
        self._own[:, :, step] = keys_values.view(R, L, 2, w).permute(1, 2, 0, 3)

    @staticmethod
    def of_context(keys_values: KeysValues) -> KeysValues:
        """Bring a block's (B, h, N, d) into the order (N, B, 1, w)."""
        keys, values = (x.permute(2, 0, 1, 3).flatten(2)[:, :, None].contiguous() for x in keys_values)
        return keys, values


class ManyTokenFrames:
    """Of frames of several tokens: seen ones are copied to each candidate, so that one product meets all keys.

    Args:
        shared: of each block, keys and values of the frames that were seen, (B, h, N * P, d).
        rows: R.
        steps: M, how many frames will be remembered.
        rotation: cosines and sines (H, P, w) by which queries and keys are rotated.
    """

    def __init__(self, shared: list[KeysValues], rows: int, steps: int, rotation: tuple[Tensor, Tensor]):
        self._rotation, self._patches = rotation, rotation[0].shape[1]
        B, h, self._seen, d = shared[0][0].shape
        # (L, 2, R, h, N * P + M * P, d)
        self._all = shared[0][0].new_empty(len(shared), 2, rows, h, self._seen + steps * self._patches, d)
        scratch = self._all[0, 0].numel() if self._all.device.type == "cpu" else 0
        self._keys, self._weights = self._all.new_empty(scratch), self._all.new_empty(scratch // d * self._patches)
        for block, keys_values in zip(self._all, shared, strict=True):
            for every, seen in zip(block, keys_values, strict=True):
                every.view(B, -1, h, *every.shape[2:])[:, :, :, : self._seen] = seen[:, None]

    def attend(self, i: int, step: int, q: Tensor) -> Tensor:
        """Attend from block ``i``'s queries (R * P, w), at ``step``, to all frames before that: (R * P, w)."""
        R, h, _, d = self._all.shape[2:]
        q_RPw = q.view(R, self._patches, -1)
        if i:  # the first block's are rotated
            q_RPw = self._rotate(q_RPw, step)
        queries = q_RPw.unflatten(-1, (h, d)).transpose(1, 2)
        keys, values = self._all[i, :, :, :, : self._seen + step * self._patches]
        if q.device.type == "cpu":
            attended = self._by_products(queries, keys, values)
        else:
            attended = F.scaled_dot_product_attention(queries, keys, values, scale=1.0)
        return attended.transpose(1, 2).reshape(R * self._patches, -1)

    def add(self, step: int, keys_values: Tensor) -> None:
        """Remember a frame's keys and values in all blocks, (R * P, L * 2 * w)."""
        L, _, R, h, _, d = self._all.shape
        P, start = self._patches, self._seen + step * self._patches
        new = keys_values.view(R, P, L, 2, h * d)
        for i in range(L):
            keys = self._rotate(new[:, :, i, 0], step)
            for every, x in zip(self._all[i], (keys, new[:, :, i, 1]), strict=True):
                every[:, :, start : start + P] = x.unflatten(-1, (h, d)).transpose(1, 2)

    def _rotate(self, x: Tensor, step: int) -> Tensor:
        """Rotate queries or keys (R, P, w) to a step's angles: what :func:`.rotary.rotate` does, on whole rows.

        Long rows take a third of the time that pieces as long as the angles of a head take.
        """
        h, d = self._all.shape[3], self._all.shape[5]
        m = d // 6 * 3
        other = torch.zeros_like(x, memory_format=torch.contiguous_format)
        of_heads, others = (y.unflatten(-1, (h, d)) for y in (x, other))
        others[..., :m] = of_heads[..., m : 2 * m]
        others[..., m : 2 * m] = of_heads[..., :m]
        cosines, sines = self._rotation
        return (x * cosines[step]).addcmul_(other, sines[step])

    def _by_products(self, q: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Attend from queries (R, h, P, d) to keys and values (R, h, K, d) in half of the fused kernel's time on a CPU.

        What is large is written where it was before: memory anew, page by page, takes longer than the products.
        """
        R, h, P, d = q.shape
        K = keys.shape[2]
        # They are copied in any case; before they are transposed that takes a seventh of the time.
        together = self._keys[: R * h * K * d].view(R * h, K, d)
        together.copy_(keys.reshape(R * h, K, d))
        weights = self._weights[: R * h * P * K].view(R * h, P, K)
        torch.bmm(q.reshape(R * h, P, d), together.transpose(1, 2), out=weights)
        torch.softmax(weights, -1, out=weights)
        return torch.bmm(weights, values.reshape(R * h, K, d)).view(R, h, P, d)
