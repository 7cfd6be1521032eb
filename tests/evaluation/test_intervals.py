"""Intervals of shares and of their differences."""

import math

import numpy as np
import pytest
from naming import naming

from wmcontrol.evaluation import difference_over_seeds, paired_difference, seeds_and_tasks, wilson


def pairs(both: int, only_first: int, only_second: int, neither: int) -> tuple[list[bool], list[bool]]:
    first = [True] * (both + only_first) + [False] * (only_second + neither)
    second = [True] * both + [False] * only_first + [True] * only_second + [False] * neither
    return first, second


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    # Newcombe 1998, Statistics in Medicine 17, 857-872, table I.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilsons_interval_is_as_published(successes: int, trials: int, low: float, high: float) -> None:
    interval = wilson(successes, trials)
    assert interval.value == successes / trials
    assert interval.low == pytest.approx(low, abs=5e-5)
    assert interval.high == pytest.approx(high, abs=5e-5)


def test_ends_are_exact() -> None:
    assert wilson(0, 7).low == 0
    assert wilson(7, 7).high == 1
    assert str(wilson(1, 2)).startswith("50.0 % [")


def test_wilsons_ends_solve_the_score_equation() -> None:
    interval = wilson(37, 60)
    for end in (interval.low, interval.high):
        score = abs(37 / 60 - end) / math.sqrt(end * (1 - end) / 60)
        assert score == pytest.approx(1.959964, abs=1e-6)


def test_newcombes_interval_corrects_the_correlation_for_continuity() -> None:
    interval = paired_difference(*pairs(20, 12, 2, 16))
    assert interval.value == pytest.approx(0.2)
    # By hand: Wilson's (0.5014, 0.7586) and (0.3116, 0.5769), phi = (320 - 24 - 25) / sqrt(32 * 22 * 18 * 28) = 0.4550.
    assert (interval.low, interval.high) == pytest.approx((0.0562, 0.3292), abs=5e-5)


def test_without_discordant_pairs_the_difference_is_around_zero() -> None:
    interval = paired_difference(*pairs(30, 0, 0, 20))
    assert interval.value == 0
    assert interval.low == pytest.approx(-interval.high)


def test_the_other_way_round_is_the_negative() -> None:
    first, second = pairs(20, 12, 2, 16)
    one, other = paired_difference(first, second), paired_difference(second, first)
    assert one.value == pytest.approx(0.2)
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))
    assert 0 < one.low < 0.2 < one.high


def test_pairing_narrows_the_interval_where_agents_agree() -> None:
    alike = paired_difference(*pairs(40, 10, 5, 45))
    apart = paired_difference(*pairs(25, 25, 20, 30))  # the same shares, unrelated
    assert alike.value == apart.value
    assert alike.high - alike.low < 0.7 * (apart.high - apart.low)


@pytest.mark.parametrize("cells", [(0.5, 0.2, 0.1, 0.2), (0.05, 0.02, 0.1, 0.83), (0.9, 0.05, 0.03, 0.02)])
def test_intervals_cover_the_truth_as_often_as_they_say(cells: tuple[float, ...]) -> None:
    drawn = np.random.default_rng(0).multinomial(100, cells, size=2000)
    truth, covered = cells[1] - cells[2], 0
    for counts in drawn.tolist():
        interval = paired_difference(*pairs(*counts))
        covered += interval.low <= truth <= interval.high
    assert 0.93 < covered / 2000 < 0.99


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match=naming(3, 2)):
        wilson(3, 2)
    with pytest.raises(ValueError, match=naming(0)):
        wilson(0, 0)
    with pytest.raises(ValueError, match="trials"):
        paired_difference([True], [True, False])
    with pytest.raises(ValueError, match="trials"):
        paired_difference([], [])


def test_variance_of_seeds_and_tasks_is_that_of_two_way_analysis() -> None:
    """By hand: three seeds, four tasks; seeds' means 1/2, 3/4, 1/4, tasks' means 1, 2/3, 1/3, 0."""
    outcomes = [[True, True, False, False], [True, True, True, False], [True, False, False, False]]
    # Sums of squares about the mean 1/2: seeds 4 * 2/16, tasks 3 * (2/4 + 2/36), all 12/4; the rest is what is left.
    of_seeds, of_tasks = 1 / 2 / 2, 3 * (1 / 2 + 1 / 18) / 3
    rest = (3 - 1 / 2 - 5 / 3) / 6
    total = of_seeds + of_tasks - rest
    freedom = total**2 / (of_seeds**2 / 2 + of_tasks**2 / 3 + rest**2 / 6)
    assert freedom == pytest.approx(3.236, abs=0.001)
    trials, quantile = 0.25 / (total / 12), 3.0551  # Student's, of 3.236 degrees of freedom
    half = quantile * math.sqrt(0.25 / trials + quantile**2 / (4 * trials**2)) / (1 + quantile**2 / trials)
    interval = seeds_and_tasks(outcomes)
    assert interval.value == 0.5
    assert (interval.low, interval.high) == pytest.approx((0.5 - half, 0.5 + half), abs=1e-4)


def test_one_seed_is_wilsons_and_newcombes() -> None:
    first, second = pairs(20, 12, 2, 16)
    assert seeds_and_tasks([first]) == wilson(32, 50)
    assert difference_over_seeds([first], [second]) == paired_difference(first, second)


def test_seeds_that_agree_count_once_and_seeds_that_differ_widen() -> None:
    tasks = [True] * 30 + [False] * 20
    assert seeds_and_tasks([tasks] * 3).low == pytest.approx(wilson(30, 50).low, abs=0.01)
    assert seeds_and_tasks([[True] * 50] * 3) == wilson(50, 50)
    good, bad = [True] * 45 + [False] * 5, [True] * 15 + [False] * 35
    wide = seeds_and_tasks([good, tasks, bad])
    assert wide.value == pytest.approx(0.6)
    assert wide.high - wide.low > 0.6  # three models tell little of a fourth
    assert difference_over_seeds([good, bad], [good, bad]) == paired_difference(good, good)


def crossed(rng: np.random.Generator, share: float, of_seed: float, of_task: float) -> np.ndarray:
    """Draw outcomes of 3 seeds and 100 tasks whose chances are the sum of a seed's and a task's."""
    chances = share + of_seed * rng.normal(size=(3, 1)) + of_task * rng.uniform(-1, 1, size=(1, 100))
    return rng.random((3, 100)) < chances.clip(0, 1)


@pytest.mark.parametrize(("of_seed", "of_task"), [(0.0, 0.0), (0.0, 0.4), (0.05, 0.4), (0.1, 0.0)])
def test_intervals_over_seeds_and_tasks_cover_the_truth(of_seed: float, of_task: float) -> None:
    rng = np.random.default_rng(0)
    shares = differences = 0
    for _ in range(400):
        first, second = crossed(rng, 0.5, of_seed, of_task), crossed(rng, 0.5, of_seed, of_task)
        share, difference = seeds_and_tasks(first.tolist()), difference_over_seeds(first.tolist(), second.tolist())
        shares += share.low <= 0.5 <= share.high
        differences += difference.low <= 0 <= difference.high
    assert shares / 400 > 0.91
    assert differences / 400 > 0.91
    if of_seed == 0:  # and they are no wider than they must be
        assert share.high - share.low < 0.26


def test_seeds_of_other_tasks_are_refused() -> None:
    for wrong in ([], [[]], [[True], [True, False]]):
        with pytest.raises(ValueError, match="tasks"):
            seeds_and_tasks(wrong)
    with pytest.raises(ValueError, match="seeds"):
        difference_over_seeds([[True], [False]], [[True]])
