"""Agents from the keys of a job, with what the files of their evaluations say about them."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import gymnasium as gym
import torch

from ..agents import PlanningAgent, SimulatorModel
from ..envs.contract import check_fits, image_size
from ..evaluation import AgentSpec, Protocol
from ..evaluation.episodes import make_env
from ..evaluation.specs import env_label
from ..evaluation.tasks import Tasks
from ..models import WorldModel
from ..models.checkpoint import CONFIG, WEIGHTS, find_folder
from ..planners import Planner
from ..untrusted import AnyJson, MapOf, Record, read_json
from .errors import UsageError
from .planner_names import make_objective, objective_settings

_CARD = Record({}, {"errors": MapOf(AnyJson())}, others=AnyJson())  # of what a model's card says, what is needed here
DTYPES: Mapping[str, torch.dtype | Literal["auto"] | None] = {
    "stored": None,
    "auto": "auto",
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
}


@dataclass(frozen=True)
class Loaded:
    """A world model that takes actions, and what tells it from others."""

    model: WorldModel
    folder: Path
    about: Mapping[str, str]

    @property
    def digest(self) -> str:
        """The SHA-256 digests of its files."""
        return self.about["weights"] + self.about["config"]


def load_model(path: Path | None, device: str, dtype: str = "stored") -> Loaded:
    """Load the model that a job plans with, in the number type that its key ``dtype`` asks for.

    Raises:
        UsageError: there is none, or it takes no actions.
    """
    if path is None:
        raise UsageError("model=… is missing: the world model to plan with; for example model=wall")
    try:
        folder = find_folder(path)
        model = WorldModel.load(folder, device=device, dtype=DTYPES[dtype])
    except (FileNotFoundError, ValueError) as error:
        raise UsageError(f"model: {error}") from error
    if model.normalizer is None:
        raise UsageError(f"model: {path} takes no actions, so nothing can be planned with it; fine-tune it first")
    computes_in = str(model.dtype).removeprefix("torch.")
    return Loaded(model, folder, {"model": str(path), **model_digests(folder), "dtype": computes_in})


def file_digest(path: Path) -> str:
    """Return the SHA-256 digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def model_digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 digests of a model's weights, and of what else it knows: how much tokens and actions vary."""
    return {"weights": file_digest(folder / WEIGHTS), "config": file_digest(folder / CONFIG)}


def planning(
    loaded: Loaded,
    planner: Planner,
    protocol: Protocol,
    *,
    name: str,
    file: str | None = None,
    objective: Mapping[str, Any],
    history: int | None = None,
    simulator: SimulatorModel | None = None,
) -> AgentSpec:
    """Return the agent that plans with a model, or with the simulator in its place, as the protocol says.

    Raises:
        UsageError: the model does not fit the protocol.
    """
    suits = loaded.model.planning
    history = suits.context_frames if history is None else history
    settings = {"horizon": protocol.horizon, "replan_every": protocol.replan_every, "context_frames": history}
    wanted = objective_settings(protocol, objective, suits)
    distance = make_objective(wanted, loaded.model)
    try:
        agent = PlanningAgent(simulator or loaded.model, planner, distance, **settings)
    except ValueError as error:
        raise UsageError(f"protocol={protocol.name}: {error}") from error
    about = {**loaded.about, "standardize": wanted.get("standardize", 0)}
    return AgentSpec(name, agent, about, "model" if simulator is None else "oracle", file)


def action_space_for(agent: Any, tasks: Tasks) -> gym.spaces.Box:
    """Return the actions of the tasks' environment, once it is sure that an agent fits it.

    Raises:
        UsageError: it does not, or there is no such environment.
    """
    try:
        env = make_env(tasks.env_id, 1, tasks.env_settings, image_size(agent))
    except (TypeError, ValueError) as error:
        raise UsageError(str(error)) from error
    try:
        check_fits(agent, env)
    except ValueError as error:
        key = "model" if isinstance(agent, PlanningAgent) else "agent"
        raise UsageError(f"{key}: it is not of {env_label(tasks.env_id)}: {error}") from error
    finally:
        env.close()
    space: gym.spaces.Box = env.single_action_space
    return space


def check_environment(loaded: Loaded, env_id: str) -> None:
    """Refuse a packaged model in another environment than its card names; other models do not say where they belong.

    Raises:
        UsageError: it is of another one.
    """
    card = loaded.folder / "card.json"
    if not card.exists():
        return
    known = list(read_json(card, _CARD).get("errors", {}))
    kind = env_label(env_id).lower().split("_")[0]
    if known and kind not in known:
        raise UsageError(
            f"model: {loaded.about['model']} is a model of {', '.join(known)}, and the tasks are in {env_label(env_id)}"
        )
