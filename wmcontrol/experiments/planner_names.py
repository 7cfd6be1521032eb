"""Planners by their names on the command line: ``planner=cem``."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from ..evaluation import Protocol
from ..models import PlanningSettings, WorldModel
from ..objectives import GoalDistance
from ..planners import CEM, CMA, ICEM, MPPI, Gradient, Hybrid, Planner, RandomShooting, fast
from .errors import UsageError, did_you_mean

PLANNERS: Mapping[str, Callable[..., Planner]] = {
    "cem": CEM,
    "fast": fast,
    "icem": ICEM,
    "mppi": MPPI,
    "gradient": Gradient,
    "hybrid": Hybrid,
    "cma": CMA,
    "random_shooting": RandomShooting,
}

# CEM starts wide unless told otherwise, see docs/packaged.md: from the paper's standard deviation of 1 few candidates
# get far in 25 steps of independent noise.
WIDE = {"std": 2.0}


def planner_settings(name: str, protocol: Protocol, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a planner: for CEM the protocol's, from a wide start, but for what is given."""
    return {**({**protocol.planner, **WIDE} if name == "cem" else {}), **given}


def objective_settings(protocol: Protocol, given: Mapping[str, Any], planning: PlanningSettings) -> dict[str, Any]:
    """Return the settings of the distance to the goal: those that suit a model, but for what is given.

    A metric that is given is taken as it is, not standardized. Where a plan is replaced before it ends, the distance
    counts at all steps: with the last step only, each replan postpones arrival.
    """
    steps: dict[str, Any] = {"steps": "mean"} if protocol.replan_every < protocol.goal_offset else {}
    if planning.metric_steps is not None:
        steps = {"steps": planning.metric_steps}
    power = {"standardize": planning.standardize} if planning.standardize and "metric" not in given else {}
    return {"metric": planning.metric, **steps, **power, **given}


def make_objective(given: Mapping[str, Any], model: WorldModel | None) -> GoalDistance:
    """Make the distance to the goal; without a model only to check its settings.

    Raises:
        UsageError: settings that it has not, or that are out of range, or that the model cannot serve.
    """
    _check_names("objective", given, ("metric", "steps", "standardize"))
    others = {name: value for name, value in given.items() if name != "standardize"}
    power = given.get("standardize", 0)
    try:
        PlanningSettings(standardize=power)
        if model and power and model.token_std is None:
            raise ValueError(
                "to standardize, a model must know how its tokens vary, and this one was saved without: say "
                "objective={standardize:0}, or fine-tune it anew in another folder"
            )
        return GoalDistance(**others, weights=model.standardizing_weights(power) if model and power else None)
    except (TypeError, ValueError) as error:
        raise UsageError(f"objective: {error}") from error


def make_planner(name: str, settings: Mapping[str, Any]) -> Planner:
    """Make a planner by its name.

    Raises:
        UsageError: settings that it has not, or that are out of range; the names of ``PLANNERS`` are for the key to
            check.
    """
    make = PLANNERS[name]
    kind: Any = make if isinstance(make, type) else type(make())
    _check_names("planner_settings", settings, [field.name for field in fields(kind) if field.init])
    try:
        return make(**settings)
    except (TypeError, ValueError) as error:
        raise UsageError(f"planner={name}: {error}") from error


def _check_names(key: str, given: Mapping[str, Any], known: Sequence[str]) -> None:
    """Raise a UsageError for a setting that there is not."""
    for name in given:
        if name not in known:
            raise UsageError(f"{key}: {did_you_mean('setting', name, known)}")
