"""What about an environment may vary from episode to episode, and how a user asks for it.

Off by default. ``reset(options={"variation": …})``, for one episode, and the setting ``variation``, for all of them,
take

- ``"all"``: every variation is drawn within its range,
- a sequence of names: those are drawn,
- a mapping of names to values, or to ``"random"`` to have one drawn.

Draws come from the environment's own generator, so the same seed gives the same look. Each is drawn by itself: colours
may come out so close to one another that an agent is hard to see, as they may in the world.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = dict[str, NDArray[np.float64]]


@dataclass(frozen=True, kw_only=True)
class Variation:
    """One thing that may vary: ``low <= value <= high``, ``default`` when nothing is asked."""

    low: NDArray[np.float64]  # (k,)
    high: NDArray[np.float64]  # (k,)
    default: NDArray[np.float64]  # (k,)
    unit: str
    integer: bool = False

    def draw(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """Draw a value uniformly within the range, shape (k,)."""
        if self.integer:
            return rng.integers(self.low.astype(int), self.high.astype(int), endpoint=True).astype(float)
        return rng.uniform(self.low, self.high)

    def check(self, name: str, value: object) -> NDArray[np.float64]:
        """Return ``value`` as an array of shape (k,), or raise a ValueError that names the range."""
        try:
            array = np.atleast_1d(np.asarray(value, dtype=float))
        except (TypeError, ValueError):
            array = np.zeros(0)
        slack = 1e-6 * (self.high - self.low)  # for bounds that went through single precision
        inside = array.shape == self.low.shape and np.all((array >= self.low - slack) & (array <= self.high + slack))
        if not inside or (self.integer and np.any(array % 1)):
            raise ValueError(
                f'options["variation"]["{name}"] must be {self.low.size} number(s) from {self.low.tolist()} to '
                f"{self.high.tolist()} ({self.unit}), got {value!r}"
            )
        return np.asarray(np.clip(array, self.low, self.high))


def scalar(low: float, high: float, default: float, unit: str, integer: bool = False) -> Variation:
    """Make a variation of one number."""
    low_, high_, default_ = (np.array([float(v)]) for v in (low, high, default))
    return Variation(low=low_, high=high_, default=default_, unit=unit, integer=integer)


def color(default: tuple[int, int, int]) -> Variation:
    """Make a variation of one colour."""
    return Variation(low=np.zeros(3), high=np.full(3, 255.0), default=np.array(default, float), unit="RGB, 0 to 255")


# Where the camera looks and what lies on the floor vary in every environment; distractors have no effect on physics.
CAMERA_AND_DISTRACTORS = {
    "camera_offset": Variation(
        low=np.full(2, -0.1), high=np.full(2, 0.1), default=np.zeros(2), unit="fractions of the frame"
    ),
    "distractors": scalar(0, 8, 0, "shapes", integer=True),
}


def resolve(
    asked: object, variations: Mapping[str, Variation], rng: np.random.Generator, redrawn: Collection[str] = ()
) -> Values:
    """Turn what a user asked into a value for every variation.

    Args:
        asked: what stands in ``options["variation"]``, or None.
        variations: what the environment can vary.
        rng: the environment's generator, for the values that are to be drawn.
        redrawn: the names of those that are drawn unless a value is asked for.

    Raises:
        ValueError: an unknown name, or a value outside its range.
        TypeError: ``asked`` is none of the three forms above.
    """
    requests: Mapping[str, object]
    if asked is None:
        requests = {}
    elif isinstance(asked, Mapping):
        requests = asked
    elif isinstance(asked, str):
        requests = dict.fromkeys(variations if asked == "all" else [asked], "random")
    elif isinstance(asked, Sequence) and all(isinstance(name, str) for name in asked):
        requests = dict.fromkeys(asked, "random")
    else:
        raise TypeError(
            'options["variation"] must be "all", a sequence of names, or a mapping of names to values or '
            f'"random", got {asked!r}'
        )
    unknown = [name for name in requests if name not in variations]
    if unknown:
        raise ValueError(f'options["variation"] has unknown {unknown}; this environment has {sorted(variations)}')
    # In the order of the environment, not of the request: the order of draws is part of what a seed means.
    values = {}
    for name, variation in variations.items():
        value = requests.get(name)
        if (value is None and name in redrawn) or (isinstance(value, str) and value == "random"):
            values[name] = variation.draw(rng)
        elif value is None:
            values[name] = variation.default.copy()
        else:
            values[name] = variation.check(name, value)
    return values
