"""Frames that nobody kept: drawn again, when they are asked for, from the states of one of our environments."""

import threading
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from ..envs import ENV_IDS
from ..envs.registration import is_goal_env
from .trajectory import Floats, Pixels, checked_indices

_Looks = tuple[int, tuple[tuple[str, bytes], ...]]


@dataclass(frozen=True, eq=False)
class DrawnFrames:
    """The frames of one trajectory, equal bit for bit to the ``pixels`` that an agent would see in its states.

    Each thread of each process makes the environment once and changes its looks only from one look to another, so
    that these travel to worker processes as no more than states.

    Distractors are the exception: a variation says how many there are and not where, so they lie at places that the
    trajectory's first state decides, always the same, and not where they lay when it was recorded.

    Args:
        env_id: an environment with goals that is registered here.
        states: (T, n), as the environment's ``get_state()`` gives them.
        image_size: side of the frames, pixels.
        variation: how this world looked, by name, as the environment's ``variation`` gives it; the rest is as usual.
        env_settings: what the environment was made with, since some of it shows in the frames.

    Raises:
        ValueError: an environment that is not ours; when frames are read, states or a variation that are not its.
    """

    env_id: str
    states: Floats = field(repr=False)  # (T, n)
    image_size: int = 64
    variation: Mapping[str, Floats] = field(default_factory=dict)
    env_settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not is_goal_env(self.env_id):
            raise ValueError(
                f"frames are drawn by {', '.join(ENV_IDS)}, and by environments that register_goal_env has registered; "
                f"not by {self.env_id!r}"
            )

    def __len__(self) -> int:
        return len(self.states)

    def read(self, indices: Sequence[int] | NDArray[np.integer[Any]]) -> Pixels:
        """Draw the frames with these indices, (len(indices), image_size, image_size, 3)."""
        drawn: Pixels = self._easel().draw(self.states[checked_indices(indices, len(self.states))])
        return drawn

    def _easel(self) -> Any:
        """Return this thread's environment, looking as this trajectory's did."""
        settings = dict(self.env_settings)
        key, looks = (self.env_id, self.image_size, repr(sorted(settings.items()))), self._looks()
        env, shown = _EASELS.made.get(key, (None, None))
        if env is None:
            # Without pixels of its own, since a reset would draw them; the size is that of what it draws for us.
            chosen = {**settings, "obs_type": "state", "image_size": self.image_size}
            made: Any = gym.make(self.env_id, disable_env_checker=True, **chosen)
            env = made.unwrapped
        if looks != shown:
            _EASELS.made.pop(key, None)  # should the reset fail, nobody knows how it looks
            env.reset(seed=looks[0], options={"variation": dict(self.variation)})
            _EASELS.made[key] = (env, looks)
        return env

    def _looks(self) -> _Looks:
        values = {name: np.asarray(value, dtype=np.float64) for name, value in self.variation.items()}
        scattered = bool(np.any(values.get("distractors", 0)))
        seed = zlib.crc32(np.ascontiguousarray(self.states[0]).tobytes()) if scattered and len(self.states) else 0
        return seed, tuple(sorted((name, value.tobytes()) for name, value in values.items()))


class _Easels(threading.local):
    """Environments to draw with: two threads must not change the looks of one."""

    def __init__(self) -> None:
        self.made: dict[tuple[str, int, str], tuple[Any, _Looks]] = {}


_EASELS = _Easels()
