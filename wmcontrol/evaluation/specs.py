"""Who is evaluated."""

import hashlib
import math
import os
import re
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..agents import HierarchicalAgent, NoOpAgent, PlanningAgent, RandomAgent, SimulatorModel, SubgoalAgent
from ..models import WorldModel
from ..models.checkpoint import CONFIG, WEIGHTS, find_folder
from ..objectives import Objective
from ..planners import BestProposal, Planner
from ..untrusted import AnyJson, MapOf, Record, read_json
from .episodes import make_env
from .protocols import Protocol, protocol_named
from .result import Role, env_label
from .tasks import Tasks

_CARD = Record({}, {"errors": MapOf(AnyJson())}, others=AnyJson())  # what is read of it; by environments
NO_OP, RANDOM, SIMULATOR = "no-op", "random actions", "true simulator"  # as reports call them
PRIOR, BEST = "prior alone", "best proposal"  # baselines without a search
FLAT = "straight for the goal"  # the baseline without subgoals
_FAR: Mapping[type, str] = {HierarchicalAgent: " over landmarks", SubgoalAgent: " to subgoals"}
_MANY = 16  # items of a list, which a reader does not look at one by one


@dataclass(frozen=True)
class AgentSpec:
    """An agent, and what its results are called.

    Args:
        name: as a report calls it, "CEM".
        agent: whatever has the ``predict`` of Stable-Baselines3.
        about: what else a reader of its results should know, as JSON can write it. What :func:`describe` finds out
            about the agent, as its planner and a digest of its weights, is noted as ``agent`` in any case.
        role: see :class:`~wmcontrol.evaluation.ResultRow`.
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


def baselines(tasks: Tasks, seed: int = 0) -> list[AgentSpec]:
    """Return the agents that do nothing and that act at random.

    The first is left out where a zero action does something, the second where actions have no bounds.

    Args:
        tasks: that they are to do.
        seed: of random actions.

    Raises:
        ValueError: agents cannot act in the tasks' environment.
    """
    return baselines_in(tasks.env_id, tasks.env_settings, seed)


def baselines_in(env_id: str, env_settings: Mapping[str, Any], seed: int = 0) -> list[AgentSpec]:
    """Return the :func:`baselines` of an environment."""
    with closing(make_env(env_id, 1, env_settings, None)) as env:
        space = env.single_action_space
    found = []
    for name, make in ((NO_OP, NoOpAgent), (RANDOM, partial(RandomAgent, seed=seed))):
        with suppress(ValueError):
            found.append(AgentSpec(name, make(space), role="baseline"))
    return found


def baseline(name: str, tasks: Tasks, seed: int = 0) -> AgentSpec:
    """Return one of the :func:`baselines` by its name.

    Raises:
        ValueError: actions of the tasks' environment do not allow it.
    """
    for spec in baselines(tasks, seed):
        if spec.name == name:
            return spec
    raise ValueError(
        f"{name}: in {tasks.env_id} with {dict(tasks.env_settings)} zero is not inside the bounds of actions, and may "
        "do something, or actions are choices, or have no bounds"
    )


def ablations(spec: AgentSpec) -> list[AgentSpec]:
    """Return an agent that plans without some of its parts, as far as it has them.

    Without subgoals: the same planner, straight for the goal. Without a search: what its model's action prior
    proposes, one sample, and the model does not choose, which is goal-conditioned behaviour cloning; and the best of as
    many proposals as its search begins with, by the same model and objective.

    Args:
        spec: an agent that plans, or any other, of which there are none.
    """
    agent = spec.agent
    if isinstance(agent, HierarchicalAgent | SubgoalAgent):
        shared = {part.name: getattr(agent, part.name) for part in fields(PlanningAgent)}
        space = {"search_space": "noise" if agent.searches_noise else "actions"}
        flat = AgentSpec(FLAT, PlanningAgent(**shared | space), spec.about, "baseline")
        return [flat, *ablations(flat)]
    if not isinstance(agent, PlanningAgent) or agent.prior is None or isinstance(agent.planner, BestProposal):
        return []
    return [
        AgentSpec(
            name,
            replace(agent, planner=BestProposal(), num_proposals=count, search_space="actions"),
            spec.about,
            "baseline",
        )
        for name, count in ((PRIOR, 1), (f"{BEST} of {agent.num_proposals}", agent.num_proposals))
    ]


def planning_spec(
    model: WorldModel,
    planner: Planner | None,
    tasks: Tasks,
    protocol: Protocol | str = "paper",
    *,
    simulator: bool = False,
    kind: type[PlanningAgent] = PlanningAgent,
    num_workers: int | None = None,
    path: str | os.PathLike[str] | None = None,
    objective: Objective | None = None,
    **changes: Any,
) -> AgentSpec:
    """Return the agent that plans as a protocol says, and what a reader of its results should know of its model.

    Args:
        model: imagines.
        planner: see :meth:`PlanningAgent.from_model`; so are ``objective`` and ``changes``.
        tasks: that it is to do; those of trajectories say when their goals are due.
        protocol: whose horizon and replan interval it has.
        simulator: put the true simulator in the model's place, which makes it the oracle: what planner and objective
            can reach. Close it, ``spec.agent.model``, when it is done.
        kind: of agent: for far goals :class:`~wmcontrol.HierarchicalAgent` or :class:`~wmcontrol.SubgoalAgent`, which
            find out themselves when goals are due.
        num_workers: processes of the simulator; by default the cores.
        path: the folder or packaged name that the model was loaded from, whose files' digests are noted.
        objective: by default the distance that the model was saved with.
        changes: of the settings that the model was saved with.

    Raises:
        TypeError, ValueError: what does not fit, as a packaged model of another environment than the tasks'.
    """
    protocol = protocol_named(protocol)
    about: dict[str, Any] = {}
    if path is not None:
        folder = find_folder(path)
        card = folder / "card.json"  # which packaged models have
        known = [*read_json(card, _CARD).get("errors", {})] if card.exists() else []
        if known and env_label(tasks.env_id).lower().split("_")[0] not in known:
            raise ValueError(f"{path} is a model of {', '.join(known)}, and the tasks are in {env_label(tasks.env_id)}")
        about |= {"model": str(path), **model_digests(folder)}
    about["dtype"] = str(model.dtype).removeprefix("torch.")
    if objective is None:
        about["standardize"] = changes.get("standardize", model.planning.standardize)
    imagines: WorldModel | SimulatorModel = model
    if simulator:
        imagines = SimulatorModel(model, tasks.env_id, env_settings=tasks.env_settings, num_workers=num_workers)
    far = next((words for agent, words in _FAR.items() if issubclass(kind, agent)), "")
    follows = {
        "horizon": protocol.horizon,
        "replan_every": protocol.replan_every,
        # The environment's own tasks do not say it.
        "goal_offset": None if far else getattr(tasks, "goal_offset", None),
    }
    agent = kind.from_model(imagines, planner, objective=objective, **{**changes, **follows})
    name = SIMULATOR if simulator else "world model"
    name += far
    if agent.prior is not None:
        name += " in the prior's noise" if agent.searches_noise else f" from {agent.num_proposals} proposals"
    return AgentSpec(name, agent, about, "oracle" if simulator else "model")


def policy_spec(agent: Any, **about: Any) -> AgentSpec:
    """Return a policy that was trained elsewhere, with what is known of it, and the digests of files among that.

    Args:
        agent: the policy.
        about: as ``algorithm="PPO", path="ppo.zip"``, which are arguments of :func:`~wmcontrol.agents.load_policy`.
    """
    files = {name: value for name, value in about.items() if isinstance(value, str) and Path(value).is_file()}
    digests = {f"{name}_sha256": file_digest(path) for name, path in files.items()}
    name = f"{about['algorithm']} policy" if "algorithm" in about else type(agent).__name__
    return AgentSpec(name, agent, {**about, **digests})


def model_digests(folder_or_name: str | os.PathLike[str]) -> dict[str, str]:
    """Return what tells a saved model from others."""
    folder = find_folder(folder_or_name)
    return {"weights": file_digest(folder / WEIGHTS), "config": file_digest(folder / CONFIG)}


def file_digest(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 digest of a file."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
