"""Planners by their names on the command line: ``planner=cem``."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from ..evaluation import Protocol
from ..models import WorldModel
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

# How the jobs plan unless told otherwise, beside what the protocol fixes. Both were chosen with the true dynamics
# in the model's place, see docs/packaged.md: goals reached in Wall rose from 85 % to 98 %, in Push-T from 53 % to 68 %.
# The paper begins with a standard deviation of 1, from which few candidates get far in 25 steps of independent noise;
# and its distance is Euclidean, which an agent also makes smaller by hiding at an edge of the frame.
WIDE = {"std": 2.0}
OBJECTIVE = {"metric": "cosine"}
# The power of whitening, where it pays (docs/packaged.md): what tells how a block is turned varies little in a token.
# In Wall it makes near goals clear and far ones dim.
WHITEN = {"wmcontrol/PushT-v0": 1.0}


def planner_settings(name: str, protocol: Protocol, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a planner: for CEM the protocol's, from a wide start, but for what is given."""
    return {**({**protocol.planner, **WIDE} if name == "cem" else {}), **given}


def objective_settings(
    protocol: Protocol, given: Mapping[str, Any], env_id: str, *, known: bool = True
) -> dict[str, Any]:
    """Return the settings of the distance to the goal: the jobs', but for what is given.

    A metric that is given is taken as it is, and so is every one where the model does not say how its tokens vary
    (``known=False``).

    Where one plans anew long before a plan ends, it counts at all steps. By the last alone to be there later is as good
    as to be there now, every new plan puts it off, and what moves by itself flies past.
    """
    steps = {"steps": "mean"} if protocol.execute < protocol.offset else {}
    whiten = {"whiten": WHITEN[env_id]} if known and env_id in WHITEN and "metric" not in given else {}
    return {**OBJECTIVE, **steps, **whiten, **given}


def make_objective(given: Mapping[str, Any], model: WorldModel | None) -> GoalDistance:
    """Make the distance to the goal; without a model only to check its settings.

    Raises:
        UsageError: settings that it has not, or that are out of range, or that the model cannot serve.
    """
    _check_names("objective", given, ("metric", "steps", "whiten"))
    others = {name: value for name, value in given.items() if name != "whiten"}
    power = given.get("whiten", 0)
    if isinstance(power, bool) or not isinstance(power, (int, float)) or not 0 <= power <= 2:
        raise UsageError(f"objective: whiten must be a number from 0 to 2, got {power!r}")
    if model and power and model.token_std is None:
        raise UsageError(
            "objective: to whiten, a model must know how its tokens vary, and this one was saved without: say "
            "objective={whiten:0}, or fine-tune it anew in another folder"
        )
    try:
        return GoalDistance(**others, weights=model.whitening(power) if model and power else None)
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
