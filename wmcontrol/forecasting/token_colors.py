"""Tokens as colours: what a clip varies in, by its principal components.

Letters: ``P`` patches of a frame, ``D`` numbers of a token.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

_ENDS = (0.01, 0.99)  # quantiles of a component that are as dark and as bright as can be


@dataclass(frozen=True, eq=False)
class TokenColors:
    """Three principal components of a clip's tokens, shown as red, green and blue (the paper's figures 2 and 5).

    Attributes:
        mean: (D,) of the tokens.
        components: (3, D), orthonormal rows; the first tells most. Of each the largest number is positive.
        low: (3,) the value of a component that is shown as 0.
        high: (3,) the value that is shown as 255.
        share: how much of the tokens' variance the three tell, 0 to 1.
    """

    mean: Tensor
    components: Tensor
    low: Tensor
    high: Tensor
    share: float

    @staticmethod
    def fit(tokens: Tensor) -> "TokenColors":
        """Return the colours of a clip with tokens (…, D), D from 3 up.

        Raises:
            ValueError: fewer than 3 numbers, or all tokens are the same.
        """
        flat = tokens.detach().double().flatten(0, -2).cpu()
        if flat.shape[1] < 3:
            raise ValueError(f"tokens: expected 3 numbers or more, for three colours; got {flat.shape[1]}")
        mean = flat.mean(0)
        centered = flat - mean
        values, vectors = torch.linalg.eigh(centered.T @ centered)
        if not float(values[-1]) > 0:
            raise ValueError("tokens: all of the clip are the same, so that no colours tell them apart")
        rows = vectors.flip(1)[:, :3].T
        rows = rows * rows.gather(1, rows.abs().argmax(1, keepdim=True)).sign()
        shown = centered @ rows.T
        low, high = (torch.quantile(shown, end, 0) for end in _ENDS)
        return TokenColors(mean, rows, low, high, float(values.flip(0)[:3].sum() / values.sum()))

    def project(self, tokens: Tensor) -> Tensor:
        """Return the components of tokens, (…, 3) of (…, D), in float64 on the CPU."""
        components: Tensor = (tokens.detach().double().cpu() - self.mean) @ self.components.T
        return components

    def __call__(self, tokens: Tensor, grid: tuple[int, int]) -> Tensor:
        """Return tokens (…, P, D) as pictures of their grid, (…, rows, columns, 3), uint8."""
        wide = self.high - self.low
        # Tokens that vary in fewer than three directions leave noise of rounding in the others.
        shown = ((self.project(tokens) - self.low) / wide.clamp_min(1e-6 * float(wide.max()) + 1e-30)).clamp(0, 1)
        pictures: Tensor = (255 * shown).round().to(torch.uint8).unflatten(-2, grid)
        return pictures
