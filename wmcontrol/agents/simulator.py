"""The true simulator in place of a world model: what a planner reaches with a model that makes no errors.

Letters: ``B`` environments, ``S`` candidates, ``H`` model steps ahead, ``A`` numbers in a model action, ``P`` patches
of a frame, ``D`` dimensions of a token, ``L`` environment steps, ``a`` numbers in an environment action, ``n`` in a
state, ``K`` moments of which frames are drawn.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..actions import ActionLayout
from ..checks import check_whole
from ..envs.making import make_vector
from ..models import WorldModel
from .state import Observation

# Candidates that are simulated and encoded at once. It is fixed, so that results do not depend on the number of cores.
_CHUNK = 50


class SimulatorModel:
    """Stands where a world model does, and simulates where that imagines.

    Candidates run in copies of the environment, set to the true state. What they lead to is rendered and encoded, so
    planner, objective and tokens are those of the world model, and only its errors are gone: the oracle. It needs the
    true state, which no agent has; observations must hold ``state``, and ``variation`` where the environment varies.
    Push-T's states do not hold contacts that are under load, so there the copies are not perfect; see its environment.
    Where a goal is drawn into the frames, as with Push-T's ``success="coverage"``, it is drawn where it usually is.

    Candidates are spread over processes, which start when they are first needed; a copy that is pickled for another
    process starts none. A script that uses this must do so under ``if __name__ == "__main__":``, as with everything
    that starts processes. Close it, or use it in a ``with`` statement, and the processes end.

    Args:
        model: whose encoder, timing and action statistics are used; its predictor is not.
        env_id: the environment; one of ours, or one that is registered by :func:`~wmcontrol.envs.register_goal_env`.
        env_settings: what it was made with, as ``action_mode``.
        num_workers: processes; by default one for each core; 0 for none beside this one.

    Attributes:
        normalizer, frameskip, frame_size, control_rate, encode: those of the model.

    Raises:
        TypeError, ValueError: what does not fit, or a model without actions.
    """

    def __init__(
        self,
        model: WorldModel,
        env_id: str,
        *,
        env_settings: Mapping[str, Any] | None = None,
        num_workers: int | None = None,
    ):
        if not isinstance(model, WorldModel):
            raise TypeError(f"model must be a WorldModel, got {type(model).__name__}")
        if model.normalizer is None:
            raise ValueError("this model takes no actions, and has no statistics of them to plan with; fine-tune it")
        height, width = model.frame_size
        if height != width:
            raise ValueError(f"environments draw square frames; this model sees {height} by {width}")
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self.num_workers = cores if num_workers is None else num_workers
        check_whole("num_workers", self.num_workers, least=0)
        self.model, self.normalizer, self.encode = model, model.normalizer, model.encode
        self.frameskip, self.frame_size, self.control_rate = model.frameskip, model.frame_size, model.control_rate
        # On the CPU, frames are encoded where they are drawn; to another device they are sent from here.
        encoder = model.encoder if model.device.type == "cpu" else None
        settings = {**(env_settings or {}), "obs_type": "state", "image_size": height}
        self._simulation = _Simulation(env_id, settings, encoder)
        self._simulation.worlds(1, {})  # refused here, if at all
        self._pool: ProcessPoolExecutor | None = None

    @property
    def device(self) -> torch.device:
        """Where tokens are."""
        return self.model.device

    @property
    def dtype(self) -> torch.dtype:
        """The number type of tokens."""
        return self.model.dtype

    def context(self, observations: Sequence[Observation]) -> tuple[Observation, ...]:
        """Return what ``rollout`` starts from: the true states of B environments.

        Raises:
            ValueError: frames hold distractors, which stand where no state tells.
        """
        for row, observation in enumerate(observations):
            if np.any(observation.variation.get("distractors", 0)):
                raise ValueError(
                    f"environment {row} has distractors, whose places no state tells, so it cannot be simulated"
                )
        return tuple(observations)

    @torch.no_grad()
    def rollout(self, context: tuple[Observation, ...], actions: Tensor, *, last_only: bool = False) -> Tensor:
        """Simulate what candidates (B, S, H, A) lead to; as ``WorldModel.rollout``, without gradients.

        Returns:
            (B, S, H, P, D), or (B, S, 1, P, D) with ``last_only``.
        """
        B, S, H, _ = actions.shape
        jobs = list(self._jobs(context, actions, (H,) if last_only else tuple(range(1, H + 1))))
        if self.num_workers == 0:
            parts = [self._simulation.run(job) for job in jobs]
        else:
            parts = list(self._workers().map(_run_in_worker, jobs))
        found = torch.from_numpy(np.concatenate(parts))  # (B * S, K, …)
        if self._simulation.encoder is None:
            found = self.model.encode(found)
        tokens: Tensor = found.to(self.device, self.dtype).unflatten(0, (B, S))
        return tokens

    def close(self) -> None:
        """End the processes; they start again if they are needed again."""
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        # In another process, one of a pool, it starts none: the cores are taken, and a pool's start method is its own.
        return {**self.__dict__, "_pool": None, "num_workers": 0}

    def _jobs(self, context: tuple[Observation, ...], actions: Tensor, steps: tuple[int, ...]) -> "Iterator[_Job]":
        done = self.normalizer.to_environment(actions).flatten(2, 3).cpu().numpy().astype(np.float32)
        drawn_after = tuple(step * self.frameskip for step in steps)
        for observation, candidates in zip(context, done, strict=True):
            assert observation.state is not None
            for begin in range(0, len(candidates), _CHUNK):
                part = candidates[begin : begin + _CHUNK]
                yield _Job(observation.state, dict(observation.variation), part, drawn_after)

    def _workers(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self.num_workers,
                mp_context=get_context("spawn"),  # a fork of a process that runs threads may hang
                initializer=_begin_worker,
                initargs=(self._simulation,),
            )
        return self._pool


class _Job(NamedTuple):
    """Candidates of one environment."""

    state: NDArray[np.float64]  # (n,) where they start
    variation: Mapping[str, NDArray[np.float64]]  # of this world
    actions: NDArray[np.float32]  # (s, L, a), vectors
    drawn_after: tuple[int, ...]  # how many steps, K numbers


@dataclass
class _Simulation:
    """Copies of an environment; they are made when first needed, and do not travel to other processes."""

    env_id: str
    settings: Mapping[str, Any]
    encoder: Callable[[Tensor], Tensor] | None  # encodes what is drawn; None to hand out the frames
    _made: dict[int, tuple[Any, bytes]] = field(default_factory=dict, repr=False)

    def run(self, job: _Job) -> NDArray[Any]:
        """Return what the candidates reach: tokens (s, K, P, D), or frames (s, K, side, side, 3) without an encoder."""
        worlds = self.worlds(len(job.actions), job.variation)
        actions = ActionLayout.of(worlds.single_action_space).to_actions(job.actions)
        worlds.set_state(np.repeat(job.state[None], len(job.actions), 0))
        reached = []
        for step in range(actions.shape[1]):
            worlds.step(actions[:, step])
            if step + 1 in job.drawn_after:
                reached.append(worlds.get_state())
        states = np.stack(reached, 1)  # (s, K, n)
        found = worlds.draw(states.reshape(-1, states.shape[-1]))
        if self.encoder is not None:
            found = self.encoder(torch.from_numpy(found)).float().numpy()
        return np.asarray(found.reshape(*states.shape[:2], *found.shape[1:]))

    def worlds(self, count: int, variation: Mapping[str, NDArray[np.float64]]) -> Any:
        """Return ``count`` copies with these values of their variations.

        Raises:
            ValueError: there is no such environment, it takes other settings, its actions cannot be planned, or it
                cannot be put into states and drawn.
        """
        looks = b"".join(name.encode() + value.tobytes() for name, value in sorted(variation.items()))
        env, before = self._made.get(count, (None, None))
        if env is None:
            env = make_vector(self.env_id, count, self.settings, needs=("get_state", "set_state", "draw"))
        if looks != before:
            env.reset(seed=0, options={"variation": dict(variation)})
            self._made[count] = (env, looks)
        return env

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_made": {}}


_IN_WORKER: list[_Simulation] = []


def _begin_worker(simulation: _Simulation) -> None:
    """Prepare a worker process: one thread, since there are as many processes as cores."""
    torch.set_num_threads(1)
    _IN_WORKER[:] = [simulation]


def _run_in_worker(job: _Job) -> NDArray[Any]:
    return _IN_WORKER[0].run(job)
