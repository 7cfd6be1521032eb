"""Metrics: cases worked by hand, and scikit-learn's answers."""

import numpy as np
import pytest
import torch
from naming import naming

from wmcontrol.forecasting import (
    auroc,
    class_iou,
    confusion_matrix,
    mean_iou,
    over_clips,
    relative_accuracy,
    squared_errors,
)


def test_mean_iou_of_a_case_worked_by_hand() -> None:
    labels = torch.tensor([[0, 0, 1], [1, 255, 2]])
    predicted = torch.tensor([[0, 1, 1], [1, 0, 0]])
    found = confusion_matrix(predicted, labels, 5)
    assert found[:3, :3].tolist() == [[1, 1, 0], [0, 2, 0], [1, 0, 0]]
    assert found.sum() == 5  # the pixel labelled 255 is nowhere
    # Class 0: 1 hit of 2 labelled and 2 predicted, 1/3. Class 1: 2 of 3. Class 2: none of 1. 3 and 4 are nowhere.
    assert np.allclose(class_iou(found)[:3], [1 / 3, 2 / 3, 0])
    assert np.isnan(class_iou(found)[3:]).all()
    assert mean_iou(found) == pytest.approx(1 / 3)


def test_iou_is_scikit_learns() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    generator = torch.Generator().manual_seed(0)
    labels, predicted = (torch.randint(6, (40, 30), generator=generator) for _ in range(2))
    found = confusion_matrix(predicted, labels, 7)  # a seventh class is nowhere
    expected = metrics.jaccard_score(labels.flatten(), predicted.flatten(), average=None)
    assert np.allclose(class_iou(found)[:6], expected)
    assert mean_iou(found) == pytest.approx(expected.mean())
    assert (found[:6, :6] == metrics.confusion_matrix(labels.flatten(), predicted.flatten())).all()


def test_classes_that_there_are_not_are_refused() -> None:
    good, bad = torch.zeros(3, dtype=torch.int64), torch.tensor([0, 1, 9])
    with pytest.raises(ValueError, match=naming("labels", 9)):
        confusion_matrix(good, bad, 5)
    with pytest.raises(ValueError, match=naming("predicted", 9)):
        confusion_matrix(bad, good, 5)
    with pytest.raises(ValueError, match="shape"):
        confusion_matrix(good, bad[:2], 5)


def test_errors_of_depth_leave_out_pixels_of_unknown_depth() -> None:
    total, count = squared_errors(torch.tensor([1.0, 5.0, 9.0]), torch.tensor([3.0, 4.0, 0.0]))
    assert (total, count) == (5.0, 2)


def test_relative_accuracy_counts_pairs() -> None:
    assert relative_accuracy([1.0, 2.0, 3.0, 1.0], [2.0, 1.0, 3.0, 4.0]) == 0.5  # a tie is no success
    with pytest.raises(ValueError, match="pairs"):
        relative_accuracy([1.0], [1.0, 2.0])


def test_auroc_of_a_case_worked_by_hand_and_scikit_learns() -> None:
    assert auroc([1.0, 2.0], [2.0, 3.0]) == (0.5 + 1 + 1 + 1) / 4
    metrics = pytest.importorskip("sklearn.metrics")
    scores = np.random.default_rng(0).integers(9, size=50)
    positive = np.arange(50) % 3 == 0
    assert auroc(scores[~positive], scores[positive]) == pytest.approx(metrics.roc_auc_score(positive, scores))


def test_intervals_are_of_clips_not_of_pixels() -> None:
    rng = np.random.default_rng(1)
    per_clip = rng.normal(2, 1, 400)
    sums, counts = per_clip * 1e6, np.full(400, 1e6)  # a million pixels each
    found = over_clips(lambda total, count: total / count, sums, counts)
    assert found.value == pytest.approx(per_clip.mean())
    assert found.high - found.low == pytest.approx(2 * 1.96 / 20, rel=0.15)
    assert np.isnan(over_clips(lambda total, count: total / count, sums[:1], counts[:1]).low)
