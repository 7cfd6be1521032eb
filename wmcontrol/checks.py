"""Checks of settings: what was expected, what came."""

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, get_args


def check_whole(name: str, value: Any, least: int = 1) -> None:
    """Raise a ValueError unless ``value`` is a whole number from ``least`` up."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ValueError(f"{name} must be a whole number from {least} up, got {value!r}")


def check_number(name: str, value: Any, interval: str) -> None:
    """Raise a ValueError unless ``value`` is a number in an interval, such as ``"[0, 1)"``."""
    low, high = map(float, interval[1:-1].split(","))
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    at_open_end = is_number and ((value == low and interval[0] == "(") or (value == high and interval[-1] == ")"))
    if not is_number or not low <= value <= high or at_open_end:
        raise ValueError(f"{name} must be a number in {interval}, got {value!r}")


def check_choice(name: str, value: Any, choices: Any) -> None:
    """Raise a ValueError unless ``value`` is one of the strings of a Literal type."""
    if not isinstance(value, str) or value not in get_args(choices):
        raise ValueError(f"{name} must be one of {list(get_args(choices))}, got {value!r}")


def listed(names: Sequence[str]) -> str:
    """Return names for an error: all of them, or the first where there are many."""
    return ", ".join(names if len(names) <= 12 else (*names[:8], "…"))
