"""How an agent should plan with a model."""

from dataclasses import dataclass

METRICS = ("l2", "squared", "l1", "cosine")  # those of GoalDistance


@dataclass(frozen=True, kw_only=True)
class PlanningSettings:
    """What suits a model's environment when an agent plans with it; saved with the model.

    ``PlanningAgent.from_model`` makes that agent. The horizon is DINO-world's (arXiv 2507.19468, table 8). The distance
    is the cosine, with which more goals were reached in all packaged environments (docs/packaged.md).

    Args:
        context_frames: how many frames, one model step apart, the model sees at most. More than 1 where one frame does
            not show all that matters, such as a speed; for example 3.
        context_steps: environment steps that the agent observes before its first plan, so that it has these frames: 2
            model steps of 5, before a third frame. For example 10.
        metric: of :class:`~wmcontrol.GoalDistance`: l2, squared, l1 or cosine; for example squared.
        metric_steps: which model steps of a plan the distance counts: last, mean, or a discount over 0 and at most 1.
            None: mean where the next plan comes before this one ends, else last. With the last step only, each replan
            postpones arrival; for example mean.
        standardize: from 0 to 2, the power of its standard deviation that each dimension of a token is divided by
            before the distance: 0 for none, 1 so that all dimensions count alike; for example 1.
        horizon: model steps that a plan looks ahead; for example 8.
        replan_every: environment steps from one plan to the next, a multiple of the model's frameskip; None: as many
            as a plan has; for example 5.

    Raises:
        ValueError: a setting is out of range; it is named.
    """

    context_frames: int = 1
    context_steps: int = 0
    metric: str = "cosine"
    metric_steps: float | str | None = None
    standardize: float = 0.0
    horizon: int = 5
    replan_every: int | None = None

    def __post_init__(self) -> None:
        for name, least in (("context_frames", 1), ("context_steps", 0), ("horizon", 1), ("replan_every", 1)):
            value = getattr(self, name)
            if name == "replan_every" and value is None:
                continue
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ValueError(f"{name} must be a whole number from {least} up, got {value!r}")
        if self.metric not in METRICS:
            raise ValueError(f"metric must be one of {list(METRICS)}, got {self.metric!r}")
        steps, power = self.metric_steps, self.standardize
        discount = isinstance(steps, (int, float)) and not isinstance(steps, bool) and 0 < steps <= 1
        if not discount and steps not in (None, "last", "mean"):
            raise ValueError(
                f'metric_steps must be "last", "mean", a discount over 0 and up to 1, or None; got {steps!r}'
            )
        if not isinstance(power, (int, float)) or isinstance(power, bool) or not 0 <= power <= 2:
            raise ValueError(f"standardize must be a number from 0 to 2, got {power!r}")
