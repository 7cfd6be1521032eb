"""Checks of settings: what was expected, what came."""

from collections.abc import Sequence
from dataclasses import MISSING, field, fields
from functools import partial
from math import inf
from numbers import Integral, Real
from typing import Any, get_args

import numpy as np


def check_whole(name: str, value: Any, least: int = 1, most: float = inf) -> None:
    """Raise a ValueError unless ``value`` is a whole number from ``least`` to ``most``."""
    if isinstance(value, bool) or not isinstance(value, Integral) or not least <= int(value) <= most:
        limits = f"from {least} up" if most == inf else f"from {least} to {most}"
        raise ValueError(f"{name} must be a whole number {limits}, got {value!r}")


def check_number(name: str, value: Any, interval: str) -> None:
    """Raise a ValueError unless ``value`` is a number in an interval, such as ``"[0, 1)"``."""
    low, high = map(float, interval[1:-1].split(","))
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    at_open_end = is_number and ((value == low and interval[0] == "(") or (value == high and interval[-1] == ")"))
    if not is_number or not low <= value <= high or at_open_end:
        raise ValueError(f"{name} must be a number in {interval}, got {value!r}")


def check_choice(name: str, value: Any, choices: Any) -> None:
    """Raise a ValueError unless ``value`` is one of the strings of a Literal type, or of a sequence."""
    names = list(get_args(choices) or choices)
    if not isinstance(value, str) or value not in names:
        raise ValueError(f"{name} must be one of {names}, got {value!r}")


def check_boolean(name: str, value: Any) -> None:
    """Raise a ValueError unless ``value`` is True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"{name} must be True or False, got {value!r}")


def check_type(name: str, value: Any, kind: type) -> None:
    """Raise a TypeError unless ``value`` is of a class."""
    if not isinstance(value, kind):
        raise TypeError(f"{name}: expected {kind.__name__}(…), got {value!r}")


def whole(default: Any = MISSING, least: int = 1, most: float = inf) -> Any:
    """Return a dataclass's field: a whole number from ``least`` to ``most``, or None if that is the default."""
    return field(default=default, metadata={"check": partial(check_whole, least=least, most=most)})


def number(default: float, interval: str, *, optional: bool = False) -> Any:
    """Return a dataclass's field that must be a number in an interval, or if ``optional`` None."""
    return field(default=default, metadata={"check": partial(check_number, interval=interval), "optional": optional})


def choice(default: str, choices: Any) -> Any:
    """Return a dataclass's field that must be one of the strings of a Literal type, or of a sequence."""
    return field(default=default, metadata={"check": partial(check_choice, choices=choices)})


def boolean(default: bool | None) -> Any:
    """Return a dataclass's field that must be True or False, or None if that is the default."""
    return field(default=default, metadata={"check": check_boolean})


def check_fields(settings: Any) -> None:
    """Check a dataclass's fields that :func:`whole` and its like made; NumPy's numbers become Python's, as JSON needs.

    Raises:
        ValueError: one is not what it must be; it is named.
    """
    for each in fields(settings):
        value = getattr(settings, each.name)
        optional = each.default is None or each.metadata.get("optional", False)
        if "check" in each.metadata and not (value is None and optional):
            each.metadata["check"](each.name, value)
            if isinstance(value, np.generic):
                object.__setattr__(settings, each.name, value.item())


def listed(names: Sequence[str]) -> str:
    """Return names for an error: all of them, or the first where there are many."""
    return ", ".join(names if len(names) <= 12 else (*names[:8], "…"))
