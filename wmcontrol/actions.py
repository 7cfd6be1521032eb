"""Actions of any space as vectors of real numbers, in which they are recorded, imagined and planned.

A box of any shape is flattened. A choice is one-hot: 1 for what is chosen, 0 for the others; several choices stand one
after another.

Letters: ``a`` numbers in the vector of an action.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import prod
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from .untrusted import Integer, ListOf, Record

_NUMBERS = ListOf(Integer(low=-(2**31), high=2**31))
LAYOUT = Record(dict.fromkeys(("shape", "choices", "start"), _NUMBERS))  # what files have of it
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ActionLayout:
    """How an environment's actions lie in vectors.

    Args:
        shape: of an action in the environment, ``()`` for a single number.
        choices: between how many values each of its numbers chooses; none for a box.
        start: the least value of each choice; 0 for all by default.
    """

    shape: tuple[int, ...]
    choices: tuple[int, ...] = ()
    start: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for name in ("shape", "choices", "start"):
            object.__setattr__(self, name, tuple(int(number) for number in getattr(self, name)))
        if self.choices and not self.start:
            object.__setattr__(self, "start", (0,) * len(self.choices))
        if len(self.start) != len(self.choices) or (self.choices and len(self.choices) != prod(self.shape)):
            raise ValueError(
                f"an action of shape {self.shape} has {prod(self.shape)} numbers; got choices {self.choices} "
                f"that start at {self.start}"
            )
        if min(self.shape, default=1) < 1 or min(self.choices, default=1) < 1:
            raise ValueError(f"an action must have one number or more, and each something to choose; got {self}")

    @staticmethod
    def of(space: object) -> "ActionLayout":
        """Return that of an action space.

        Raises:
            TypeError: it is neither a Box of floating-point numbers, nor Discrete, MultiDiscrete or MultiBinary.
        """
        if isinstance(space, gym.spaces.Box) and np.issubdtype(space.dtype, np.floating) and 0 not in space.shape:
            return ActionLayout(space.shape)
        if isinstance(space, gym.spaces.Discrete):
            return ActionLayout((), (int(space.n),), (int(space.start),))
        if isinstance(space, gym.spaces.MultiDiscrete):
            return ActionLayout(space.shape, tuple(space.nvec.flat), tuple(space.start.flat))
        if isinstance(space, gym.spaces.MultiBinary):
            return ActionLayout(space.shape, (2,) * int(np.prod(space.shape)))
        raise TypeError(
            f"actions must be a Box of floating-point numbers, Discrete, MultiDiscrete or MultiBinary, got {space}; "
            "gymnasium.wrappers.TransformAction makes such actions of others, where that has a meaning"
        )

    @property
    def size(self) -> int:
        """How many numbers the vector of an action has, a."""
        return sum(self.choices) if self.choices else prod(self.shape)

    @property
    def is_vector(self) -> bool:
        """Whether actions are vectors of real numbers already."""
        return not self.choices and len(self.shape) == 1

    def bounds(self, space: Any) -> tuple[Floats, Floats]:
        """Return the lowest and the highest vector of an action of a space of this layout, (a,) each."""
        if self.choices:
            return np.zeros(self.size), np.ones(self.size)
        return np.array(space.low, np.float64).ravel(), np.array(space.high, np.float64).ravel()

    def to_vectors(self, actions: Any) -> NDArray[Any]:
        """Turn actions (…, *shape) into vectors (…, a).

        Raises:
            ValueError: they have another shape, are no numbers, or choose what there is not.
        """
        given = np.asarray(actions)
        batch = given.shape[: given.ndim - len(self.shape)]
        if given.shape != (*batch, *self.shape):
            raise ValueError(f"actions must have shape {self.shape}, or more axes before these; got {given.shape}")
        if given.dtype.kind not in "fiub":
            raise ValueError(f"actions must be numbers, got {given.dtype}")
        if not self.choices:
            return np.asarray(given.reshape(*batch, self.size))
        chosen = given.reshape(*batch, len(self.choices)) - np.array(self.start)
        if given.dtype.kind not in "iub" and (chosen % 1 != 0).any():
            raise ValueError(f"actions must be whole numbers, got {given.tolist()}")
        wrong = (chosen < 0) | (chosen >= self.choices)
        if wrong.any():
            number = int(np.argwhere(wrong)[0][-1])
            least = self.start[number]
            raise ValueError(
                f"number {number} of actions must be from {least} to {least + self.choices[number] - 1}, got "
                f"{chosen[wrong][0] + least}"
            )
        parts = [chosen[..., i, None] == np.arange(n) for i, n in enumerate(self.choices)]
        return np.concatenate(parts, -1).astype(np.float64)

    def to_actions(self, vectors: NDArray[Any]) -> NDArray[Any]:
        """Turn vectors (…, a) into actions (…, *shape): whole numbers, of the largest of each choice, or as they are.

        Raises:
            ValueError: the vectors have another size.
        """
        if vectors.shape[-1] != self.size:
            raise ValueError(f"the vector of an action must have {self.size} numbers, got {vectors.shape[-1]}")
        batch = vectors.shape[:-1]
        if not self.choices:
            return np.asarray(vectors.reshape(*batch, *self.shape))
        parts = np.split(vectors, np.cumsum(self.choices)[:-1], -1)
        chosen = np.stack([part.argmax(-1) for part in parts], -1) + np.array(self.start)
        return np.asarray(chosen.reshape(*batch, *self.shape))

    def for_env(self, space: gym.Space[Any], vectors: NDArray[Any]) -> list[Any]:
        """Return the actions of vectors (N, a) as an environment with this space takes them, one by one."""
        actions = self.to_actions(vectors).astype(space.dtype)
        # A single choice is a number, which environments look up; all else is an array.
        return [action if self.choices else np.asarray(action) for action in actions]

    def as_json(self) -> dict[str, list[int]] | None:
        """Return it as JSON has it; None for vectors, for which nothing need be said."""
        return None if self.is_vector else {name: list(value) for name, value in asdict(self).items()}

    @staticmethod
    def from_json(described: Mapping[str, Sequence[int]] | None, size: int) -> "ActionLayout":
        """Return what ``as_json`` described, of actions whose vectors have ``size`` numbers.

        Raises:
            ValueError: it is of another size, or contradicts itself.
        """
        layout = ActionLayout((size,)) if described is None else ActionLayout(**described)  # type: ignore[arg-type]
        if layout.size != size:
            raise ValueError(f"actions have vectors of {size} numbers, their layout {dict(described or {})} others")
        return layout


def draw_actions(space: gym.Space[Any], count: int, rng: np.random.Generator) -> NDArray[Any]:
    """Draw actions (count, *shape) uniformly.

    Raises:
        ValueError: the space has no bounds.
    """
    layout = ActionLayout.of(space)
    if layout.choices:
        drawn = rng.integers(layout.choices, size=(count, len(layout.choices))) + np.array(layout.start)
        return np.asarray(drawn.reshape(count, *layout.shape))
    assert isinstance(space, gym.spaces.Box)
    if not space.is_bounded():
        raise ValueError(f"actions must have bounds to be drawn between, got {space}")
    low, high = space.low.astype(np.float64), space.high.astype(np.float64)
    return np.asarray(rng.uniform(low, high, (count, *space.shape)))
