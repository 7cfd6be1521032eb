"""Running candidates in copies of an environment, in this process or in workers.

Letters: ``s`` candidates, ``L`` environment steps, ``a`` numbers in an environment action, ``n`` in a state.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..envs.making import check_actions

_NEEDED = ("get_state", "set_state", "variations")


class Job(NamedTuple):
    """Candidates of one environment."""

    state: NDArray[np.float64]  # (n,) where they start
    variation: Mapping[str, NDArray[np.float64]]  # of this world
    actions: NDArray[np.float32]  # (s, L, a)
    drawn_after: tuple[int, ...]  # how many steps, K numbers


@dataclass
class Simulation:
    """Copies of an environment; they are made when first needed, and do not travel to other processes.

    Args:
        env_id: the environment.
        settings: what it is made with.
        encoder: encodes what is drawn; None to hand out the frames.
    """

    env_id: str
    settings: Mapping[str, Any]
    encoder: Callable[[Tensor], Tensor] | None
    _made: dict[int, tuple[Any, bytes]] = field(default_factory=dict, repr=False)

    def check(self) -> None:
        """Make the environment once.

        Raises:
            ValueError: there is none, it takes other settings, its actions cannot be planned, or it cannot be put into
                states and drawn.
        """
        try:
            worlds, single = self._vector(1), self._single()
            check_actions(single.action_space)
        except (TypeError, gym.error.Error) as error:
            raise ValueError(f"{self.env_id} cannot be simulated: {error}") from error
        missing = [name for name in _NEEDED if not hasattr(worlds, name)]
        missing += [] if hasattr(single, "draw") else ["draw"]
        if missing:
            raise ValueError(f"{self.env_id} cannot be simulated: it has no {', '.join(missing)}")

    def run(self, job: Job) -> NDArray[Any]:
        """Run the candidates.

        Returns:
            Tokens (s, K, P, D), or frames (s, K, side, side, 3) without an encoder.
        """
        worlds = self._like(job, len(job.actions))
        worlds.set_state(np.repeat(job.state[None], len(job.actions), 0))
        reached = []
        for step in range(job.actions.shape[1]):
            worlds.step(job.actions[:, step])
            if step + 1 in job.drawn_after:
                reached.append(worlds.get_state())
        states = np.stack(reached, 1)  # (s, K, n)
        frames = self._like(job, 0).draw(states.reshape(-1, states.shape[-1]))
        if self.encoder is None:
            return np.asarray(frames.reshape(*states.shape[:2], *frames.shape[1:]))
        tokens = self.encoder(torch.from_numpy(frames)).float().numpy()
        return np.asarray(tokens.reshape(*states.shape[:2], *tokens.shape[1:]))

    def _like(self, job: Job, count: int) -> Any:
        """Return ``count`` copies that look as the world of a job does; for 0 a single one, to draw with."""
        looks = b"".join(name.encode() + value.tobytes() for name, value in sorted(job.variation.items()))
        env, before = self._made.get(count, (None, None))
        if env is None:
            env = self._vector(count) if count else self._single()
        if looks != before:
            env.reset(seed=0, options={"variation": dict(job.variation)})
            self._made[count] = (env, looks)
        return env

    def _vector(self, count: int) -> Any:
        return gym.make_vec(
            self.env_id,
            num_envs=count,
            vectorization_mode="vector_entry_point",
            max_episode_steps=None,
            **self.settings,
        )

    def _single(self) -> Any:
        return gym.make(self.env_id, disable_env_checker=True, **self.settings).unwrapped

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_made": {}}


_IN_WORKER: list[Simulation] = []


def begin_worker(simulation: Simulation) -> None:
    """Prepare a worker process: one thread, since there are as many processes as cores."""
    torch.set_num_threads(1)
    _IN_WORKER[:] = [simulation]


def run_in_worker(job: Job) -> NDArray[Any]:
    """Run a job in a worker process."""
    return _IN_WORKER[0].run(job)
