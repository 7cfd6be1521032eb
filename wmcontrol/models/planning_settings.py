"""How an agent should plan with a model."""

from dataclasses import dataclass

from ..checks import check_choice, check_fields, check_number, choice, number, whole

METRICS = ("l2", "squared", "l1", "cosine")  # those of GoalDistance
SEARCH_SPACES = ("noise", "actions")


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
        num_proposals: sequences of actions that the search begins with, of a model that has an action prior
            (:func:`~wmcontrol.training.fit_prior`); for example 200.
        search_space: what a planner searches over: actions; or noise, which the model's action prior makes actions
            from, where it has one; for example actions.

    Raises:
        ValueError: a setting is out of range; it is named.
    """

    # Files have these too, and a plan takes memory for as many steps, frames and proposals as they say.
    context_frames: int = whole(1, most=1000)
    context_steps: int = whole(0, least=0, most=10**6)
    metric: str = choice("cosine", METRICS)
    metric_steps: float | str | None = None
    standardize: float = number(0.0, "[0, 2]")
    horizon: int = whole(5, most=1000)
    replan_every: int | None = whole(None, most=10**6)
    num_proposals: int = whole(64, least=0, most=2**16)
    search_space: str = choice("noise", SEARCH_SPACES)

    def __post_init__(self) -> None:
        check_fields(self)
        if isinstance(self.metric_steps, str):
            check_choice("metric_steps", self.metric_steps, ("last", "mean"))
        elif self.metric_steps is not None:
            check_number("metric_steps", self.metric_steps, "(0, 1]")
