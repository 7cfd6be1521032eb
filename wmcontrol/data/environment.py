"""Our environments, as readers know them: what one says of itself, and frames of it that are drawn from states."""

import atexit
import threading
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from ..actions import ActionLayout
from ..checks import listed
from ..envs import ENV_IDS
from ..envs.making import make_one
from ..envs.registration import is_goal_env
from .frames import Frames, Pixels, checked_indices
from .trajectory import Floats

# Settings of how an environment is looked at or rewarded: the same actions do the same whatever they are.
_OF_VIEW = frozenset(("image_size", "obs_type", "render_mode", "render_size", "reward_type", "terminate_on_success"))
_Looks = tuple[int, tuple[tuple[str, bytes], ...]]


@dataclass(frozen=True)
class Environment:
    """An environment with goals, as it was made.

    Attributes:
        env_id: its Gymnasium id.
        settings: what it is made with, besides what is so by default.
        control_rate: actions per second, Hz.
        action_bounds: the lowest and the highest action, both (A,).
        state_labels: what the n numbers of a state are.
        length_unit: of those that are places.
        observed_variations: the variations whose values follow the state in the vector observation.
    """

    env_id: str
    settings: Mapping[str, Any]
    control_rate: float
    action_bounds: tuple[Floats, Floats]
    state_labels: tuple[str, ...]
    length_unit: str
    observed_variations: tuple[str, ...]

    @staticmethod
    def of(env_id: str | None, settings: Mapping[str, Any]) -> "Environment | None":
        """Make the environment and ask it; None where it is not one with goals that is registered here.

        Raises:
            ValueError: it cannot be made with these settings.
        """
        if not isinstance(settings, Mapping):
            raise ValueError(f"settings of an environment are names and values, got {settings!r}")
        if env_id is None or not is_goal_env(env_id):
            return None
        kept = world_settings(env_id, settings)
        env = make_one(env_id, {**kept, "obs_type": "state"})
        bounds = ActionLayout.of(env.action_space).bounds(env.action_space)
        env.close()
        labels, unit = env.state_labels, env.length_unit
        return Environment(env_id, kept, env.control_rate, bounds, labels, unit, env.observed_variations)

    def check_states(self, size: int, where: object) -> None:
        """Raise a ValueError that names ``where`` unless states of ``size`` numbers are this environment's."""
        labels = self.state_labels
        if size != len(labels):
            raise ValueError(
                f"{where}: a state of {self.env_id} has {len(labels)} numbers ({listed(labels)}), got {size}"
            )

    def check_actions(self, size: int, where: object) -> None:
        """Raise a ValueError that names ``where`` unless actions of ``size`` numbers are this environment's."""
        expected = len(self.action_bounds[0])
        if size != expected:
            raise ValueError(f"{where}: an action of {self.env_id} has {expected} numbers, got {size}")


def world_settings(env_id: str | None, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return those settings of an environment that decide what actions do, without what its id says anyway."""
    usual = gym.registry[env_id].kwargs if env_id in gym.registry else {}
    return {
        name: value
        for name, value in settings.items()
        if name not in _OF_VIEW and not (name in usual and usual[name] == value)
    }


@dataclass(frozen=True, eq=False)
class DrawnFrames(Frames):
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
            # At the interpreter's end it is too late for renderers and pymunk, and their own ends come last registered
            # first: this one must come before those that came with the environment.
            atexit.unregister(_EASELS.close)
            atexit.register(_EASELS.close)
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

    def close(self) -> None:
        """Close this thread's."""
        while self.made:
            self.made.popitem()[1][0].close()


_EASELS = _Easels()
