"""A planner that needs few candidates."""

from typing import Any

from .icem import ICEM


def fast(**changes: Any) -> ICEM:
    """Return an ``ICEM`` for world models that scores 457 candidates where the paper's ``CEM`` scores 9,000.

    Its noise starts wide and is smooth in time, so that candidates go somewhere: independent noise of the same size
    mostly comes back to where it was. On 512 tasks in Wall the packaged model reached 95.3 % of the goals with it and
    96.1 % with ``CEM(std=2.0)``; in Push-T, which wants more candidates, 41.4 % and 65.8 %.

    Args:
        changes: settings of :class:`ICEM` to change.
    """
    settings: dict[str, Any] = {"num_samples": 64, "num_elites": 8, "num_iterations": 20, "std": 2.0, "noise_beta": 2.0}
    return ICEM(**{**settings, **changes})
