"""Checks of settings: what was expected, what came."""

from typing import Any, get_args

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray


def check_choice(name: str, value: object, choices: Any) -> None:
    """Raise a ValueError unless ``value`` is one of the choices of a Literal type."""
    if not isinstance(value, str) or value not in get_args(choices):
        raise ValueError(f"{name} must be one of {list(get_args(choices))}, got {value!r}")


def check_positive(name: str, value: object) -> None:
    """Raise a ValueError unless ``value`` is a positive whole number."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ValueError(f"{name} must be a positive whole number, got {value!r}")


def check_number(name: str, value: object, low: float, high: float) -> float:
    """Return ``value`` as a float, or raise a ValueError unless it is a number with ``low < value <= high``."""
    if isinstance(value, (int, float, np.integer, np.floating)) and low < value <= high:
        return float(value)
    raise ValueError(f"{name} must be a number over {low:g} and at most {high:g}, got {value!r}")


def check_actions(space: object) -> gym.spaces.Box:
    """Return an environment's action space, or raise a TypeError unless it is one that actions can be planned in."""
    if isinstance(space, gym.spaces.Box) and len(space.shape) == 1 and np.issubdtype(space.dtype, np.floating):
        return space
    raise TypeError(
        f"actions must be a Box of floating-point numbers of shape (a,), got {space}; "
        "gymnasium.wrappers.TransformAction makes such actions of others, where that has a meaning"
    )


def as_numbers(name: str, value: object) -> NDArray[np.float64]:
    """Return ``value`` as an array of floats, or raise a ValueError that shows it."""
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:  # ragged lists; tensors that need gradients
        raise ValueError(f"{name} must be an array of numbers: {error}") from None
    if array.dtype.kind not in "fiu":
        raise ValueError(f"{name} must be an array of numbers, got {value!r}")
    return array.astype(float)
