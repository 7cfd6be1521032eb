"""The agent that goes to far goals by a temporal distance, over subgoals that its proposals are made for."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from ..checks import number, whole
from ..models import TemporalEmbedding, WorldModel
from ..objectives import Objective, Term
from ..planners import Planner
from .imagining import Explanation, WayToGoal, tokens_of
from .planning import PlanningAgent
from .simulator import SimulatorModel
from .state import AgentState, EnvState

_AROUND = 512  # kept frames around an environment that a way may begin at


@dataclass(frozen=True)
class SubgoalAgent(PlanningAgent):
    """Plans towards goals that are beyond one plan: by a temporal distance, and from proposals for many subgoals.

    Near the goal it plans as :class:`PlanningAgent` does, by ``objective``. Farther away the way from where a plan ends
    to the goal decides, over frames of the training data, and half of the proposals are for subgoals: of these frames
    within reach those with the shortest ways to the goal. The world model imagines what comes of each proposal, so no
    subgoal has to be reached, or to be a good one. ``explain`` says the way. What it needs is in the model: an action
    prior (:func:`wmcontrol.training.fit_prior`) and a ``temporal_embedding``
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

    def explain(self, state: AgentState) -> tuple[Explanation | None, ...]:
        """Return for each environment what its last plan imagined, what came of it, and the way to the goal."""
        explained = zip(super().explain(state), state.envs, strict=True)
        return tuple(None if told is None else replace(told, path=self._way(env)) for told, env in explained)

    def _way(self, env: EnvState) -> WayToGoal:
        assert env.last_plan is not None
        now, goal, _ = _known(env.last_plan.made_from)
        with torch.no_grad():
            distance = float(self._embedding(now, goal))
        straight = distance <= self.near
        frames = () if straight else tuple(self._embedding.way(now, goal, self.reach))
        return WayToGoal(frames, distance, straight)

    @property
    def _embedding(self) -> TemporalEmbedding:
        assert self._world.temporal_embedding is not None
        return self._world.temporal_embedding

    def _aim(self, envs: list[EnvState], waiting: Sequence[int]) -> None:
        """Measure the ways to new goals. When they are due is left open."""
        for i in waiting:
            goal = envs[i].goal
            if envs[i].ways is None and goal is not None:
                envs[i] = replace(envs[i], ways=self._embedding.ways_to(goal, self.reach))

    def _plan_together(
        self, envs: list[EnvState], members: Sequence[int], starts: Tensor, steps_to_go: int | None
    ) -> None:
        embedding = self._embedding
        now, goals, ways = (torch.stack(part) for part in zip(*(_known(envs[i]) for i in members), strict=True))
        with torch.no_grad():
            near = (embedding(now, goals) <= self.near).tolist()
            there = torch.cdist(embedding.embed(now), embedding.points)
        around = there.topk(min(_AROUND, len(embedding.points)), largest=False).indices
        shared = {part.name: getattr(self, part.name) for part in fields(PlanningAgent)}
        for is_near in (True, False):
            rows = [k for k, found in enumerate(near) if found == is_near]
            if not rows:
                continue
            if is_near:
                agent = PlanningAgent(**shared)
            else:
                chosen = around[rows]
                way = _WayToGoal(embedding, embedding.points[chosen], ways[rows].gather(1, chosen), self.reach)
                afar = {**shared, "objective": way}
                agent = _FromAfar(**afar, num_subgoals=self.num_subgoals, reach=self.reach)
            agent._plan_together(envs, [members[k] for k in rows], starts[rows], steps_to_go)


@dataclass(frozen=True)
class _WayToGoal(Term):
    """How long the way from the last imagined frame to the goal is: to a kept frame and from there, or at once.

    Args:
        embedding: measures.
        points: (B, N, E) of frames around where each of the environments is.
        ways: (B, N) from these to its goal.
        reach: distance up to which it may go at once.
    """

    embedding: TemporalEmbedding
    points: Tensor
    ways: Tensor
    reach: float
    last_only = True

    def __call__(self, latents: Tensor, goal: Tensor, actions: Tensor) -> Tensor:
        """Return the costs (B, S), squared nats."""
        ends = self.embedding.embed(latents[:, :, -1])
        over = (torch.cdist(ends, self.points).square() + self.ways[:, None]).amin(-1)
        straight = torch.linalg.vector_norm(ends - self.embedding.embed(goal)[:, None], dim=-1)
        return torch.where(straight <= self.reach, torch.minimum(over, straight.square()), over)


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
        ways = torch.stack([_known(env)[2] for env in chosen])
        N = min(count // 2, self.num_subgoals, len(embedding.points))
        if not N:
            return super()._proposals(chosen, goal, steps_to_go, generators, count)
        for_subgoals = count // 2
        direct = super()._proposals(chosen, goal, steps_to_go, generators, count - for_subgoals)
        now = tokens_of(chosen, self._memory, self.model.frameskip)[:, -1]
        subgoals = embedding.subgoals(now, ways, N, self.reach).to(goal)  # (B, N, P, D)
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


def _known(env: EnvState) -> tuple[Tensor, Tensor, Tensor]:
    """Return where an environment is, its goal, both (P, D), and the ways there (K,)."""
    assert env.goal is not None
    assert env.ways is not None
    return env.tokens[env.step], env.goal, env.ways
