"""The agent that goes to far goals by a temporal distance, over subgoals that its proposals are made for."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from ..checks import number, whole
from ..models import WorldModel
from ..objectives import Objective, TemporalDistance
from ..planners import Planner
from .imagining import tokens_of
from .planning import PlanningAgent
from .simulator import SimulatorModel
from .state import EnvState


@dataclass(frozen=True)
class SubgoalAgent(PlanningAgent):
    """Plans towards goals that are beyond one plan: by a temporal distance, and from proposals for many subgoals.

    Near the goal it plans as :class:`PlanningAgent` does, by ``objective``. Farther away the temporal distance from
    where a plan ends to the goal decides, and half of the proposals are for subgoals: frames of the training data that
    are within reach, and of these the nearest to the goal. The world model imagines what comes of each proposal, so no
    subgoal has to be reached, or to be a good one. What it needs is in the model: an action prior
    (:func:`wmcontrol.training.fit_prior`) and a ``temporal_embedding``
    (:func:`wmcontrol.training.fit_temporal_embedding`). Both are learned from pixels and actions of the training data.

    Args:
        num_subgoals: for each plan.
        reach: temporal distance up to which a frame is within reach of one plan, nats.
        near: temporal distance up to which it plans straight for the goal, nats.

    Raises:
        TypeError, ValueError: as of :class:`PlanningAgent`; or a model without an action prior, or without a temporal
            embedding that keeps frames.
    """

    num_subgoals: int = whole(32)
    reach: float = number(7.0, "(0, inf)")
    near: float = number(5.5, "[0, inf)")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self._world.temporal_embedding is None or not len(self._world.temporal_embedding.points):
            raise ValueError(
                "this model has no temporal embedding with frames to choose subgoals from; give it one: "
                "wmcontrol.training.fit_temporal_embedding"
            )
        if self._world.prior is None:
            raise ValueError(
                "this model has no action prior to propose for subgoals; give it one: wmcontrol.training.fit_prior"
            )
        if not getattr(self.objective, "needs_goal", True):
            raise ValueError(
                f"objective: expected one that reads the goal, such as GoalDistance(); got {self.objective}"
            )
        if self.goal_offset is not None:
            raise ValueError(f"goal_offset must be None: a far goal is due when it is reached; got {self.goal_offset}")

    @classmethod
    def from_model(
        cls,
        model: WorldModel | SimulatorModel,
        planner: Planner | None = None,
        *,
        objective: Objective | None = None,
        goal_offset: int | None = None,
        seed: int = 0,
        **changes: Any,
    ) -> "SubgoalAgent":
        """Return the agent that suits a model, as :meth:`PlanningAgent.from_model` does, but with 128 proposals.

        Raises:
            TypeError, ValueError: see there.
        """
        changes = {"num_proposals": 128, **changes}
        made = super().from_model(model, planner, objective=objective, goal_offset=goal_offset, seed=seed, **changes)
        assert isinstance(made, cls)
        return made

    def _straight(self) -> PlanningAgent:
        """Return the agent that plans straight for the goal, as this one does near it."""
        return PlanningAgent(**{part.name: getattr(self, part.name) for part in fields(PlanningAgent)})

    def _aim(self, envs: list[EnvState], waiting: Sequence[int]) -> None:
        """Leave it open when goals are due."""

    def _plan_together(
        self, envs: list[EnvState], members: Sequence[int], starts: Tensor, steps_to_go: int | None
    ) -> None:
        embedding = self._world.temporal_embedding
        assert embedding is not None
        now, goals = (torch.stack(tokens) for tokens in zip(*(_now_and_goal(envs[i]) for i in members), strict=True))
        with torch.no_grad():
            near = (embedding(now, goals) <= self.near).tolist()
        shared = {part.name: getattr(self, part.name) for part in fields(PlanningAgent)}
        from_afar = _FromAfar(
            **{**shared, "objective": TemporalDistance()}, num_subgoals=self.num_subgoals, reach=self.reach
        )
        for agent, is_near in ((self._straight(), True), (from_afar, False)):
            rows = [k for k, found in enumerate(near) if found == is_near]
            if rows:
                agent._plan_together(envs, [members[k] for k in rows], starts[rows], steps_to_go)


@dataclass(frozen=True)
class _FromAfar(PlanningAgent):
    """Plans with half of its proposals for subgoals."""

    num_subgoals: int = 32
    reach: float = 7.0

    def _proposals(
        self,
        chosen: Sequence[EnvState],
        goal: Tensor,
        steps_to_go: int | None,
        generators: list[torch.Generator],
        count: int,
    ) -> Tensor:
        """Return what the action prior proposes, (B, K, H, A): for the goals and for subgoals."""
        embedding = self._world.temporal_embedding
        assert embedding is not None
        N = min(count // 2, self.num_subgoals, len(embedding.points))
        if not N:
            return super()._proposals(chosen, goal, steps_to_go, generators, count)
        for_subgoals = count // 2
        direct = super()._proposals(chosen, goal, steps_to_go, generators, count - for_subgoals)
        now = tokens_of(chosen, self._memory, self.model.frameskip)[:, -1]
        subgoals = embedding.subgoals(now, goal, N, self.reach).to(goal)  # (B, N, P, D)
        proposed = super()._proposals(
            [env for env in chosen for _ in range(N)],
            subgoals.flatten(0, 1),
            steps_to_go,
            [generator for generator in generators for _ in range(N)],
            -(-for_subgoals // N),
        )
        # One for each subgoal, then the next for each, as many as are wanted.
        in_turn = proposed.unflatten(0, (len(chosen), N)).transpose(1, 2).flatten(1, 2)
        return torch.cat([direct, in_turn[:, :for_subgoals]], 1)


def _now_and_goal(env: EnvState) -> tuple[Tensor, Tensor]:
    assert env.goal is not None
    return env.tokens[env.step], env.goal
