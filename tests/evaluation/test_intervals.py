"""Intervals of shares and of their differences."""

import math

import numpy as np
import pytest

from wmcontrol.evaluation import paired_difference, wilson


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
    with pytest.raises(ValueError, match="3 of 2"):
        wilson(3, 2)
    with pytest.raises(ValueError, match="0 of 0"):
        wilson(0, 0)
    with pytest.raises(ValueError, match="same trials"):
        paired_difference([True], [True, False])
    with pytest.raises(ValueError, match="same trials"):
        paired_difference([], [])
