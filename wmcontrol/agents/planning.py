"""The agent that plans."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..actions import ActionLayout
from ..checks import check_fields, choice, whole
from ..models import ActionNormalizer, ActionPrior, PlanningSettings, WorldModel
from ..models.ordinary import ordinary_tensors
from ..models.planning_settings import SEARCH_SPACES
from ..objectives import GoalDistance, LearnedReward, Objective, objective_for, objective_from
from ..planners import CEM, BestProposal, CategoricalCEM, Plan, Planner, fast
from .imagining import Explanation, LatentCost, context_of, explain, steps_of, tokens_of
from .observations import read, read_starts
from .simulator import SimulatorModel
from .state import Actions, AgentState, EnvState, Observation, Pixels, PlanRecord, row_of

_TRIED = 16  # proposals for each number of steps to go, where these are estimated
_ABOUT = 0.2  # more of the cost is about as near
_FARTHEST = 4.0  # of a number of noise from 0; of standard normal ones, 1 in 16,000 is


@dataclass(frozen=True)
class PlanningAgent:
    """Plans in a world model's latent space towards the goal that comes with the observation, or for rewards.

    ``predict`` is that of Stable-Baselines3, so that whatever runs its policies runs this agent. The agent itself
    never changes: all that it remembers is in the state that ``predict`` returns. What is planned for one environment
    depends on nothing that others in the batch show, except for the last digits of floating-point numbers, which on
    some machines depend on how many are computed at once.

    Args:
        model: imagines; or the true simulator in its place.
        planner: searches for actions.
        objective: judges what is imagined; what it needs of the model, as :class:`~wmcontrol.TimeToGoal` does, it gets.
        horizon: model steps that a plan looks ahead, H.
        replan_every: environment steps from one plan to the next, a multiple of the model's frameskip: 25 is open loop
            for 5 model steps of 5, as in DINO-world; with 5 there is a new plan in each model step. What is left of a
            plan starts the next.
        context_frames: how many frames, one model step apart, the model sees at most.
        goal_offset: environment steps from the first plan for a goal until it is due, where that is known. The
            objective then counts distances from that step of a plan on, and the action prior proposes so many. Where it
            is not known, an action prior estimates it: the first plan tries proposals for each number of steps.
        num_proposals: sequences of actions of the model's action prior, where it has one, that the search begins with.
        search_space: what the planner searches over: actions; or noise, which the model's action prior makes actions
            from, where it has one that proposes whole plans of real numbers. Every candidate then is made by the prior,
            as are the actions of a diffusion policy that reinforcement learning steers (Wagenmaker et al. 2025, arXiv
            2506.15799). A planner should begin with a standard deviation of 1, as ``from_model`` has it.
        seed: of all randomness.

    Raises:
        TypeError, ValueError: a model that takes no actions, or settings that do not fit it.
    """

    model: WorldModel | SimulatorModel = field(repr=False)  # whose layers would fill a page
    planner: Planner
    objective: Objective
    horizon: int = whole(5)
    replan_every: int = whole(25)
    context_frames: int = whole(1)
    goal_offset: int | None = whole(None)
    num_proposals: int = whole(64, least=0)
    search_space: str = choice("noise", SEARCH_SPACES)
    seed: int = whole(0, least=0)

    def __post_init__(self) -> None:
        if not isinstance(self.model, (WorldModel, SimulatorModel)):
            raise TypeError(f"model must be a WorldModel or a SimulatorModel, got {type(self.model).__name__}")
        if not isinstance(self.planner, Planner):
            raise TypeError(f"planner must be a Planner, such as CEM(), got {self.planner!r}")
        if not callable(self.objective) or isinstance(self.objective, type):
            raise TypeError(f"objective must be a function, such as GoalDistance(), got {self.objective!r}")
        if self.model.normalizer is None:
            raise ValueError("this model takes no actions, so nothing can be planned with it; fine-tune it first")
        check_fields(self)
        object.__setattr__(self, "objective", objective_for(self.objective, self._world))
        object.__setattr__(self, "planner", _suited(self.planner, self.action_layout.choices))
        if isinstance(self.planner, BestProposal) and not (self._world.prior and self.num_proposals):
            raise ValueError(
                "BestProposal chooses among what the model's action prior proposes, and there is nothing: it needs a "
                "model with a prior, which fit_prior gives it, and num_proposals over 0"
            )
        frameskip = self.model.frameskip
        if self.replan_every % frameskip or self.replan_every > self.horizon * frameskip:
            raise ValueError(
                f"replan_every must be a multiple of the model's frameskip, {frameskip}, and at most horizon times it, "
                f"{self.horizon * frameskip}; got {self.replan_every}"
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
    ) -> "PlanningAgent":
        """Return the agent that suits a model: by the settings that it was saved with, but for the changes.

        Args:
            model: imagines; or the true simulator in its place.
            planner: by default ``wmcontrol.planners.fast()`` for a model with an action prior, and
                ``fast(std=1.0, noise_beta=0.0)`` where the noise of the prior is searched; for others ``CEM(std=2.0)``,
                which takes ten times as long; where actions are choices, ``CategoricalCEM()``.
            objective: by default the rewards that the model's head predicts, where it has one; else the distance that
                the settings describe.
            goal_offset: environment steps until a goal is due; see the constructor.
            seed: of all randomness.
            changes: fields of :class:`~wmcontrol.PlanningSettings`, as ``replan_every=5``; or arguments that this kind
                of agent alone has, as ``patience=2`` of :class:`~wmcontrol.HierarchicalAgent`.

        Raises:
            TypeError, ValueError: as for the constructor; a change that is none of these; or ``standardize`` with a
                model that does not say how its tokens vary.
        """
        world = model.model if isinstance(model, SimulatorModel) else model
        if not isinstance(world, WorldModel):
            raise TypeError(f"model must be a WorldModel or a SimulatorModel, got {type(model).__name__}")
        own = {field.name for field in fields(cls)} - {field.name for field in fields(PlanningAgent)}
        known = own | {field.name for field in fields(PlanningSettings)}
        for name in changes.keys() - known:
            known |= {"planner", "objective", "goal_offset", "seed"}
            raise TypeError(f"from_model: unknown {name!r}; expected one of {', '.join(sorted(known))}")
        settings = replace(world.planning, **{name: value for name, value in changes.items() if name not in own})
        distance = sorted({"metric", "metric_steps", "standardize"} & changes.keys())
        if distance and objective is not None:
            raise TypeError(
                f"from_model: {', '.join(distance)} would describe the distance if no objective were given, and "
                f"{objective} is; leave one of them out"
            )
        whole = settings.horizon * world.frameskip
        replan_every = settings.replan_every or whole
        if objective is None and world.reward is not None:
            objective = LearnedReward(world.reward, world.frameskip)
        elif objective is None:
            weights = world.standardizing_weights(settings.standardize) if settings.standardize else None
            steps = settings.metric_steps or ("mean" if replan_every < whole else "last")
            objective = GoalDistance(settings.metric, steps, weights)  # type: ignore[arg-type]
        if planner is None and world.normalizer and world.normalizer.layout.choices:
            planner = CategoricalCEM()
        made = cls(
            model,
            planner or (CEM(std=2.0) if world.prior is None else fast()),
            objective,
            horizon=settings.horizon,
            replan_every=replan_every,
            context_frames=settings.context_frames,
            goal_offset=goal_offset,
            num_proposals=settings.num_proposals,
            search_space=settings.search_space,
            seed=seed,
            **{name: value for name, value in changes.items() if name in own},
        )
        # A prior's noise is standard normal, and no number of it goes before another.
        return replace(made, planner=fast(std=1.0, noise_beta=0.0)) if planner is None and made.searches_noise else made

    @property
    def frame_size(self) -> tuple[int, int]:
        """Height and width that ``pixels`` and ``goal_pixels`` must have."""
        return self.model.frame_size

    @property
    def control_rate(self) -> float:
        """Environment actions per second that the model was trained at, Hz."""
        return self.model.control_rate

    @property
    def action_bounds(self) -> tuple[Actions, Actions]:
        """The lowest and the highest action, as vectors (a,)."""
        return self._normalizer.low.cpu().numpy(), self._normalizer.high.cpu().numpy()

    @property
    def action_layout(self) -> ActionLayout:
        """How the environment's actions lie in vectors."""
        return self._normalizer.layout

    @property
    def prior(self) -> ActionPrior | None:
        """What proposes the actions that a search begins with; None where the model has none, or none are asked for."""
        return self._world.prior if self.num_proposals and getattr(self.objective, "needs_goal", True) else None

    @property
    def searches_noise(self) -> bool:
        """Whether the planner searches over the noise of an action prior; else it does over actions.

        Of plans that are longer than the prior's it could not search the end.
        """
        if self.search_space == "actions" or isinstance(self.planner, BestProposal) or self.action_layout.choices:
            return False
        return self.prior is not None and self.horizon <= self.prior.horizon

    @property
    def reads_state(self) -> bool:
        """Whether observations must hold the true ``state``, and the ``variation`` of environments that vary."""
        return isinstance(self.model, SimulatorModel)

    @ordinary_tensors()
    def predict(
        self,
        observation: Any,
        state: AgentState | None = None,
        episode_start: Any = None,
        deterministic: bool = True,
    ) -> tuple[Actions, AgentState]:
        """Choose the next action of one environment or of each of a batch.

        Args:
            observation: dict with ``pixels`` and ``goal_pixels``, uint8 (height, width, 3), or (B, height, width, 3)
                for a batch; colours may also stand first. Other keys are not looked at, nor is the goal where the
                objective reads none. A goal that changes is planned for at once.
            state: what the last call returned; None at first.
            episode_start: (B,) bool, in which environments ``observation`` is the first of an episode; what was known
                of them is forgotten. For Gymnasium's vector environments with their default autoreset that is the call
                after the one that saw the last observation, see docs/environments.md. One that starts and starts
                again with the very same frame and goal is taken for idle: its action stays.
            deterministic: not looked at; all randomness follows from the seed.

        Returns:
            Actions in the environment's units and bounds, float32, or whole numbers where they are choices, of the
            shape of its action space, or with B before; and the state for the next call.

        Raises:
            TypeError, ValueError: what does not fit, before anything is planned.
        """
        known, batched = self._read(observation, state, episode_start)
        envs = [env for env, _, _ in known]
        acting = []
        for i, (env, newest, started) in enumerate(known):
            if not _is_idle(env, newest, started):
                envs[i] = self._received(env, newest, started)
                acting.append(i)
        self._plan(envs, [i for i in acting if envs[i].queue is None])
        for i in acting:
            envs[i] = self._acted(envs[i])
        actions = self.action_layout.to_actions(np.stack([env.taken[-1] for env in envs if env.taken is not None]))
        return actions if batched else actions[0], AgentState(tuple(envs), self._kind)

    def start(self, seeds: Iterable[int]) -> AgentState:
        """Return the state before the first call for environments with random numbers of their own: a seed for each.

        Without it environment ``i`` of a batch has the seed ``i``.
        """
        return AgentState(tuple(EnvState(seed=(int(self.seed), int(seed))) for seed in seeds), self._kind)

    @ordinary_tensors()
    def observe(
        self, observation: Any, state: AgentState | None, actions: NDArray[Any], episode_start: Any = None
    ) -> AgentState:
        """Take note of what another acts, such as a demonstrator before the agent takes over; nothing is planned.

        Args:
            observation: as for ``predict``.
            state: as for ``predict``.
            actions: what is done now, as ``predict`` returns it.
            episode_start: as for ``predict``.
        """
        known, batched = self._read(observation, state, episode_start)
        given, layout = np.asarray(actions), self.action_layout
        expected = (len(known), *layout.shape) if batched else layout.shape
        if given.shape != expected:
            raise ValueError(f"actions must have shape {expected}, got {given.shape}")
        taken = np.asarray(layout.to_vectors(given if batched else given[None]), np.float32)
        if not np.isfinite(taken).all():
            raise ValueError(f"actions must be finite, got {given.tolist()}")
        envs = []
        for (env, newest, started), action in zip(known, taken, strict=True):
            received = self._received(env, newest, started)
            envs.append(self._acted(replace(received, queue=action[None], last_plan=None)))
        return AgentState(tuple(envs), self._kind)

    def explain(self, state: AgentState) -> tuple[Explanation | None, ...]:
        """Return for each environment what its last plan imagined and what came of it; None before its first plan."""
        return tuple(explain(self.model, env.last_plan, self._memory) for env in self._own(state).envs)

    @property
    def _world(self) -> WorldModel:
        return self.model.model if isinstance(self.model, SimulatorModel) else self.model

    @property
    def _normalizer(self) -> ActionNormalizer:
        assert self.model.normalizer is not None
        return self.model.normalizer

    @property
    def _kind(self) -> str:
        return f"{type(self).__name__} that sees context_frames={self.context_frames} at {self.control_rate:g} Hz"

    def _own(self, state: Any) -> AgentState:
        """Return a state, once it is one that this kind of agent can go on with."""
        if not isinstance(state, AgentState):
            raise TypeError(f"state must be what predict returned, or None at first; got {type(state).__name__}")
        if state.kind not in ("", self._kind):
            raise ValueError(f"state is of a {state.kind}, and this is a {self._kind}; begin with state=None")
        return state

    @property
    def _memory(self) -> int:
        """How many environment steps a context reaches back."""
        return (self.context_frames - 1) * self.model.frameskip

    def _read(
        self, observation: Any, state: AgentState | None, episode_start: Any
    ) -> tuple[list[tuple[EnvState, Observation, bool]], bool]:
        """Return of each environment what was known, what is new, and whether it starts; and whether it is a batch."""
        needs_goal = getattr(self.objective, "needs_goal", True)
        observations, batched = read(observation, self.frame_size, with_goal=needs_goal, with_state=self.reads_state)
        count = len(observations)
        if state is None:
            state = self.start(range(count))
        if len(self._own(state).envs) != count:
            raise ValueError(f"the state is of {len(state.envs)} environments, the observation of {count}")
        return list(zip(state.envs, observations, read_starts(episode_start, count), strict=True)), batched

    def _received(self, env: EnvState, newest: Observation, started: bool) -> EnvState:
        """Return what is known once an observation came; without a queue if it must be planned for."""
        last, pixels = env.newest, newest.pixels
        same_goal = last is not None and np.array_equal(last.goal, newest.goal)
        if last is None or started:
            episode = env.episode if last is None else env.episode + 1
            fresh = EnvState(seed=env.seed, episode=episode, decisions=env.decisions)
            return replace(fresh, newest=newest, frames={0: pixels}, started=started)
        step = env.step + 1
        oldest = step - self._memory
        env = replace(
            env,
            step=step,
            newest=newest,
            frames={s: p for s, p in env.frames.items() if s >= oldest} | {step: pixels},
            tokens={s: z for s, z in env.tokens.items() if s >= oldest},
            last_plan=self._seen(env.last_plan, step, pixels),
            started=started,
        )
        return (
            env if same_goal else replace(env, goal=None, route=None, ways=None, due=None, queue=None, last_plan=None)
        )

    def _seen(self, last_plan: PlanRecord | None, step: int, pixels: Pixels) -> PlanRecord | None:
        if last_plan is None:
            return None
        ahead, rest = divmod(step - last_plan.made_from.step, self.model.frameskip)
        if rest or ahead > self.horizon:
            return last_plan
        return replace(last_plan, seen=(*last_plan.seen, pixels))

    def _acted(self, env: EnvState) -> EnvState:
        """Return what is known after the next action of the queue."""
        assert env.queue is not None
        new, queue = env.queue[:1], env.queue[1:]
        taken = new if env.taken is None else np.concatenate([env.taken, new])
        return replace(env, taken=taken[-max(1, self._memory) :], queue=queue if len(queue) else None)

    def _plan(self, envs: list[EnvState], waiting: Sequence[int]) -> None:
        """Plan for these environments: those with as many frames, starts and steps to go in one batch."""
        self._encode(envs, waiting)
        self._aim(envs, waiting)
        groups: dict[tuple[int, int, int | None], list[tuple[int, Tensor]]] = {}
        for i in waiting:
            start = self._start(envs[i])
            frames = self._num_frames(envs[i])
            groups.setdefault((frames, start.shape[1], self._steps_to_go(envs[i])), []).append((i, start))
        for (_, _, steps), group in groups.items():
            members, starts = zip(*group, strict=True)
            self._plan_together(envs, members, torch.cat(starts), steps)

    def _aim(self, envs: list[EnvState], waiting: Sequence[int]) -> None:
        """Decide what the next plans go to and when that is due: the goal, when it is known to be."""
        new = [i for i in waiting if envs[i].due is None]
        for i, due in zip(new, self._due([envs[i] for i in new]), strict=True):
            envs[i] = replace(envs[i], due=due)

    def _encode(self, envs: list[EnvState], waiting: Sequence[int]) -> None:
        """Encode frames and goals that are not yet encoded, all in one batch."""
        missing: list[tuple[int, int | None, Pixels]] = []  # environment, step (None for its goal), frame
        for i in waiting:
            env, newest = envs[i], envs[i].newest
            assert newest is not None
            if env.goal is None and newest.goal.size:
                missing.append((i, None, newest.goal))
            steps = steps_of(env, self._memory, self.model.frameskip)
            missing += [(i, step, env.frames[step]) for step in steps if step not in env.tokens]
        if not missing:
            return
        frames = torch.from_numpy(np.stack([pixels for *_, pixels in missing]))
        for (i, step, _), encoded in zip(missing, self.model.encode(frames[:, None])[:, 0], strict=True):
            tokens = encoded.clone()
            change = {"goal": tokens} if step is None else {"tokens": {**envs[i].tokens, step: tokens}}
            envs[i] = replace(envs[i], **change)

    def _start(self, env: EnvState) -> Tensor:
        """Return where the search starts, (1, K, H, A): what is left of the last plan, or the mean action."""
        executed = self.replan_every // self.model.frameskip
        if env.last_plan is not None and executed < self.horizon:
            return env.last_plan.plan.shift(executed, elites=True)
        shape = (1, 1, self.horizon, self._normalizer.action_dim)
        return torch.zeros(shape, dtype=torch.float32, device=self.model.device)

    def _num_frames(self, env: EnvState) -> int:
        return len(steps_of(env, self._memory, self.model.frameskip))

    def _steps_to_go(self, env: EnvState) -> int | None:
        """Return how many model steps of a plan there are until the goal is due: at least 1, at most all.

        A goal that is overdue is asked for by the end of what is acted out of the plan.
        """
        if env.due is None or (self.goal_offset is None and env.step >= env.due):  # it was farther than estimated
            return None
        left = env.due - env.step if env.due > env.step else self.replan_every
        return min(self.horizon, math.ceil(left / self.model.frameskip))

    def _due(self, envs: Sequence[EnvState]) -> list[int | None]:
        """Return when new goals are due; None where nothing tells, neither the task nor a prior."""
        if self.goal_offset is not None:
            return [env.step + self.goal_offset for env in envs]
        if self.prior is None:
            return [None] * len(envs)
        groups: dict[int, list[int]] = {}
        for i, env in enumerate(envs):
            groups.setdefault(self._num_frames(env), []).append(i)
        found: dict[int, int | None] = {}
        for members in groups.values():
            for i, steps in zip(members, self._estimated([envs[i] for i in members]), strict=True):
                found[i] = envs[i].step + steps * self.model.frameskip
        return [found[i] for i in range(len(envs))]

    @torch.no_grad()
    def _estimated(self, chosen: Sequence[EnvState]) -> list[int]:
        """Return the least number of model steps in which some proposal comes about as near to the goal as any does."""
        context, goal = context_of(self.model, chosen, self._memory), goals_of(chosen)
        low, high = self._normalizer.bounds()
        costs = []
        most = self.horizon if self.prior is None else min(self.horizon, self.prior.horizon)
        for steps in range(1, most + 1):
            proposed = self._proposals(chosen, goal, steps, [env.generator() for env in chosen], _TRIED)
            cost = LatentCost(self.model, context, goal, objective_from(self.objective, steps))
            costs.append(cost(proposed.clamp(low, high)).amin(1))
        least = torch.stack(costs, 1)  # (B, H)
        best = least.amin(1, keepdim=True)
        # With rewards costs may be negative, and 0 is not being there.
        near = least <= best + _ABOUT * torch.where(best >= 0, best, least.amax(1, keepdim=True) - best)
        return [int(steps) + 1 for steps in near.int().argmax(1)]

    def _proposals(
        self,
        chosen: Sequence[EnvState],
        goal: Tensor,
        steps_to_go: int | None,
        generators: list[torch.Generator],
        count: int,
    ) -> Tensor:
        """Return what the model's action prior proposes, (B, K, H, A); 0 of them where it has none."""
        prior = self.prior
        if prior is None:
            return goal.new_zeros(len(chosen), 0, self.horizon, self._normalizer.action_dim)
        return self._fitted(prior.sample(*self._asked(chosen, goal, steps_to_go), count, generators))

    def _asked(
        self, chosen: Sequence[EnvState], goal: Tensor, steps_to_go: int | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return what the action prior is asked for: tokens, goals and steps to go."""
        assert self.prior is not None
        tokens = tokens_of(chosen, self._memory, self.model.frameskip)
        most = min(steps_to_go or self.prior.horizon, self.prior.horizon)
        return tokens, goal, torch.full((len(chosen),), most, dtype=torch.int64, device=goal.device)

    def _fitted(self, proposed: Tensor) -> Tensor:
        """Return proposals (B, K, H', A) as plans (B, K, H, A): cut, or followed by the mean action."""
        proposed = proposed[:, :, : self.horizon]
        proposed = torch.nn.functional.pad(proposed, (0, 0, 0, self.horizon - proposed.shape[2]))
        return self._chosen(proposed) if self.action_layout.choices else proposed

    def _chosen(self, proposed: Tensor) -> Tensor:
        """Return what plans (B, K, H, A) choose where actions are choices: the largest number of each, one-hot."""
        layout = self.action_layout
        vectors = layout.to_vectors(layout.to_actions(self._normalizer.to_environment(proposed).cpu().numpy()))
        return self._normalizer.to_model(torch.from_numpy(vectors).to(self._normalizer.mean))

    def _plan_together(
        self, envs: list[EnvState], members: Sequence[int], starts: Tensor, steps_to_go: int | None
    ) -> None:
        chosen = [envs[i] for i in members]
        goal = goals_of(chosen)
        low, high = self._normalizer.bounds()
        context = context_of(self.model, chosen, self._memory)
        generators = [env.generator() for env in chosen]
        objective = self.objective if steps_to_go is None else objective_from(self.objective, steps_to_go)
        cost = LatentCost(self.model, context, goal, objective)
        if not self.searches_noise:
            proposals = self._proposals(chosen, goal, steps_to_go, generators, self.num_proposals)
            begin = torch.cat([starts, proposals.to(starts)], 1)
            plan = self.planner.plan(cost, begin, low=low, high=high, generators=generators)
        else:
            plan, proposals = self._planned_in_noise(
                cost, starts.clamp(low, high), generators, self._asked(chosen, goal, steps_to_go)
            )
        actions = self._normalizer.to_environment(plan.actions).flatten(1, 2).cpu().numpy().astype(np.float32)
        for k, (i, env) in enumerate(zip(members, chosen, strict=True)):
            envs[i] = replace(
                env,
                queue=actions[k, : self.replan_every],
                last_plan=PlanRecord(row_of(plan, k), replace(env, last_plan=None), proposals[k], steps_to_go),
                plans=env.plans + 1,
                decisions=env.decisions + 1,
            )

    def _planned_in_noise(
        self,
        cost: LatentCost,
        starts: Tensor,
        generators: list[torch.Generator],
        asked: tuple[Tensor, Tensor, Tensor],
    ) -> tuple[Plan, Tensor]:
        """Search the noise that becomes the best actions; return the plan and what the search began with (B, K, H, A).

        What is left of the last plan and its elites, which no noise need become, or the mean action, is the plan where
        it is better.
        """
        prior = self.prior
        assert prior is not None
        low, high = self._normalizer.bounds()
        with torch.no_grad():
            condition = prior.condition(*asked)

        def decode(noise: Tensor) -> Tensor:
            return self._fitted(prior.decode(noise, condition, asked[2])).clamp(low, high)

        noise = prior.noise(self.num_proposals, generators).to(condition)
        found = self.planner.plan(
            lambda candidates: cost(decode(candidates)),
            torch.cat([torch.zeros_like(noise[:, :1]), noise], 1),
            low=torch.full_like(low, -_FARTHEST),
            high=torch.full_like(high, _FARTHEST),
            generators=generators,
        )
        with torch.no_grad():
            costs = cost(starts)
            least, index = costs.where(costs.isfinite(), math.inf).to(found.cost).min(1)
            actions = decode(found.actions[:, None])[:, 0]
            start = starts.take_along_dim(index[:, None, None, None], 1)[:, 0]
            actions = start.where((least < found.cost)[:, None, None], actions)
            info = {**found.info, "evaluations": found.info["evaluations"] + starts.shape[1], **cost.report(actions)}
            if "elites" in info:
                info["elites"] = decode(info["elites"])
            history = torch.minimum(found.history, least)
            return Plan(actions=actions, cost=history[-1], history=history, info=info), decode(noise)


def check_reads_goal(objective: Any) -> None:
    """Refuse an objective without a goal.

    Raises:
        ValueError: it reads none.
    """
    if not getattr(objective, "needs_goal", True):
        raise ValueError(f"objective: expected one that reads the goal, such as GoalDistance(); got {objective}")


def goals_of(envs: Sequence[EnvState]) -> Tensor:
    """Return goals (B, P, D); with P = 0 where the objective reads none."""
    return torch.stack([env.tokens[env.step][:0] if env.goal is None else env.goal for env in envs])


def _suited(planner: Any, choices: tuple[int, ...]) -> Any:
    """Return a planner that plans choices where actions are choices, and numbers where they are not.

    Raises:
        ValueError: it plans the other.
    """
    if isinstance(planner, BestProposal):  # which are the agent's own
        return planner
    if hasattr(planner, "choices") != bool(choices):
        names = (
            "choices, one-hot: take CategoricalCEM (planner=categorical_cem)"
            if choices
            else "real numbers: take CEM (planner=cem)"
        )
        raise ValueError(f"planner: this model's actions are {names}; got {planner!r}")
    if not choices:
        return planner
    asked = getattr(planner, "choices", None)
    if asked is not None and tuple(asked) != choices:
        raise ValueError(f"planner: this model's actions are choices of {list(choices)}, the planner's {list(asked)}")
    return replace(planner, choices=choices)


def _is_idle(env: EnvState, newest: Observation, started: bool) -> bool:
    """Say whether an environment starts an episode again and again and nothing happens in it."""
    last = env.newest
    if last is None or env.taken is None or not (started and env.started):
        return False
    return np.array_equal(last.pixels, newest.pixels) and np.array_equal(last.goal, newest.goal)
