"""How agents are evaluated: named, so that numbers can be compared."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ..checks import check_whole


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """What is fixed before an agent is evaluated; ``dataclasses.replace(protocol, budget=100)`` makes another of it.

    Attributes:
        name: of the protocol.
        goal_offset: environment steps between start and goal in the trajectory that they come from. None: the goal is
            of another trajectory. For example 50.
        budget: environment steps that an agent gets, always all of them.
        replan_every: environment steps that a planning agent takes of each plan.
        num_tasks: how many.
        horizon: model steps that a plan looks ahead.
        planner: settings of CEM.

    Raises:
        ValueError: a number that is not a whole one from 1 up; it is named.
    """

    name: str
    goal_offset: int | None = 25
    budget: int = 25
    replan_every: int = 25
    num_tasks: int = 512
    horizon: int = 5
    planner: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("goal_offset", "budget", "replan_every", "num_tasks", "horizon"):
            if name != "goal_offset" or self.goal_offset is not None:
                check_whole(name, getattr(self, name))

    def as_dict(self) -> dict[str, Any]:
        """Return the settings, as JSON can write them."""
        return asdict(self) | {"planner": dict(self.planner)}


_CEM = {"num_samples": 300, "num_elites": 10, "num_iterations": 30}
PROTOCOLS: Mapping[str, Protocol] = {
    # DINO-world (arXiv 2507.19468, appendix D.3): one plan, all of it executed.
    "paper": Protocol(name="paper", planner=_CEM),
    # The same with a new plan in each model step, and twice the time.
    "mpc": Protocol(name="mpc", budget=50, replan_every=5, planner=_CEM),
    # stable-worldmodel's: plans of 25 steps, all of them executed, twice.
    "swm": Protocol(name="swm", budget=50, planner={**_CEM, "num_elites": 30}),
    # Farther than one plan, nobody knows how far.
    "far": Protocol(name="far", goal_offset=None, budget=150, replan_every=5, num_tasks=256, planner=_CEM),
}


def protocol_named(name: str | Protocol, **changes: int | None) -> Protocol:
    """Return a protocol by its name, or one that is given.

    Args:
        name: of the protocol.
        changes: of its settings; its name then tells them, but for the number of tasks.

    Raises:
        ValueError: there is none of this name.
    """
    if not isinstance(name, Protocol) and name not in PROTOCOLS:
        raise ValueError(f"protocol must be one of {sorted(PROTOCOLS)}, or a Protocol; got {name!r}")
    known = name if isinstance(name, Protocol) else PROTOCOLS[name]
    told = [f"{key}={value}" for key, value in changes.items() if key != "num_tasks" and value != getattr(known, key)]
    return replace(known, **changes, name=" ".join([known.name, *told]))  # type: ignore[arg-type]
