"""What a model imagines for an agent: from what the agent has seen, at what cost, and how it compares with what came.

Letters: ``B`` environments, ``S`` candidates, ``H`` model steps ahead, ``A`` numbers in a model action, ``a`` in an
environment action, ``P`` patches of a frame, ``D`` dimensions of a token, ``k`` model steps since a plan was made.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..models import WorldModel
from ..models.ordinary import ordinary_tensors
from ..objectives import Objective, reports
from .simulator import SimulatorModel
from .state import EnvState, PlanRecord, Route


@dataclass(frozen=True)
class LatentCost:
    """A cost function for planners: a :data:`~wmcontrol.planners.search.CostFn` with a report.

    Only the latents that the objective reads are kept.

    Args:
        model: imagines.
        context: of the B environments, from ``model.context``.
        goal: tokens (B, P, D), from ``model.encode``.
        objective: judges.
    """

    model: WorldModel | SimulatorModel
    context: Any
    goal: Tensor
    objective: Objective

    @ordinary_tensors()
    def __post_init__(self) -> None:
        if self.goal.is_inference():  # gradients may be asked for later
            object.__setattr__(self, "goal", self.goal.clone())

    def __call__(self, actions: Tensor) -> Tensor:
        """Return the costs (B, S) of candidates (B, S, H, A)."""
        return self.objective(self._latents(actions), self.goal, actions)

    def report(self, actions: Tensor) -> Mapping[str, Any]:
        """Return what the objective has to say of plans (B, H, A), each (B,): whether guardrails are kept."""
        candidates = actions[:, None]
        found = reports(self.objective, lambda: self._latents(candidates), self.goal, candidates)
        return {word: values[:, 0] for word, values in found.items()}

    def _latents(self, actions: Tensor) -> Tensor:
        return self.model.rollout(self.context, actions, last_only=getattr(self.objective, "last_only", False))


def steps_of(env: EnvState, memory: int, frameskip: int) -> list[int]:
    """Return the environment steps of the frames that the model is to see: ``frameskip`` apart, oldest first."""
    return list(range(env.step, max(0, env.step - memory) - 1, -frameskip))[::-1]


def tokens_of(envs: Sequence[EnvState], memory: int, frameskip: int) -> Tensor:
    """Return the tokens (B, T, P, D) that environments have seen, as many frames in each; see :func:`steps_of`."""
    return torch.stack([torch.stack([env.tokens[s] for s in steps_of(env, memory, frameskip)]) for env in envs])


def context_of(model: WorldModel | SimulatorModel, envs: Sequence[EnvState], memory: int) -> Any:
    """Return the context of environments that have seen equally many frames, all of them encoded.

    Args:
        model: imagines from it.
        envs: the environments.
        memory: how many environment steps it reaches back.
    """
    if isinstance(model, SimulatorModel):
        return model.context([env.newest for env in envs if env.newest is not None])
    steps = [steps_of(env, memory, model.frameskip) for env in envs]
    tokens = tokens_of(envs, memory, model.frameskip)
    times = torch.tensor(steps, dtype=torch.float64, device=tokens.device) / model.control_rate
    done = torch.stack([_taken(model, env, len(seen) - 1) for env, seen in zip(envs, steps, strict=True)])
    return model.context(tokens, times, done.to(tokens))


def _taken(model: WorldModel, env: EnvState, count: int) -> Tensor:
    """Return the last ``count`` model actions that were done, (count, A)."""
    normalizer = model.normalizer
    assert normalizer is not None
    if not count:
        return normalizer.mean.new_zeros(0, normalizer.action_dim)
    assert env.taken is not None
    done = torch.from_numpy(env.taken[-count * normalizer.frameskip :]).to(normalizer.mean.device)
    return normalizer.to_model(done.unflatten(0, (count, normalizer.frameskip)))


@dataclass(frozen=True)
class PathToGoal:
    """The way that an agent with landmarks takes.

    Attributes:
        landmarks: numbers of those still to come; none where the plan goes straight for the goal.
        subgoal: the one of them that the plan goes to; None for the goal.
        steps: model steps to the goal over them; infinite where there is no path.
        direct: model steps to the goal as if there were no landmarks.
        blocked: edges that failed in this episode, from one landmark to another; the goal has the number after the
            last.
    """

    landmarks: tuple[int, ...]
    subgoal: int | None
    steps: float
    direct: float
    blocked: frozenset[tuple[int, int]]

    @staticmethod
    def of(route: Route) -> "PathToGoal":
        """Return what of a route is of use to others."""
        goal = route.path[-1]
        subgoal = None if route.target == goal else route.target
        return PathToGoal(route.path[:-1], subgoal, route.steps, route.direct, route.blocked)

    @property
    def headed(self) -> str:
        """Where the plan goes, in words."""
        if np.isinf(self.steps):
            return "no path: straight for the goal"
        if self.subgoal is None:
            return f"next: the goal, in {self.steps:.1f} model steps"
        return f"next: landmark {self.subgoal}; goal in {self.steps:.1f} steps"  # as wide as a picture


@dataclass(frozen=True)
class WayToGoal:
    """The way that an agent with a temporal embedding sees to its goal.

    Attributes:
        frames: numbers of the frames that it leads over, of those that the embedding keeps; none where the plan goes
            straight for the goal, or nothing lies between.
        distance: temporal distance of the goal, nats.
        straight: whether the plan goes straight for the goal, as that is near.
    """

    frames: tuple[int, ...]
    distance: float
    straight: bool

    @property
    def headed(self) -> str:
        """Where the plan goes, in words."""
        if self.straight:
            return f"straight for the goal, {self.distance:.1f} nats away"
        return f"to the goal over {len(self.frames)} frames, {self.distance:.1f} nats away"


@dataclass(frozen=True, eq=False)
class Explanation:
    """What the last plan of one environment imagined, and what came of it.

    Attributes:
        step: of the episode, at which it was made.
        cost: imagined, of the plan.
        history: (iterations,) the best cost so far, in each of the planner's iterations.
        actions: (H * frameskip, …) the whole plan, as the environment takes actions.
        proposals: (K, H * frameskip, …) what the action prior proposed for it.
        steps_to_go: model steps until the goal is due, as the plan was made for; None where nothing tells.
        surprise: (k,) how far the frames that came are from those imagined, as far as they have come: the root mean
            square over all numbers of their tokens, one model step after another.
        change: (k,) the same from the frame that the plan began with: a model that imagines nothing has a surprise of
            this size.
        imagined: (1 + H, height, width, 3), where the model has a decoder: the frame that the plan began with and those
            that it imagined, one model step after another, as the decoder draws them.
        imagined_tokens: (H, P, D) of the frames that it imagined.
        info: what the planner and the objective say: evaluations, whether guardrails are kept.
        path: to the goal, over landmarks or over frames that a temporal embedding keeps, of an agent that has them.
    """

    step: int
    cost: float
    history: NDArray[np.float64]
    actions: NDArray[Any]
    proposals: NDArray[Any]
    steps_to_go: int | None
    surprise: NDArray[np.float64]
    change: NDArray[np.float64]
    imagined: NDArray[np.uint8] | None
    imagined_tokens: Tensor
    info: Mapping[str, Any]
    path: PathToGoal | WayToGoal | None = None

    def __repr__(self) -> str:
        surprise, change = (np.round(values, 4).tolist() for values in (self.surprise, self.change))
        return (
            f"Explanation(step={self.step}, cost={self.cost:.4g}, steps_to_go={self.steps_to_go}, {len(self.actions)} "
            f"actions, {len(self.proposals)} proposals, surprise={surprise}, change={change})"
        )


@torch.no_grad()
def explain(model: WorldModel | SimulatorModel, last_plan: PlanRecord | None, memory: int) -> Explanation | None:
    """Explain a plan; the model imagines it once more, and encodes what was seen since."""
    if last_plan is None:
        return None
    plan, env, normalizer = last_plan.plan, last_plan.made_from, model.normalizer
    assert normalizer is not None
    surprise = change = np.zeros(0)
    pictures = None
    decoder = model.decoder if isinstance(model, WorldModel) else None
    imagined = model.rollout(context_of(model, [env], memory), plan.actions[:, None])[0, 0]
    if last_plan.seen:
        k = len(last_plan.seen)
        seen = model.encode(torch.from_numpy(np.stack(last_plan.seen))[None])[0]
        surprise, change = _apart(imagined[:k], seen), _apart(env.tokens[env.step][None], seen)
    if decoder is not None:
        pictures = decoder(torch.cat([env.tokens[env.step][None], imagined])).cpu().numpy()
    return Explanation(
        step=env.step,
        cost=float(plan.cost[0]),
        history=plan.history[:, 0].double().cpu().numpy(),
        actions=_done(model, plan.actions)[0],
        proposals=_done(model, last_plan.proposals),
        steps_to_go=last_plan.steps_to_go,
        surprise=surprise,
        change=change,
        imagined=pictures,
        imagined_tokens=imagined,
        info={word: _first(value) for word, value in plan.info.items() if word != "elites"},
        path=None if env.route is None else PathToGoal.of(env.route),
    )


def _done(model: WorldModel | SimulatorModel, plans: Tensor) -> NDArray[Any]:
    """Return the environment's actions (K, H * frameskip, …) of plans (K, H, A)."""
    normalizer = model.normalizer
    assert normalizer is not None
    return normalizer.layout.to_actions(normalizer.to_environment(plans).flatten(1, 2).float().cpu().numpy())


def _apart(one: Tensor, other: Tensor) -> NDArray[np.float64]:
    distance: NDArray[np.float64] = (one.double() - other.double()).square().mean((1, 2)).sqrt().cpu().numpy()
    return distance


def _first(value: Any) -> Any:
    return value[0].item() if isinstance(value, Tensor) and value.shape == (1,) else value
