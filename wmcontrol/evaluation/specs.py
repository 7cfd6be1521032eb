"""Several agents on the same tasks: who is evaluated, and the rows of results that come of it."""

import hashlib
import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal

import gymnasium as gym
import numpy as np
import torch

from ..agents import NoOpAgent, RandomAgent
from .evaluate import evaluate, header_of
from .protocols import Protocol, protocol_named
from .records import check_begun
from .result import Evaluation
from .tasks import Tasks

Role = Literal["model", "baseline", "oracle"]
_MANY = 16  # items of a list, which a reader does not look at one by one


@dataclass(frozen=True)
class AgentSpec:
    """An agent, and what its results are called.

    Args:
        name: as a report calls it, "CEM".
        agent: whatever has the ``predict`` of Stable-Baselines3.
        about: what else a reader of its results should know, as JSON can write it. What :func:`describe` finds out
            about the agent, as its planner and a digest of its weights, is noted as ``agent`` in any case.
        role: "baseline" and "oracle" are what models are compared with: agents that do not plan, and the planner with
            the true simulator as its model.
        file: name of the file of its results; by default made of ``name``.
    """

    name: str
    agent: Any
    about: Mapping[str, Any] = field(default_factory=dict)
    role: Role = "model"
    file: str | None = None

    @property
    def results(self) -> str:
        """Name of the file of its results."""
        return self.file or re.sub(r"[^\w.+-]+", "_", self.name).strip("._") + ".jsonl"


@dataclass(frozen=True, kw_only=True)
class ResultRow:
    """One row of a report: an agent in an environment, and how it did.

    Args:
        env: the environment as a reader should see it, "Wall".
        agent: the agent's name.
        evaluation: its results.
        role: see :class:`AgentSpec`.
        num_train_trajectories: trajectories with actions that it was trained on; None for agents that were not trained.
        all_train_trajectories: how many there are; a row with as many says that it had all.
    """

    env: str
    agent: str
    evaluation: Evaluation
    role: Role = "model"
    num_train_trajectories: int | None = None
    all_train_trajectories: int | None = None

    def __str__(self) -> str:
        """Return the row as a line tells it."""
        found = self.evaluation
        return (
            f"{self.agent}: {found.success_end} of {len(found.records)} tasks ({100 * found.success_any.value:.1f} % "
            f"at any time), {found.seconds_per_decision:.3g} s per decision"
        )


def baselines(space: gym.spaces.Box) -> list[AgentSpec]:
    """Return the agents that do nothing and that act at random.

    The first is left out where a zero action does something, the second where actions have no bounds.

    Args:
        space: actions of the tasks' environment.
    """
    found = []
    for name, kind in (("no-op", NoOpAgent), ("random actions", RandomAgent)):
        with suppress(ValueError):
            found.append(AgentSpec(name, kind(space), role="baseline"))
    return found


def evaluate_agents(
    specs: Sequence[AgentSpec],
    tasks: Tasks,
    protocol: Protocol | str = "paper",
    folder: str | os.PathLike[str] | None = None,
    *,
    seed: int = 0,
    batch: int = 16,
    jobs: int = 1,
    progress: Callable[[str, int, int], None] | None = None,
) -> list[ResultRow]:
    """Evaluate agents one after another on the same tasks; what is in the folder already is not done again.

    Args:
        specs: the agents.
        tasks: what to do, and where.
        protocol: see :func:`~.evaluate.evaluate`; so are ``seed``, ``batch`` and ``jobs``.
        folder: where their files lie, a line of JSON for each task; it is made if need be. None: nothing is written.
        seed: of the agents' random numbers.
        batch: how many tasks run side by side in one process.
        jobs: how many batches run at once.
        progress: is told an agent's name, how many of its tasks are done, and of how many.

    Returns:
        A row for each agent, for :func:`~.reports.report`.

    Raises:
        TypeError, ValueError: what does not fit; two agents of one name; a file in the folder that is of another agent,
            as of a model that was trained anew since. It is raised before work starts.
        OSError: a file cannot be written.
    """
    protocol = protocol_named(protocol)
    names = [spec.results for spec in specs]
    for spec in specs:
        if names.count(spec.results) > 1:
            raise ValueError(f"{spec.results} would hold the results of two agents; give {spec.name!r} another name")
    about = [{**spec.about, "agent": describe(spec.agent)} for spec in specs]
    files: list[Path | None] = [None] * len(specs)
    if folder is not None:
        Path(folder).mkdir(parents=True, exist_ok=True)
        files = [Path(folder) / name for name in names]
        for name, told in zip(names, about, strict=True):
            check_begun(Path(folder) / name, header_of(tasks, protocol, seed, batch, told))
    rows = []
    for spec, file, told in zip(specs, files, about, strict=True):
        evaluation = evaluate(
            spec.agent,
            tasks,
            protocol,
            file=file,
            seed=seed,
            batch=batch,
            jobs=jobs,
            about=told,
            progress=progress and (lambda done, total, name=spec.name: progress(name, done, total)),
        )
        rows.append(ResultRow(env=env_label(tasks.env_id), agent=spec.name, evaluation=evaluation, role=spec.role))
    return rows


def env_label(env_id: str) -> str:
    """Return an environment as a reader should see it: ``Wall`` for ``wmcontrol/Wall-v0``."""
    return env_id.split("/")[-1].split("-v")[0]


def describe(value: Any) -> Any:
    """Return what tells an agent, or a part of one, from others, as JSON can write it.

    Settings of dataclasses are named; arrays, long lists and weights of networks are digests of their
    numbers; of other objects the
    type is told, and what they hold as ``model`` or ``policy``.
    """
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, torch.nn.Module):
        numbers = [*value.named_parameters(), *value.named_buffers()]
        digest = hashlib.sha256()
        for name, tensor in sorted(numbers, key=lambda entry: entry[0]):
            digest.update(name.encode() + _bytes(tensor))
        return {"type": type(value).__name__, "weights": digest.hexdigest()[:16]}
    if isinstance(value, np.ndarray):
        value = torch.from_numpy(np.ascontiguousarray(value))
    if isinstance(value, torch.Tensor):
        return hashlib.sha256(_bytes(value)).hexdigest()[:16]
    if isinstance(value, Mapping):
        return {str(key): describe(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        items = [describe(item) for item in value]
        return items if len(items) <= _MANY else hashlib.sha256(repr(items).encode()).hexdigest()[:16]
    if isinstance(value, type) or (callable(value) and hasattr(value, "__qualname__")):
        return value.__qualname__
    if is_dataclass(value):
        parts = {part.name: getattr(value, part.name) for part in fields(value)}
    else:
        parts = {name: getattr(value, name) for name in ("model", "policy") if hasattr(value, name)}
    return {"type": type(value).__name__, **{name: describe(part) for name, part in parts.items()}}


def _bytes(tensor: torch.Tensor) -> bytes:
    return tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
