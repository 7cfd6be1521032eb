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
from .imagining import Explanation, WayToGoal, context_of, tokens_of
from .planning import PlanningAgent, check_reads_goal, goals_of
from .simulator import SimulatorModel
from .state import AgentState, EnvState

_AROUND = 512  # kept frames around an environment that a way may begin at
_BESIDE = 0.4  # of what is within reach: how far from a frame another is doubted 0.6 times as much


@dataclass(frozen=True)
class SubgoalAgent(PlanningAgent):
    """Plans towards goals that are beyond one plan: by a temporal distance, and from proposals for many subgoals.

    Near the goal it plans as :class:`PlanningAgent` does, by ``objective``, and estimates when the goal is due; anew
    where that is over and the goal is not reached. Farther away the way from where a plan ends to the goal decides,
    over frames of the training data, and half of the proposals are for subgoals: of these frames within reach those
    with the shortest ways to the goal. The world model imagines what comes of each proposal, so no subgoal has to be
    reached, or to be a good one. Each plan makes the ways longer from around the frame that it leads over, so that one
    that fails again and again is given up, as learning real-time A* raises its estimates (Korf, Artificial
    Intelligence 42, 1990). ``explain`` says the way. What it needs is in the model: an action prior
    (:func:`wmcontrol.training.fit_prior`) and a ``temporal_embedding``
    (:func:`wmcontrol.training.fit_temporal_embedding`). Both are learned from pixels and actions of the training data.

    Args:
        num_subgoals: for each plan.
        reach: temporal distance up to which a frame is within reach of one plan, nats.
        near: temporal distance up to which it plans straight for the goal, nats.
        arrived: temporal distance up to which the goal counts as reached, nats.
        doubt: how much longer each plan makes the ways from the frame that it leads over, over the square of ``reach``;
            the less, the farther from that frame.

    Raises:
        TypeError, ValueError: as of :class:`PlanningAgent`; or a model without an action prior, or without a temporal
            embedding that keeps frames.
    """

    num_subgoals: int = whole(32)
    # Squares of distances and of what makes them longer are single-precision numbers.
    reach: float = number(7.0, "[1e-3, 1e6]")
    near: float = number(5.5, "[0, 1e6]")
    arrived: float = number(3.0, "[0, 1e6]")
    doubt: float = number(0.08, "[0, 1e6]")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self._world.temporal_embedding is None or not len(self._world.temporal_embedding.points):
            other = "" if self._world.landmarks is None else "; it can plan with agent=hierarchical, HierarchicalAgent"
            raise ValueError(
                "this model has no temporal embedding with frames to choose subgoals from; fit_temporal_embedding "
                f"gives it one{other}"
            )
        if self._world.prior is None:
            raise ValueError("this model has no action prior to propose for subgoals; fit_prior gives it one")
        if not self.num_proposals:
            raise ValueError("num_proposals must be at least 1: goals and subgoals are reached by proposals; got 0")
        check_reads_goal(self.objective)
        if self.goal_offset is not None:
            raise ValueError(
                f"goal_offset must be None: when a goal is due is estimated near it; got {self.goal_offset}"
            )

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

    @property
    def searches_noise(self) -> bool:
        """False: proposals are for many goals, each with its own way from noise to actions."""
        return False

    def explain(self, state: AgentState) -> tuple[Explanation | None, ...]:
        """Return for each environment what its last plan imagined, what came of it, and the way to the goal."""
        explained = zip(super().explain(state), state.envs, strict=True)
        return tuple(None if told is None else replace(told, path=self._way(env)) for told, env in explained)

    def _way(self, env: EnvState) -> WayToGoal:
        assert env.last_plan is not None
        begun = env.last_plan.made_from
        assert begun.goal is not None
        (distance,), straight = self._distances([begun]), begun.due is not None
        frames = [] if straight else self._embedding.way(begun.tokens[begun.step], begun.goal, self.reach, begun.ways)
        return WayToGoal(tuple(frames), distance, straight)

    @property
    def _embedding(self) -> TemporalEmbedding:
        assert self._world.temporal_embedding is not None
        return self._world.temporal_embedding

    def _aim(self, envs: list[EnvState], waiting: Sequence[int]) -> None:
        """Measure the ways to new goals, and decide when goals are due that are near; when others are is left open."""
        due = []
        for i, distance in zip(waiting, self._distances([envs[i] for i in waiting]), strict=True):
            env = envs[i]
            assert env.goal is not None
            if env.ways is None:
                env = replace(env, ways=self._embedding.ways_to(env.goal, self.reach))
            if distance > self.near:
                env = replace(env, due=None)
            elif env.due is None or (env.step >= env.due and distance > self.arrived):
                due.append(i)
            envs[i] = env
        for i, step in zip(due, self._due([envs[i] for i in due]), strict=True):
            envs[i] = replace(envs[i], due=step)

    @torch.no_grad()
    def _distances(self, envs: Sequence[EnvState]) -> list[float]:
        """Return the temporal distances to goals."""
        if not envs:
            return []
        now = torch.stack([env.tokens[env.step] for env in envs])
        found: list[float] = self._embedding(now, goals_of(envs)).tolist()
        return found

    def _plan_together(
        self, envs: list[EnvState], members: Sequence[int], starts: Tensor, steps_to_go: int | None
    ) -> None:
        shared = {part.name: getattr(self, part.name) for part in fields(PlanningAgent)} | {"search_space": "actions"}
        near = [i for i in members if envs[i].due is not None]
        far = [i for i in members if envs[i].due is None]
        rows = {i: k for k, i in enumerate(members)}
        if near:
            begun = starts[[rows[i] for i in near]]
            PlanningAgent(**shared)._plan_together(envs, near, begun, steps_to_go)
        if far:
            way = self._way_length([envs[i] for i in far])
            agent = _FromAfar(**{**shared, "objective": way}, num_subgoals=self.num_subgoals, reach=self.reach)
            agent._plan_together(envs, far, starts[[rows[i] for i in far]], steps_to_go)
            if self.doubt:
                self._doubt(envs, far, way)

    @torch.no_grad()
    def _doubt(self, envs: list[EnvState], members: Sequence[int], way: "_WayLength") -> None:
        """Make the ways longer from around the frames that the last plans lead over."""
        made = [record for i in members if (record := envs[i].last_plan) is not None]
        context = context_of(self.model, [record.made_from for record in made], self._memory)
        plans = torch.cat([record.plan.actions for record in made])[:, None]
        first = way.first(self.model.rollout(context, plans, last_only=True)[:, :, -1])[:, 0]
        over = torch.stack([points[number] for points, number in zip(way.points, first, strict=True)])
        apart = torch.cdist(over, self._embedding.points)
        longer = self.doubt * self.reach**2 * torch.exp(-0.5 * (apart / (_BESIDE * self.reach)).square())
        for i, more in zip(members, longer, strict=True):
            envs[i] = replace(envs[i], ways=_ways_of(envs[i]) + more)

    def _way_length(self, envs: Sequence[EnvState]) -> "_WayLength":
        """Return what judges plans for goals that are far."""
        points = self._embedding.points
        with torch.no_grad():
            here = self._embedding.embed(torch.stack([env.tokens[env.step] for env in envs]))
            around = torch.cdist(here, points).topk(min(_AROUND, len(points)), largest=False).indices
        ways = torch.stack([_ways_of(env) for env in envs]).gather(1, around)
        at_once = [self.reach if distance <= self.reach else -1.0 for distance in self._distances(envs)]
        return _WayLength(self._embedding, points[around], ways, ways.new_tensor(at_once))


@dataclass(frozen=True)
class _WayLength(Term):
    """How long the way from the last imagined frame to the goal is: to a kept frame and from there, or at once.

    Args:
        embedding: measures.
        points: (B, N, E) of frames around where each of the environments is.
        ways: (B, N) from these to its goal.
        at_once: (B,) distance up to which it may go at once; negative where it may not.
    """

    embedding: TemporalEmbedding
    points: Tensor
    ways: Tensor
    at_once: Tensor
    last_only = True

    def __call__(self, latents: Tensor, goal: Tensor, actions: Tensor) -> Tensor:
        """Return the costs (B, S), squared nats."""
        ends = self.embedding.embed(latents[:, :, -1])
        over = self._over(ends).amin(-1)
        straight = torch.linalg.vector_norm(ends - self.embedding.embed(goal)[:, None], dim=-1)
        return torch.where(straight <= self.at_once[:, None], torch.minimum(over, straight.square()), over)

    def first(self, ends: Tensor) -> Tensor:
        """Return which of the frames (B, S) is the first on the way from each of frames (B, S, P, D)."""
        return self._over(self.embedding.embed(ends)).argmin(-1)

    def _over(self, ends: Tensor) -> Tensor:
        """Return how long ways (B, S, N) from points (B, S, E) are, over each of the frames."""
        return torch.cdist(ends, self.points).square() + self.ways[:, None]


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
        ways = torch.stack([_ways_of(env) for env in chosen])
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


def _ways_of(env: EnvState) -> Tensor:
    assert env.ways is not None
    return env.ways
