"""An encoder that needs no weights: blurred copies of the frame, projected on principal components.

Letters: ``N`` frames, ``H`` and ``W`` their height and width, ``P`` tokens of a frame, ``F`` pyramid samples that a
token sees, ``D`` numbers of a token.
"""

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from ..checks import check_whole
from .encoder import Encoder
from .pyramid_shape import PyramidShape, checked_shape

# Numbers of a chunk of frames in float32: on a CPU so few that they stay in its cache.
_CHUNK = {"cpu": 2**19}
_CHUNK_ELSEWHERE = 2**27
# Lightness, red against green, yellow against blue: opponent colours, of which equal weights leave distances as they
# are in red, green and blue (van de Sande et al., "Evaluating color descriptors", 2010, equation 1).
_OPPONENT = (
    (3**-0.5, 3**-0.5, 3**-0.5),
    (2**-0.5, -(2**-0.5), 0.0),
    (6**-0.5, 6**-0.5, -2 * 6**-0.5),
)


class PyramidEncoder(Encoder):
    """Gaussian-blurred copies of the frame, coarsely sampled, on principal components: a linear map of the image.

    The distance between two tokens is a distance between blurred frames: it keeps growing as a thing moves away from
    where it was, long after the sharp frames have stopped to overlap. That makes it a good cost for planning. Blurring
    is separable (two matrix products per width), and each copy is made of the one before, by the width that is
    missing (Burt and Adelson, "The Laplacian pyramid as a compact image code", 1983). A copy counts in proportion to
    ``blur_weights``, by default to its width; so weighted, distances follow those of the earth mover (Indyk and
    Thaper, "Fast image retrieval via embeddings", 2003).

    With more than one token, each sees the samples in its own cell of the frame; wide blurs let it see beyond. All
    cells share mean and components: what a token says about its cell does not depend on where the cell is, as with
    the patches of a vision transformer, and every cell of every frame is a sample to fit on.

    Frames of any size give tokens that can be compared, as long as they show the same: widths and grids are fractions
    of the frame. At its borders a blur averages what is inside.

    Call :meth:`fit` once on frames of what is to be seen, or load a state that was fitted.
    """

    mean: Tensor  # (F,)
    components: Tensor  # (D, F), orthonormal rows
    scale: Tensor  # (), 0 as long as nothing is fitted

    def __init__(
        self,
        num_components: int = 128,
        *,
        tokens: Sequence[int] = (1, 1),
        blurs: Sequence[float] = (1 / 16, 1 / 8, 1 / 4, 1 / 2),
        blur_weights: Sequence[float] | None = None,
        grids: Sequence[Sequence[int]] | None = None,
        color_weights: Sequence[float] = (1.0, 6.0, 6.0),
    ) -> None:
        """Make an encoder that is still to be fitted.

        Args:
            num_components: numbers of a token.
            tokens: rows and columns of tokens.
            blurs: standard deviations, as fractions of the frame, each at least 1.5 times the one before.
            blur_weights: how much each copy counts; None: in proportion to its width.
            grids: rows and columns of samples of each copy, multiples of those of the tokens; None: as few as the
                blur allows, 0.75 per standard deviation.
            color_weights: how much lightness, red against green, and yellow against blue count. A small coloured
                thing then is not lost beside a large grey one: in Push-T, where distances must tell of the agent
                (small, blue) as of the block (large, grey), planning with the true dynamics reached 22 of 40 goals
                with equal weights and 29 with the default.

        Raises:
            ValueError: a setting is out of range, or does not go with the others.
        """
        super().__init__()
        self._shape = checked_shape(tokens, blurs, blur_weights, grids, color_weights)
        per_token = [rows * columns * 3 for rows, columns in self._shape.cells]
        check_whole("num_components", num_components)
        if num_components > sum(per_token):
            raise ValueError(
                f"num_components must be at most {sum(per_token)}, the samples that a token sees, "
                f"got {num_components}; finer grids or narrower blurs give a token more samples"
            )
        self.dim = num_components = int(num_components)
        self.register_buffer("mean", torch.zeros(sum(per_token), dtype=torch.float32))
        self.register_buffer("components", torch.zeros(num_components, sum(per_token), dtype=torch.float32))
        self.register_buffer("scale", torch.zeros((), dtype=torch.float32))
        self.eval()

    @property
    def fitted(self) -> bool:
        """Whether it can encode: it was fitted, or a fitted state was loaded."""
        return bool(self.scale)

    def settings(self) -> dict[str, Any]:
        """Return what the constructor takes to make this encoder again, as JSON can write it."""
        shape = self._shape
        return {
            "num_components": self.dim,
            "tokens": list(shape.tokens),
            "blurs": list(shape.blurs),
            "blur_weights": list(shape.blur_weights),
            "grids": [list(grid) for grid in shape.grids],
            "color_weights": list(shape.color_weights),
        }

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Return how many rows and columns of tokens a frame has: the same for every size."""
        if min(height, width) < 1:
            raise ValueError(f"expected frames of at least 1 by 1 pixel, got {height} by {width}")
        return self._shape.tokens

    def samples(self, frames: Tensor) -> Tensor:
        """Return what the components project: the weighted samples (N, P, F) of uint8 frames (N, H, W, 3)."""
        count, height, width, _ = frames.shape
        shape, work = self._shape, torch.promote_types(self.components.dtype, torch.float32)
        steps = _steps(shape, height, width, frames.device, work)
        # Rows first: (rows, H) @ (N, H, W * 3). Colours ride along with the columns, so that both are dense products.
        level = frames.reshape(count, height, width * 3).to(work)
        parts = []
        for (rows, columns), weight, by_rows, by_columns in zip(
            shape.grids, shape.sample_weights, *zip(*steps, strict=True), strict=True
        ):
            level = torch.matmul(by_rows, level).flatten(0, 1) @ by_columns  # (N * rows, columns * 3)
            level = level.view(count, rows, columns * 3)
            parts.append(_by_token(level * weight, shape.tokens, (rows, columns)))
        return torch.cat(parts, -1)

    @torch.no_grad()
    def fit(self, *scenes: Tensor | Iterable[Tensor]) -> float:
        """Set mean and components to those of these frames, and the scale so that a token's numbers vary by 1.

        The same frames give the same components: they are eigenvectors, in float64, of the samples' covariance, of
        which the largest number is positive. One scale serves all components, so distances keep their proportions.

        Frames of different scenes (other backgrounds, as of several environments) are given apart. Otherwise the
        components would tell scenes apart and little else, and what moves within one would be small beside where that
        scene lies. So the covariance is that within scenes, of which each counts the same, and components are at right
        angles to what lies between the scenes' means: tokens of every scene have mean zero.

        Args:
            scenes: of each the frames, uint8 (N, H, W, 3), or several such batches, one after another.

        Returns:
            The share of the samples' variance within scenes that the components keep.

        Raises:
            ValueError: too few frames, or all of a scene are the same.
        """
        found = [self._moments(scene) for scene in scenes]
        if not found:
            raise ValueError("expected the frames of one scene or more, got none")
        mean = torch.stack([mean for mean, _ in found]).mean(0)
        variance = torch.stack([covariance.trace() for _, covariance in found])
        within = torch.stack([c / v for (_, c), v in zip(found, variance, strict=True)]).mean(0) * variance.mean()
        total = float(within.trace())
        if len(found) > 1:
            between = torch.linalg.svd(torch.stack([m - mean for m, _ in found]), full_matrices=False)
            apart = between.Vh[1e-9 * between.S[0] < between.S]
            within = within - apart.T @ (apart @ within)
            within = within - (within @ apart.T) @ apart
        values, vectors = torch.linalg.eigh(within)
        values, vectors = values.flip(0)[: self.dim], vectors.flip(1)[:, : self.dim]
        largest = vectors.gather(0, vectors.abs().argmax(0, keepdim=True))
        self.mean.copy_(mean)
        self.components.copy_((vectors * largest.sign()).T)
        self.scale.fill_(float(values.mean()) ** -0.5)
        return float(values.sum()) / total

    def _moments(self, frames: Tensor | Iterable[Tensor]) -> tuple[Tensor, Tensor]:
        """Return mean (F,) and covariance (F, F) of the samples of frames, in float64."""
        features, device = self.components.shape[1], self.components.device
        count = 0
        total = torch.zeros(features, dtype=torch.float64, device=device)
        square = torch.zeros(features, features, dtype=torch.float64, device=device)
        # The first sample is subtracted from all, so that the difference of squares loses nothing.
        shift: Tensor | None = None
        for batch in [frames] if isinstance(frames, Tensor) else frames:
            self._check(batch, 3)
            for part in torch.split(batch.reshape(-1, *batch.shape[-3:]), 256):
                rows = self.samples(part.to(device)).flatten(0, 1).double()
                shift = rows[0] if shift is None else shift
                rows = rows - shift
                count += len(rows)
                total += rows.sum(0)
                square += rows.T @ rows
        if count < 2 or shift is None:
            raise ValueError(f"expected at least 2 frames of a scene to fit on, got {count}")
        mean = total / count
        covariance = square / count - torch.outer(mean, mean)
        if not float(covariance.trace()) > 1e-12:
            raise ValueError("all frames of a scene look the same; give frames in which things move")
        return mean + shift, covariance

    def _tokens(self, frames: Tensor) -> Tensor:
        if not self.scale > 0:
            raise ValueError(
                "this PyramidEncoder has no components yet: call fit(frames) with uint8 frames (N, height, width, 3) "
                "of what it is to see, or load_state_dict of one that was fitted"
            )
        chunk = max(1, _CHUNK.get(frames.device.type, _CHUNK_ELSEWHERE) // frames[0].numel())
        work = torch.promote_types(self.components.dtype, torch.float32)
        components, mean, scale = self.components.to(work), self.mean.to(work), self.scale.to(work)
        parts = [(self.samples(part) - mean) @ components.T * scale for part in torch.split(frames, chunk)]
        return torch.cat(parts).to(self.components.dtype)


def _by_token(level: Tensor, tokens: tuple[int, int], grid: tuple[int, int]) -> Tensor:
    """Sort samples (N, rows, columns * 3) by the token that sees them: (N, P, samples * 3)."""
    if tokens == (1, 1):
        return level.flatten(1)[:, None]
    (token_rows, token_columns), (rows, columns) = tokens, grid
    split = level.view(len(level), token_rows, rows // token_rows, token_columns, columns // token_columns * 3)
    return split.transpose(2, 3).flatten(3).flatten(1, 2)


@lru_cache(maxsize=32)
def _steps(
    shape: PyramidShape, height: int, width: int, device: torch.device, dtype: torch.dtype
) -> list[tuple[Tensor, Tensor]]:
    """Return, for each copy, what makes it of the one before: rows (rows, H) and columns (W * 3, columns * 3)."""
    steps = []
    for index, (blur, (rows, columns)) in enumerate(zip(shape.blurs, shape.grids, strict=True)):
        if index == 0:
            weights = torch.tensor(shape.color_weights, dtype=torch.float64, device="cpu")
            colors = (
                torch.tensor(_OPPONENT, dtype=torch.float64, device="cpu").T * weights / 255
            )  # from red, green, blue
            by_rows, by_columns = _blur_pixels(height, rows, blur), _blur_pixels(width, columns, blur)
        else:
            colors = torch.eye(3, dtype=torch.float64, device="cpu")
            missing = math.sqrt(blur**2 - shape.blurs[index - 1] ** 2)
            before_rows, before_columns = shape.grids[index - 1]
            by_rows = _blur_samples(before_rows, rows, missing)
            by_columns = _blur_samples(before_columns, columns, missing)
        # (columns, W) -> (W * 3, columns * 3), each colour by itself
        with_colors = torch.einsum("cw,ij->wicj", by_columns, colors).reshape(by_columns.shape[1] * 3, columns * 3)
        steps.append((by_rows.to(device, dtype), with_colors.to(device, dtype)))
    return steps


def _centers(count: int) -> Tensor:
    return (torch.arange(count, dtype=torch.float64, device="cpu") + 0.5) / count


def _blur_pixels(size: int, samples: int, width: float) -> Tensor:
    """Return the matrix (samples, size) that blurs pixels, steps of constant colour, along one axis.

    ``width`` is that of the Gaussian, as a fraction of the axis.
    """
    edges = torch.arange(size + 1, dtype=torch.float64, device="cpu") / size
    below = torch.special.ndtr((edges - _centers(samples)[:, None]) / width)
    weights = below.diff(dim=1)
    return torch.nn.functional.normalize(weights, p=1.0, dim=1)


def _blur_samples(size: int, samples: int, width: float) -> Tensor:
    """Return the matrix (samples, size) that blurs what has been sampled from something smooth; as above."""
    away = (_centers(size) - _centers(samples)[:, None]) / width
    return torch.softmax(-(away**2) / 2, dim=1)
