"""The planner to act with when there is a tenth of a second."""

from typing import Any

from .icem import ICEM


def fast(**changes: Any) -> ICEM:
    """Return an ``ICEM`` for world models: a twentieth of the candidates of the paper's ``CEM``, and no worse plans.

    Its noise starts wide and is smooth in time, so that candidates go somewhere: independent noise of the same size
    mostly comes back to where it was. On 16 tasks in Wall, with the packaged model, its 457 candidates found plans of
    a mean cost of 0.0001 where the 9,000 of ``CEM(std=2.0)`` found 0.017: they got through the door.

    Args:
        changes: settings of :class:`ICEM` to change.
    """
    settings: dict[str, Any] = {"num_samples": 64, "num_elites": 8, "num_iterations": 20, "std": 2.0, "noise_beta": 2.0}
    return ICEM(**{**settings, **changes})
