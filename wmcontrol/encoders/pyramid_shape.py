"""What a pyramid samples of a frame, as its settings say."""

import math
import operator
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

# Samples per standard deviation of the blur. What is finer than the samples can carry is by then damped to
# exp(-(0.75 pi)^2 / 2) = 6 % or less.
_SAMPLES_PER_WIDTH = 0.75
_MIN_BLUR, _MIN_RATIO = 1e-4, 1.5
_MAX_BLUR, _MOST_TOKENS, _MOST_SAMPLES = 1e3, 2**16, 2**24  # of a frame: what memory has room for
_LARGEST = 1e6  # of weights: single precision must have room for squares of what they multiply


class PyramidShape(NamedTuple):
    """The settings that say what is sampled, one entry per copy but for ``tokens`` and ``color_weights``."""

    tokens: tuple[int, int]
    blurs: tuple[float, ...]
    blur_weights: tuple[float, ...]
    grids: tuple[tuple[int, int], ...]
    color_weights: tuple[float, ...]

    @property
    def cells(self) -> list[tuple[int, int]]:
        """Rows and columns of samples that one token sees."""
        return [(rows // self.tokens[0], columns // self.tokens[1]) for rows, columns in self.grids]

    @property
    def sample_weights(self) -> list[float]:
        """Weights of one sample: a copy counts the same on a fine grid as on a coarse one."""
        cells = self.cells
        return [w / math.sqrt(rows * columns) for w, (rows, columns) in zip(self.blur_weights, cells, strict=True)]


def _numbers(name: str, values: Any, kind: Callable[[Any], Any]) -> list[Any]:
    """Return numbers as a list; NumPy's are as good as Python's."""
    try:
        numbers = [kind(value) for value in values]
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} must be numbers, got {values!r}") from error
    if not all(math.isfinite(number) for number in numbers):
        raise ValueError(f"{name} must be finite numbers, got {values!r}")
    return numbers


def _sized(weights: Sequence[float]) -> bool:
    return 1 / _LARGEST <= max(weights) <= _LARGEST


def checked_shape(
    tokens: Sequence[int],
    blurs: Sequence[float],
    blur_weights: Sequence[float] | None,
    grids: Sequence[Sequence[int]] | None,
    color_weights: Sequence[float],
) -> PyramidShape:
    """Return the shape of a pyramid with these settings, or say which of them is out of range."""
    tokens, blurs = _numbers("tokens", tokens, operator.index), _numbers("blurs", blurs, float)
    color_weights = _numbers("color_weights", color_weights, float)
    if blur_weights is not None:
        blur_weights = _numbers("blur_weights", blur_weights, float)
    if len(tokens) != 2 or min(tokens) < 1:
        raise ValueError(f"tokens must be rows and columns, each at least 1, got {tokens!r}")
    if tokens[0] * tokens[1] > _MOST_TOKENS:
        raise ValueError(f"tokens must be rows and columns of at most {_MOST_TOKENS} tokens, got {tokens!r}")
    in_range = blurs and blurs[0] >= _MIN_BLUR and blurs[-1] <= _MAX_BLUR
    if not in_range or any(b < _MIN_RATIO * a * (1 - 1e-9) for a, b in pairwise(blurs)):
        raise ValueError(
            f"blurs must be widths as fractions of the frame, from {_MIN_BLUR:g} to {_MAX_BLUR:g}, each at least "
            f"{_MIN_RATIO} times the one before, got {blurs!r}"
        )
    if blur_weights is None:
        blur_weights = [blur / blurs[0] for blur in blurs]
    if len(blur_weights) != len(blurs) or min(blur_weights) <= 0 or not _sized(blur_weights):
        raise ValueError(
            f"blur_weights must be {len(blurs)} positive numbers, one per entry of blurs, the largest from "
            f"{1 / _LARGEST:g} to {_LARGEST:g}, got {blur_weights!r}"
        )
    if grids is None:
        # Rounded up to whole samples per token.
        grids = [[n * math.ceil(_SAMPLES_PER_WIDTH / blur / n - 1e-9) for n in tokens] for blur in blurs]
    if len(grids) != len(blurs) or any(
        len(grid) != 2 or min(grid) < 1 or any(g % n for g, n in zip(grid, tokens, strict=True)) for grid in grids
    ):
        raise ValueError(
            f"grids must be {len(blurs)} pairs of rows and columns, one per entry of blurs and multiples of tokens, "
            f"{tuple(tokens)}, got {grids!r}"
        )
    if sum(max(grid) ** 2 for grid in grids) > _MOST_SAMPLES:  # of a square's sides: blurs are matrices of them
        raise ValueError(
            f"grids must be of at most {_MOST_SAMPLES} samples in all, were they squares; got {grids!r}; coarser "
            "grids or wider blurs have fewer"
        )
    if len(color_weights) != 3 or min(color_weights) < 0 or not _sized(color_weights):
        raise ValueError(
            f"color_weights must be 3 numbers, none negative, the largest from {1 / _LARGEST:g} to {_LARGEST:g}, got "
            f"{color_weights!r}"
        )
    return PyramidShape(
        (int(tokens[0]), int(tokens[1])),
        tuple(float(blur) for blur in blurs),
        tuple(float(weight) for weight in blur_weights),
        tuple((int(rows), int(columns)) for rows, columns in grids),
        tuple(float(weight) for weight in color_weights),
    )
