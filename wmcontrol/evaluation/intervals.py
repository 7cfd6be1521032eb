"""Intervals for shares of successes: over tasks, and over tasks and training seeds.

Letters: ``S`` training seeds, ``N`` tasks, which all models were evaluated on.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student_t

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
    return _wilson(successes / trials, trials, _Z)


def _wilson(share: float, trials: float, z: float) -> Interval:
    centre = (share + z**2 / (2 * trials)) / (1 + z**2 / trials)
    half = z * math.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2)) / (1 + z**2 / trials)
    # At the ends the formula gives the share itself, but for rounding.
    return Interval(share, 0.0 if share == 0 else centre - half, 1.0 if share == 1 else centre + half)


def seeds_and_tasks(successes: Sequence[Sequence[bool]]) -> Interval:
    """Return the share of successes of models that differ in the training seed, all evaluated on the same tasks.

    Seeds and tasks are both taken for draws: the variance of the share is that of the crossed random-effects model
    (Cornfield & Tukey 1956), with Satterthwaite's degrees of freedom (1946). The interval is Wilson's, with the number
    of independent trials that has this variance, and Student's quantile in place of the normal one. With one seed it is
    :func:`wilson`, of tasks alone.

    Args:
        successes: (S, N).

    Raises:
        ValueError: no tasks, or not equally many for all seeds.
    """
    outcomes = _outcomes(successes)
    seeds, tasks = outcomes.shape
    share = float(outcomes.mean())
    if seeds == 1 or share in (0.0, 1.0):  # seeds that agree on all add nothing to what tasks tell
        return wilson(int(outcomes[0].sum()), tasks)
    variance, freedom = _crossed(outcomes)
    return _wilson(share, share * (1 - share) / variance, float(student_t.ppf(0.975, freedom)))


def difference_over_seeds(first: Sequence[Sequence[bool]], second: Sequence[Sequence[bool]]) -> Interval:
    """Return by how much the first share is over the second: of the same seeds and the same tasks, in the same order.

    The variance is that of :func:`seeds_and_tasks`, of the differences; the interval Student's. With one seed it is
    :func:`paired_difference`.

    Args:
        first: (S, N).
        second: (S, N).

    Raises:
        ValueError: no tasks, or the shapes differ.
    """
    one, other = _outcomes(first), _outcomes(second)
    if one.shape != other.shape:
        raise ValueError(f"both must have the same seeds and tasks, got {one.shape} and {other.shape}")
    if len(one) == 1 or bool((one == other).all()):
        return paired_difference(one[0].tolist(), other[0].tolist())
    differences = one.astype(float) - other
    variance, freedom = _crossed(differences)
    value, half = float(differences.mean()), float(student_t.ppf(0.975, freedom)) * math.sqrt(variance)
    return Interval(value, max(value - half, -1.0), min(value + half, 1.0))


def _outcomes(successes: Sequence[Sequence[bool]]) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    lengths = {len(of_seed) for of_seed in successes}
    if len(lengths) != 1 or lengths == {0}:
        raise ValueError(f"all seeds must have the same tasks, one or more; got {sorted(lengths)}")
    return np.array(successes, bool)


def _crossed(values: np.ndarray[tuple[int, int], np.dtype[np.generic]]) -> tuple[float, float]:
    """Return the variance of the mean of values (S, N), over seeds and tasks, and its degrees of freedom."""
    values = values.astype(float)
    S, N = values.shape
    by_seed, by_task = values.mean(1, keepdims=True), values.mean(0, keepdims=True)
    rest = values - by_seed - by_task + values.mean()
    degrees = {"seed": S - 1, "task": max(N - 1, 1), "rest": (S - 1) * max(N - 1, 1)}
    mean_squares = {
        "seed": N * float(by_seed.var()) * S / degrees["seed"],
        "task": S * float(by_task.var()) * N / degrees["task"],
        "rest": float((rest**2).sum()) / degrees["rest"],
    }
    # A component of variance that comes out below zero is zero.
    kept = [name for name in ("seed", "task") if mean_squares[name] > mean_squares["rest"]] or ["rest"]
    signed = {name: mean_squares[name] for name in kept}
    if len(kept) == 2:
        signed["rest"] = -mean_squares["rest"]
    total = sum(signed.values())
    freedom = total**2 / sum(value**2 / degrees[name] for name, value in signed.items())
    return total / (S * N), freedom


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
