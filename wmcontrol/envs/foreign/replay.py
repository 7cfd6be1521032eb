"""An environment whose state can be read and not set: it is led there again."""

from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from ...actions import ActionLayout
from ..canvas import Floats
from ..goal_core import as_numbers
from ..registration import GetState

_EXACT = 1e-6  # of its largest number, or of 1: how far from a state the way to it may end


class Replayed(gym.Env[Any, Any]):
    """An environment that is put into a state by its seed and the actions that led there.

    A state is what can be read of it, ``m`` numbers, followed by how it came about: the seed of the episode, how many
    actions there were, and these, with zeros up to ``num_actions`` of them. Setting a state takes as long as the steps
    to it; a state that lies further on the way of the last one takes only the steps in between.

    Args:
        env: which; the same seed and the same actions must lead to the same state.
        get: reads the ``m`` numbers of the unwrapped environment.
        num_actions: of the longest episode.
    """

    def __init__(self, env: gym.Env[Any, Any], get: GetState, num_actions: int):
        self._env, self._get, self._num_actions = env, get, num_actions
        self.action_space, self.observation_space = env.action_space, env.observation_space
        self.metadata, self.render_mode = env.metadata, env.render_mode
        self.dt = getattr(env.unwrapped, "dt", None)
        self._layout = ActionLayout.of(env.action_space)
        self._seed, self._actions = 0, [np.zeros(0)][:0]  # the latter as vectors

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Begin an episode with this seed."""
        self._seed, self._actions = seed or 0, []
        return self._env.reset(seed=self._seed, options=options)

    def step(self, action: NDArray[Any]) -> Any:
        """Do what the environment does, and remember it."""
        self._actions.append(self._layout.to_vectors(action))
        return self._env.step(action)

    def render(self) -> Any:
        """Draw it as it is now."""
        return self._env.render()

    def close(self) -> None:
        """Close it."""
        self._env.close()

    def read(self) -> Floats:
        """Return the numbers (m,) that can be read."""
        found = as_numbers("the state", self._get(self._env.unwrapped))
        if found.ndim != 1:
            raise ValueError(f"a state must be a vector, got shape {found.shape}")
        return found.copy()

    def get_state(self) -> Floats:
        """Return the state.

        Raises:
            ValueError: the episode is longer than states have room for.
        """
        done = len(self._actions)
        if done > self._num_actions:
            raise ValueError(
                f"states of this environment hold {self._num_actions} actions, and this episode has {done}: register "
                f"it with max_episode_steps of {done} or more"
            )
        size = self._layout.size
        actions = np.zeros((self._num_actions, size))
        actions[:done] = np.reshape(self._actions, (done, size))
        return np.concatenate([self.read(), [self._seed, done], actions.ravel()])

    def set_state(self, state: Floats) -> None:
        """Do again what led to a state.

        Raises:
            ValueError: it leads elsewhere now.
        """
        size, before = self._layout.size, len(self._actions)
        rest = self._num_actions * size + 2
        read, (seed, done), actions = state[:-rest], state[-rest:][:2], state[-rest:][2:].reshape(-1, size)
        actions = actions[: int(done)]
        on_the_way = seed == self._seed and before <= done
        if not on_the_way or not np.array_equal(np.reshape(self._actions, (before, size)), actions[:before]):
            self.reset(seed=int(seed))
        for action in self._layout.for_env(self.action_space, actions[len(self._actions) :]):
            self.step(action)
        missed = np.abs(self.read() - read).max()
        if not missed <= _EXACT * max(1.0, np.abs(read).max()):
            raise ValueError(
                f"{self._env}: seed {seed:.0f} and {done:.0f} recorded actions led to a state that differs by "
                f"{missed:.3g} from the recorded one; the same seed and actions must lead to the same state, as where "
                "all that is random is drawn from self.np_random"
            )
