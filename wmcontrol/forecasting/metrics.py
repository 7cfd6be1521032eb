"""What forecasts and surprise are measured by, and intervals of it over clips.

Letters: ``C`` classes, ``N`` clips or pairs.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata
from torch import Tensor

from ..evaluation import Interval

IGNORED = 255  # the label of pixels that count nowhere
_RESAMPLES = 1000


def confusion_matrix(predicted: Tensor, labels: Tensor, num_classes: int) -> NDArray[np.int64]:
    """Count pixels by their label (rows) and what was predicted (columns), (C, C); those labelled 255 count nowhere.

    Args:
        predicted: classes, of any shape.
        labels: classes, of the same shape.
        num_classes: C.

    Raises:
        ValueError: the shapes differ, or a class is not from 0 to C - 1.
    """
    if predicted.shape != labels.shape:
        raise ValueError(f"predicted and labels must have one shape, got {[*predicted.shape]} and {[*labels.shape]}")
    counted = labels != IGNORED
    found, true = predicted[counted].long(), labels[counted].long()
    for name, classes in (("predicted", found), ("labels", true)):
        if len(classes) and not 0 <= int(classes.min()) <= int(classes.max()) < num_classes:
            raise ValueError(
                f"{name} must be classes from 0 to {num_classes - 1}, or {IGNORED} where nobody knows; got "
                f"{int(classes.min())} to {int(classes.max())}"
            )
    counts = torch.bincount(true * num_classes + found, minlength=num_classes**2)
    return counts.view(num_classes, num_classes).cpu().numpy()


def divided(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a quotient; NaN over 0."""
    zeros = np.asarray(other) == 0
    found: NDArray[np.float64] = np.where(zeros, np.nan, one / np.where(zeros, 1, other))
    return found


def class_iou(confusion: ArrayLike) -> NDArray[np.float64]:
    """Return intersection over union of each class, (…, C) of matrices (…, C, C); NaN of one that is nowhere."""
    counts = np.asarray(confusion, np.float64)
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    union = counts.sum(-1) + counts.sum(-2) - hits
    return divided(hits, union)


def mean_iou(confusion: ArrayLike) -> NDArray[np.float64]:
    """Return the mean intersection over union, (…) of matrices (…, C, C).

    Classes that are neither in the labels nor predicted are left out. NaN where no pixel was counted.
    """
    each = class_iou(confusion)
    known = ~np.isnan(each)
    return divided(np.where(known, each, 0.0).sum(-1), known.sum(-1))


def squared_errors(predicted: Tensor, depth: Tensor) -> tuple[float, int]:
    """Return the sum of squared errors of depths, and of how many pixels; a depth of 0 is not known, and left out.

    Raises:
        ValueError: the shapes differ.
    """
    if predicted.shape != depth.shape:
        raise ValueError(f"predicted and depth must have one shape, got {[*predicted.shape]} and {[*depth.shape]}")
    known = depth > 0
    errors = predicted[known].double() - depth[known].double()
    return float(errors.square().sum()), int(known.sum())


def relative_accuracy(possible: ArrayLike, impossible: ArrayLike) -> float:
    """Return the share of pairs (N,) in which what is possible surprises less than what is not.

    Raises:
        ValueError: there are no pairs, or not as many of both.
    """
    one, other = np.asarray(possible, np.float64), np.asarray(impossible, np.float64)
    if one.shape != other.shape or one.ndim != 1 or not len(one):
        raise ValueError(f"expected one score for each film of one or more pairs, got {one.shape} and {other.shape}")
    return float((one < other).mean())


def auroc(negatives: ArrayLike, positives: ArrayLike) -> NDArray[np.float64]:
    """Return the area under the receiver operating characteristic: the chance that a positive scores higher.

    Scores that are equal count half (Mann and Whitney, 1947).

    Args:
        negatives: (…, n) scores of one kind.
        positives: (…, m) scores of the other.

    Returns:
        (…).

    Raises:
        ValueError: there are none of one kind.
    """
    low, high = np.asarray(negatives, np.float64), np.asarray(positives, np.float64)
    n, m = (each.shape[-1] if each.ndim else 0 for each in (low, high))
    if not n or not m:
        raise ValueError(f"expected one or more scores of each kind, got {low.shape} and {high.shape}")
    ranks = rankdata(np.concatenate([low, high], -1), axis=-1)[..., n:]
    area: NDArray[np.float64] = (ranks.sum(-1) - m * (m + 1) / 2) / (n * m)
    return area


def over_clips(measure: Callable[..., NDArray[np.float64]], *of_clips: ArrayLike) -> Interval:
    """Return what a measure gives of the sums over clips, with its 95 % interval over resamples of the clips.

    The interval is the percentile bootstrap's (Efron 1979): clips are drawn with replacement, and all pixels of a clip
    with it. Of one clip, or one of which nothing is known, it is from NaN to NaN.

    Args:
        measure: of sums (…, *shape), one for each of ``of_clips``, to numbers (…).
        of_clips: arrays (N, *shape) that are added up over clips.
    """
    arrays = [np.asarray(array, np.float64) for array in of_clips]
    N = len(arrays[0])
    value = float(measure(*(array.sum(0) for array in arrays)))
    if N < 2 or np.isnan(value):
        return Interval(value, float("nan"), float("nan"))
    weights = np.random.default_rng(0).multinomial(N, np.full(N, 1 / N), _RESAMPLES).astype(np.float64)
    sums = [(weights @ array.reshape(N, -1)).reshape(_RESAMPLES, *array.shape[1:]) for array in arrays]
    low, high = np.nanquantile(measure(*sums), (0.025, 0.975))
    return Interval(value, float(low), float(high))
