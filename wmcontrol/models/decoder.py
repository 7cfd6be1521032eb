"""From tokens back to pixels, for looking only: nothing is planned or judged by it.

Letters: ``N`` frames, ``P`` patches of a frame, ``D`` numbers of a token, ``F`` numbers of a token and of those around
it.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import fold, interpolate, unfold

from ..checks import check_whole


class FrameDecoder(nn.Module):
    """A linear map of tokens to pictures: what is seen of them is what they say linearly.

    A patch is drawn by its token and the eight around it, as a difference from the mean of all frames at its place. Of
    a still background the mean is sharp; what moves is as sharp as the tokens say.

    Args:
        dim: D.
        grid: rows and columns of patches, P in all.
        frame_size: height and width of the pictures.
        patch: rows and columns of pixels that a patch's difference is drawn in, before it is enlarged to its size.
    """

    mean: Tensor  # (3, height, width), 0 to 255
    token_mean: Tensor  # (P, D)
    weight: Tensor  # (F, 3 * rows * columns of a patch)

    def __init__(self, dim: int, grid: Sequence[int], frame_size: Sequence[int], patch: Sequence[int]):
        super().__init__()
        check_whole("dim", dim)
        sides = {"grid": grid, "frame_size": frame_size, "patch": patch}
        for name, pair in sides.items():
            if len(pair) != 2:
                raise ValueError(f"{name} must be two numbers, rows and columns, got {list(pair)}")
            for side in pair:
                check_whole(name, side)
        self._settings = {"dim": dim, **{name: [int(side) for side in pair] for name, pair in sides.items()}}
        self.dim, self.grid, self.patch = int(dim), (int(grid[0]), int(grid[1])), (int(patch[0]), int(patch[1]))
        self.frame_size = (int(frame_size[0]), int(frame_size[1]))
        around, P = self._around[0] * self._around[1], self.grid[0] * self.grid[1]
        self.register_buffer("mean", torch.zeros(3, *self.frame_size, dtype=torch.float32))
        self.register_buffer("token_mean", torch.zeros(P, self.dim, dtype=torch.float32))
        outputs = 3 * self.patch[0] * self.patch[1]
        self.register_buffer("weight", torch.zeros(around * self.dim, outputs, dtype=torch.float32))

    @torch.no_grad()
    def forward(self, tokens: Tensor) -> Tensor:
        """Return pictures (…, height, width, 3), uint8, of frames with tokens (…, P, D).

        Raises:
            ValueError: tokens of another shape.
        """
        P = self.grid[0] * self.grid[1]
        if tokens.ndim < 2 or tuple(tokens.shape[-2:]) != (P, self.dim):
            raise ValueError(f"tokens must have shape (…, {P}, {self.dim}), got {tuple(tokens.shape)}")
        lead = tokens.shape[:-2]
        drawn = self.features(tokens.reshape(-1, P, self.dim).to(self.weight)) @ self.weight  # (N, P, 3 * patch)
        sides = (self.grid[0] * self.patch[0], self.grid[1] * self.patch[1])
        difference = fold(drawn.mT, sides, self.patch, stride=self.patch)
        large = interpolate(difference, self.frame_size, mode="bilinear", align_corners=False)
        pictures = (self.mean + large).clamp(0, 255).round().to(torch.uint8).movedim(1, -1)
        return pictures.unflatten(0, lead) if lead else pictures[0]

    @torch.no_grad()
    def fit(self, frames: Tensor, tokens: Tensor, *, ridge: float = 1e-6, batch: int = 64) -> float:
        """Set everything by least squares, in float64.

        Args:
            frames: (N, height, width, 3), uint8.
            tokens: (N, P, D) of them.
            ridge: what is added to the diagonal of the normal equations, in shares of its mean.
            batch: frames at once.

        Returns:
            The share of the variance of these frames, at the size that differences are drawn in, that the tokens tell.

        Raises:
            ValueError: all frames are the same.
        """
        parts = list(zip(frames.split(batch), tokens.split(batch), strict=True))
        self.mean.copy_((sum(part.double().sum(0) for part, _ in parts) / len(frames)).movedim(-1, 0))
        self.token_mean.copy_(sum(part.double().sum(0) for _, part in parts) / len(frames))
        inputs, outputs = self.weight.shape
        square = torch.zeros(inputs, inputs, dtype=torch.float64, device=self.weight.device)
        cross = torch.zeros(inputs, outputs, dtype=torch.float64, device=self.weight.device)
        total = 0.0
        for pixels, seen in parts:
            x = self.features(seen.to(self.weight)).flatten(0, 1).double()
            y = self._targets(pixels.to(self.weight)).flatten(0, 1).double()
            square += x.T @ x
            cross += x.T @ y
            total += float(y.square().sum())
        if not total > 0:
            raise ValueError("all frames look the same; give frames in which things move")
        diagonal = square.diagonal()
        diagonal += ridge * float(diagonal.mean()) + 1e-30
        solved = torch.linalg.solve(square, cross)
        self.weight.copy_(solved)
        told = 2 * (solved * cross).sum() - (solved * (square @ solved)).sum()
        return float(told) / total

    def features(self, tokens: Tensor) -> Tensor:
        """Return what patches are drawn by, (N, P, F) of (N, P, D): a token and those around it, less their means."""
        centered = (tokens - self.token_mean).mT.unflatten(-1, self.grid)  # (N, D, rows, columns)
        rows, columns = self._around
        return unfold(centered, (rows, columns), padding=(rows // 2, columns // 2)).mT

    def _targets(self, frames: Tensor) -> Tensor:
        """Return the differences (N, P, 3 * patch) of frames (N, height, width, 3) from the mean."""
        sides = (self.grid[0] * self.patch[0], self.grid[1] * self.patch[1])
        difference = frames.movedim(-1, 1) - self.mean
        return unfold(interpolate(difference, sides, mode="area"), self.patch, stride=self.patch).mT

    @property
    def _around(self) -> tuple[int, int]:
        """Rows and columns of tokens that a patch is drawn by."""
        return 3 if self.grid[0] > 1 else 1, 3 if self.grid[1] > 1 else 1

    def settings(self) -> dict[str, object]:
        """Return the arguments that make a decoder like this one."""
        return dict(self._settings)
