"""Who is evaluated, and the rows of results that come of it."""

import hashlib
import math
import os
import re
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field, fields, is_dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from ..agents import NoOpAgent, PlanningAgent, RandomAgent, SimulatorModel
from ..models import WorldModel
from ..models.checkpoint import CONFIG, WEIGHTS, find_folder
from ..objectives import Objective
from ..planners import Planner
from ..untrusted import AnyJson, MapOf, Record, read_json
from .episodes import make_env
from .protocols import Protocol, protocol_named
from .result import Evaluation
from .tasks import Tasks

Role = Literal["model", "baseline", "oracle"]
_CARD = Record({}, {"errors": MapOf(AnyJson())}, others=AnyJson())  # what is read of it; by environments
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

    @property
    def trained_on(self) -> str:
        """How many trajectories it was trained on: ``50``, ``all (1,800)``; or a dash."""
        count = self.num_train_trajectories
        if count is None:
            return "–"
        return f"all ({count:,})" if count == self.all_train_trajectories else f"{count:,}"

    @property
    def name(self) -> str:
        """Its name within its environment."""
        return self.agent if self.num_train_trajectories is None else f"{self.agent}, {self.trained_on}"

    def __str__(self) -> str:
        """Return the row as a line tells it."""
        found = self.evaluation
        return (
            f"{self.agent}: {found.success_end} of {len(found.records)} tasks ({100 * found.success_any.value:.1f} % "
            f"at any time), {found.seconds_per_decision:.3g} s per decision"
        )


def baselines(tasks: Tasks, seed: int = 0) -> list[AgentSpec]:
    """Return the agents that do nothing and that act at random.

    The first is left out where a zero action does something, the second where actions have no bounds.

    Args:
        tasks: that they are to do.
        seed: of random actions.

    Raises:
        ValueError: agents cannot act in the tasks' environment.
    """
    with closing(make_env(tasks.env_id, 1, tasks.env_settings, None)) as env:
        space = env.single_action_space
    found = []
    for name, make in (("no-op", NoOpAgent), ("random actions", partial(RandomAgent, seed=seed))):
        with suppress(ValueError):
            found.append(AgentSpec(name, make(space), role="baseline"))
    return found


def planning_spec(
    model: WorldModel | SimulatorModel,
    planner: Planner | None,
    tasks: Tasks,
    protocol: Protocol | str = "paper",
    *,
    path: str | os.PathLike[str] | None = None,
    objective: Objective | None = None,
    **changes: Any,
) -> AgentSpec:
    """Return the agent that plans as a protocol says, and what a reader of its results should know of its model.

    Args:
        model: imagines; or the true simulator in its place, which makes it the oracle.
        planner: see :meth:`PlanningAgent.from_model`; so are ``objective`` and ``changes``.
        tasks: that it is to do.
        protocol: whose horizon and replan interval it has.
        path: the folder or packaged name that the model was loaded from, whose files' digests are noted.
        objective: by default the distance that the model was saved with.
        changes: of the settings that the model was saved with.

    Raises:
        TypeError, ValueError: what does not fit, as a packaged model of another environment than the tasks'.
    """
    protocol = protocol_named(protocol)
    oracle = isinstance(model, SimulatorModel)
    horizon, replan_every = protocol.horizon, protocol.replan_every
    agent = PlanningAgent.from_model(
        model, planner, objective=objective, horizon=horizon, replan_every=replan_every, **changes
    )
    about: dict[str, Any] = {}
    if path is not None:
        folder = find_folder(path)
        card = folder / "card.json"  # which packaged models have
        known = [*read_json(card, _CARD).get("errors", {})] if card.exists() else []
        if known and env_label(tasks.env_id).lower().split("_")[0] not in known:
            raise ValueError(f"{path} is a model of {', '.join(known)}, and the tasks are in {env_label(tasks.env_id)}")
        about |= {"model": str(path), "weights": file_digest(folder / WEIGHTS), "config": file_digest(folder / CONFIG)}
    about["dtype"] = str(model.dtype).removeprefix("torch.")
    if objective is None:
        saved = model.model.planning if isinstance(model, SimulatorModel) else model.planning
        about["standardize"] = changes.get("standardize", saved.standardize)
    return AgentSpec("true simulator" if oracle else "world model", agent, about, "oracle" if oracle else "model")


def file_digest(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 digest of a file."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def env_label(env_id: str) -> str:
    """Return an environment as a reader should see it: ``Wall`` for ``wmcontrol/Wall-v0``."""
    return env_id.split("/")[-1].split("-v")[0]


def describe(value: Any) -> Any:
    """Return what tells an agent, or a part of one, from others, as JSON can write it.

    Settings of dataclasses are named; arrays, long lists and weights of networks are digests of their numbers; of other
    objects the type is told, and what they hold as ``model`` or ``policy``.
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
