"""What a report is made of."""

from dataclasses import dataclass

from ...evaluation import Evaluation


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One row of a report: who was judged where.

    Args:
        env: the environment as a reader should see it, "Wall".
        agent: the agent, "full", "scratch", "action_only", "random actions", "no-op", "true simulator".
        evaluation: what came out.
        labelled: how many labelled trajectories it was trained on; None for agents that were not trained.
    """

    env: str
    agent: str
    evaluation: Evaluation
    labelled: int | None = None
