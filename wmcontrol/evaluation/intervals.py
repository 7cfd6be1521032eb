"""Intervals for shares of successes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

_Z = 1.959963984540054  # two-sided, 95 %


@dataclass(frozen=True)
class Interval:
    """A share or a difference of shares, and its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{100 * self.value:.1f} % [{100 * self.low:.1f}, {100 * self.high:.1f}]"


def wilson(successes: int, trials: int) -> Interval:
    """Return the share of successes with Wilson's score interval (Wilson 1927).

    Raises:
        ValueError: no trials, or more successes than trials.
    """
    if trials < 1 or not 0 <= successes <= trials:
        raise ValueError(f"successes must be from 0 to the number of trials, 1 or more; got {successes} of {trials}")
    share, z2 = successes / trials, _Z**2
    centre = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = _Z * math.sqrt(share * (1 - share) / trials + z2 / (4 * trials**2)) / (1 + z2 / trials)
    # At the ends the formula gives the share itself, but for rounding.
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == trials else centre + half
    return Interval(share, low, high)


def paired_difference(first: Sequence[bool], second: Sequence[bool]) -> Interval:
    """Return by how much the first share is over the second, both of the same trials in the same order.

    The interval is Newcombe's, from the two Wilson intervals and the correlation of the pairs with a correction for
    continuity (method 10 of Newcombe 1998, Statistics in Medicine 17, 2635-2650).

    Raises:
        ValueError: no trials, or not equally many.
    """
    n = len(first)
    if n == 0 or len(second) != n:
        raise ValueError(f"both must have the same trials, one or more; got {n} and {len(second)}")
    pairs = [(bool(a), bool(b)) for a, b in zip(first, second, strict=True)]
    both, neither = pairs.count((True, True)), pairs.count((False, False))
    only_first, only_second = pairs.count((True, False)), pairs.count((False, True))
    one, other = wilson(both + only_first, n), wilson(both + only_second, n)
    phi = _correlation(both, only_first, only_second, neither)
    value = (only_first - only_second) / n
    return Interval(
        value,
        value - _combined(one.value - one.low, other.high - other.value, phi),
        value + _combined(one.high - one.value, other.value - other.low, phi),
    )


def _correlation(both: int, only_first: int, only_second: int, neither: int) -> float:
    margins = (both + only_first) * (both + only_second) * (neither + only_first) * (neither + only_second)
    if margins == 0:
        return 0.0
    n = both + only_first + only_second + neither
    product = both * neither - only_first * only_second
    return (max(product - n / 2, 0.0) if product > 0 else product) / math.sqrt(margins)


def _combined(one: float, other: float, phi: float) -> float:
    return math.sqrt(max(one**2 - 2 * phi * one * other + other**2, 0.0))
