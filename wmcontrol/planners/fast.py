"""A planner that needs few candidates."""

from typing import Any

from .icem import ICEM


def fast(**changes: Any) -> ICEM:
    """Return an ``ICEM`` for world models that scores 448 candidates where the paper's ``CEM`` scores 9,000.

    Its noise starts wide and is smooth in time, so that candidates go somewhere: independent noise of the same size
    mostly comes back to where it was. Few large iterations take less time than many small ones; with twenty, of 64
    candidates falling to 19, it found no better plans. On 256 tasks in Wall the packaged model reached 97.7 % of the
    goals with it, in PointMaze 95.3 %; in Push-T, which wants more candidates, 37.1 % where ``CEM(std=2.0)`` reaches
    66.4 %.

    Args:
        changes: settings of :class:`ICEM` to change.
    """
    settings: dict[str, Any] = {
        "num_samples": 64,
        "num_elites": 8,
        "num_iterations": 7,
        "decay": 1.0,
        "std": 2.0,
        "noise_beta": 2.0,
    }
    return ICEM(**{**settings, **changes})
