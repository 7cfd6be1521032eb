"""What a plan should achieve: costs of imagined latents, which planners minimise.

Letters: ``B`` environments, ``S`` candidates, ``H`` model steps ahead, ``P`` patches of a frame, ``D`` dimensions of
a token, ``A`` numbers in one model action.

Objectives add up and take weights: ``GoalDistance() + 0.1 * ActionPenalty()``. Any function of the same arguments can
stand beside them in a sum.
"""

import reprlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from .checks import check_choice, check_number, check_whole

Objective = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Latents (B, S, H, P, D), goal (B, P, D) and actions (B, S, H, A), in normalised units, to costs (B, S)."""

Metric = Literal["l2", "squared", "l1", "cosine"]


class Term(ABC):
    """An objective that can be summed and weighted.

    What a method ``report`` of the same arguments says of a plan, each (B, S), joins the plan's ``info``.

    Attributes:
        last_only: whether it reads only the last of the H latents, so that the others need not be kept: it then takes
            (B, S, 1, P, D) as well.
        needs_goal: whether it reads the goal, which environments without one do not show; it then is (B, 0, D).
    """

    last_only: bool = False
    needs_goal: bool = True

    @abstractmethod
    def __call__(self, latents: Tensor, goal: Tensor, actions: Tensor) -> Tensor:
        """Return the costs (B, S)."""

    def from_step(self, step: int) -> "Term":
        """Return the objective for a goal that is due at a model step, counted from 1: what is far from it before then
        costs nothing. Terms that do not look at the goal stay as they are."""
        return self

    def of_model(self, model: Any) -> "Term":
        """Return the objective with what it needs of the model that imagines; most need nothing.

        Raises:
            ValueError: the model does not have it.
        """
        return self

    def __add__(self, other: Objective) -> "Sum":
        if not callable(other) or isinstance(other, type):
            return NotImplemented
        return Sum((*_terms(self), *_terms(other)))

    def __radd__(self, other: Objective | int) -> "Sum":
        if isinstance(other, int) and other == 0:  # where sum() begins
            return Sum(_terms(self))
        if not callable(other) or isinstance(other, type):
            return NotImplemented
        return Sum((*_terms(other), *_terms(self)))

    def __mul__(self, weight: Any) -> "Sum":
        if isinstance(weight, bool) or not isinstance(weight, (int, float, np.number)):
            return NotImplemented
        if not 0 <= weight < float("inf"):
            raise ValueError(f"a weight must be a finite number from 0 up, got {weight!r}")
        return Sum(tuple((float(weight) * old, term) for old, term in _terms(self)))

    __rmul__ = __mul__


@dataclass(frozen=True)
class Sum(Term):
    """A weighted sum of objectives; made by ``+`` and ``*``."""

    terms: tuple[tuple[float, Objective], ...]

    @property
    def needs_goal(self) -> bool:  # type: ignore[override]
        """Whether any of them reads the goal."""
        return any(getattr(term, "needs_goal", True) for _, term in self.terms)

    @property
    def last_only(self) -> bool:  # type: ignore[override]
        """Whether all of them read only the last latents."""
        return all(getattr(term, "last_only", False) for _, term in self.terms)

    def __call__(self, latents: Tensor, goal: Tensor, actions: Tensor) -> Tensor:
        """Return the costs (B, S)."""
        costs = []
        for weight, term in self.terms:
            cost = term(latents, goal, actions)
            if tuple(cost.shape) != tuple(actions.shape[:2]):
                raise ValueError(
                    f"an objective must return costs {tuple(actions.shape[:2])} for actions {tuple(actions.shape)}; "
                    f"{term} returned {tuple(cost.shape)}"
                )
            costs.append(weight * cost)
        return torch.stack(costs).sum(0)

    def from_step(self, step: int) -> "Sum":
        """Return the sum of what its terms are from then on."""
        return Sum(tuple((weight, objective_from(term, step)) for weight, term in self.terms))

    def of_model(self, model: Any) -> "Sum":
        """Return the sum of what its terms are for a model."""
        return Sum(tuple((weight, objective_for(term, model)) for weight, term in self.terms))


def objective_from(objective: Objective, step: int) -> Objective:
    """Return an objective for a goal that is due at a model step, see :meth:`Term.from_step`; a function as it is."""
    return objective.from_step(step) if isinstance(objective, Term) else objective


def objective_for(objective: Objective, model: Any) -> Objective:
    """Return an objective with what it needs of a model, see :meth:`Term.of_model`; a function as it is."""
    return objective.of_model(model) if isinstance(objective, Term) else objective


def _terms(objective: Objective) -> tuple[tuple[float, Objective], ...]:
    return objective.terms if isinstance(objective, Sum) else ((1.0, objective),)


def reports(objective: Objective, latents: Callable[[], Tensor], goal: Tensor, actions: Tensor) -> Mapping[str, Tensor]:
    """Return what those terms of an objective that have a method ``report`` say of candidates, each (B, S).

    Latents are only made if there is one. Where two say the same word, the second gets a number.
    """
    found: dict[str, Tensor] = {}
    reporting: list[Any] = [term for _, term in _terms(objective) if hasattr(term, "report")]
    imagined = latents() if reporting else None
    for term in reporting:
        for word, values in term.report(imagined, goal, actions).items():
            count = sum(name.split(" ")[0] == word for name in found)
            found[f"{word} {count + 1}" if count else word] = values
    return found


class _OverSteps(Term):
    """What each of the H imagined frames costs, of the last or averaged.

    Attributes:
        steps: see :class:`GoalDistance`.
        first_step: see :class:`GoalDistance`.
    """

    steps: Literal["last", "mean"] | float
    first_step: int

    @abstractmethod
    def _of_each(self, latents: Tensor, goal: Tensor) -> Tensor:
        """Return the costs (B, S, H) of latents (B, S, H, P, D) whose goals are (B, P, D), in float32 at least."""

    def __post_init__(self) -> None:
        check_whole("first_step", self.first_step)
        discount = isinstance(self.steps, (int, float)) and not isinstance(self.steps, bool) and 0 < self.steps <= 1
        if not discount and not (isinstance(self.steps, str) and self.steps in ("last", "mean")):
            raise ValueError(f'steps must be "last", "mean" or a discount over 0 and at most 1, got {self.steps!r}')

    @property
    def last_only(self) -> bool:  # type: ignore[override]
        """Whether only the last step counts."""
        return self.steps == "last"

    def __call__(self, latents: Tensor, goal: Tensor, actions: Tensor) -> Tensor:
        """Return the costs (B, S)."""
        _check_shapes(latents, goal)
        if self.steps == "last":
            return self._of_each(latents[:, :, -1:], goal)[:, :, 0]
        costs = self._of_each(latents[:, :, min(self.first_step, latents.shape[2]) - 1 :], goal)
        discount = 1.0 if self.steps == "mean" else float(self.steps)
        H = costs.shape[2]
        weights = discount ** torch.arange(H - 1, -1, -1, device=costs.device, dtype=costs.dtype)
        return (costs * weights).sum(2) / weights.sum()

    def from_step(self, step: int) -> "Term":
        """Return the objective that counts from a model step on."""
        changed: Term = replace(self, first_step=step)  # type: ignore[type-var]
        return changed


@dataclass(frozen=True)
class GoalDistance(_OverSteps):
    """The distance of imagined latents to the goal's.

    Args:
        metric: ``"l2"``, the Euclidean norm over all tokens of a frame (DINO-world, arXiv 2507.19468, equation 8);
            ``"squared"``, the mean of squares (DINO-WM); ``"l1"``, the mean of absolute differences; ``"cosine"``, one
            minus the cosine of each token with the goal's, averaged over tokens.
        steps: which of the H steps count: ``"last"`` as in the papers; ``"mean"``, all the same; or a discount over 0
            and at most 1: step ``h`` counts ``discount ** (H - 1 - h)``, so that the last counts most; weights sum
            to 1.
        weights: what each of the D dimensions of a token is multiplied by first, over 0; None: nothing. With
            ``WorldModel.standardizing_weights()`` dimensions that vary little count like those that vary much. For
            example [1,0.5,0.5].
        first_step: the first of the H steps that counts, from 1; a plan of fewer steps counts its last. For example 3.
    """

    metric: Metric = "l2"
    steps: Literal["last", "mean"] | float = "last"
    weights: Sequence[float] | None = field(default=None, repr=False)
    first_step: int = 1

    def __post_init__(self) -> None:
        check_choice("metric", self.metric, Metric)
        super().__post_init__()
        if self.weights is not None:
            try:
                weights = tuple(float(weight) for weight in self.weights)
            except (TypeError, ValueError, RuntimeError):
                weights = ()
            if not weights or not all(0 < weight < float("inf") for weight in weights):
                raise ValueError(
                    "weights must be finite numbers over 0, one for each number of a token; got "
                    f"{reprlib.repr(self.weights)}"
                )
            object.__setattr__(self, "weights", weights)

    def _of_each(self, latents: Tensor, goal: Tensor) -> Tensor:
        latents = _precise(latents)
        goal = goal.to(latents)[:, None, None]
        if self.weights is not None:
            if len(self.weights) != latents.shape[-1]:
                raise ValueError(f"there are {len(self.weights)} weights, and tokens of {latents.shape[-1]} numbers")
            weights = latents.new_tensor(self.weights)
            latents, goal = latents * weights, goal * weights
        if self.metric == "cosine":
            return 1 - torch.cosine_similarity(latents, goal, dim=-1).mean(-1)
        difference = latents - goal
        if self.metric == "l2":
            norm: Tensor = torch.linalg.vector_norm(difference, dim=(-2, -1))
            return norm
        return (difference.square() if self.metric == "squared" else difference.abs()).mean((-2, -1))


@dataclass(frozen=True)
class TimeToGoal(_OverSteps):
    """How many model steps there still are from imagined latents to the goal.

    An agent gives it the steps to go of its model, see :func:`wmcontrol.training.fit_steps_to_go`.

    Args:
        estimate: ``"expected"``, of whoever recorded the data; ``"fewest"``, that the best actions need, which is the
            same for all goals that are too far. See :class:`~wmcontrol.models.StepsToGo`.
        steps: which of the H steps count, as of :class:`GoalDistance`.
        first_step: the first of the H steps that counts, from 1; a plan of fewer steps counts its last. For example 3.
        steps_to_go: tokens (…, P, D) of frames and of goals to model steps (…), such as ``model.steps_to_go``; None:
            that of the model of the agent that it is given to.
    """

    estimate: Literal["expected", "fewest"] = "expected"
    steps: Literal["last", "mean"] | float = "last"
    first_step: int = 1
    steps_to_go: Callable[[Tensor, Tensor], Tensor] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        check_choice("estimate", self.estimate, ("expected", "fewest"))
        super().__post_init__()
        needed = self.steps_to_go if self.estimate == "fewest" else getattr(self.steps_to_go, "expected", None)
        if self.steps_to_go is not None and not callable(needed):
            raise TypeError(f"steps_to_go must be a StepsToGo, such as model.steps_to_go; got {self.steps_to_go!r}")

    def of_model(self, model: Any) -> "TimeToGoal":
        """Return it with the steps to go of a model, if it has none yet.

        Raises:
            ValueError: the model has none.
        """
        if self.steps_to_go is not None:
            return self
        if model.steps_to_go is None:
            raise ValueError(
                "TimeToGoal: this model does not say how many steps to go there are; give it a network that does: "
                "wmcontrol.training.fit_steps_to_go"
            )
        return replace(self, steps_to_go=model.steps_to_go)

    def _of_each(self, latents: Tensor, goal: Tensor) -> Tensor:
        if self.steps_to_go is None:
            raise ValueError("TimeToGoal has no steps to go: give it steps_to_go=model.steps_to_go")
        says: Any = self.steps_to_go if self.estimate == "fewest" else self.steps_to_go.expected  # type: ignore[attr-defined]
        found: Tensor = says(latents, goal[:, None, None])
        return _precise(found)


@dataclass(frozen=True)
class TemporalDistance(_OverSteps):
    """How unlikely it is to get from imagined latents to the goal soon, as far as the training data tell.

    An agent gives it the embedding of its model, see :func:`wmcontrol.training.fit_temporal_embedding`.

    Args:
        steps: which of the H steps count, as of :class:`GoalDistance`.
        first_step: the first of the H steps that counts, from 1; a plan of fewer steps counts its last. For example 3.
        embedding: tokens (…, P, D) of frames and of goals to distances (…), such as ``model.temporal_embedding``; None:
            that of the model of the agent that it is given to.
    """

    steps: Literal["last", "mean"] | float = "last"
    first_step: int = 1
    embedding: Callable[[Tensor, Tensor], Tensor] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.embedding is not None and not callable(self.embedding):
            raise TypeError(
                f"embedding must be a TemporalEmbedding, such as model.temporal_embedding; got {self.embedding!r}"
            )

    def of_model(self, model: Any) -> "TemporalDistance":
        """Return it with the embedding of a model, if it has none yet.

        Raises:
            ValueError: the model has none.
        """
        if self.embedding is not None:
            return self
        if model.temporal_embedding is None:
            raise ValueError(
                "TemporalDistance: this model has no temporal embedding; give it one: "
                "wmcontrol.training.fit_temporal_embedding"
            )
        return replace(self, embedding=model.temporal_embedding)

    def _of_each(self, latents: Tensor, goal: Tensor) -> Tensor:
        if self.embedding is None:
            raise ValueError("TemporalDistance has no embedding: give it embedding=model.temporal_embedding")
        return _precise(self.embedding(latents, goal[:, None, None]))


@dataclass(frozen=True)
class LearnedReward(Term):
    """Minus the sum of rewards that a head predicts of the H steps, for environments without goals.

    Args:
        head: latents (B, S, H, P, D) to the rewards (B, S, K) of the last K of the H steps, each that of an environment
            step, such as a :class:`~wmcontrol.models.RewardHead`; the steps before, if any, count nothing.
        frameskip: how many environment steps a model step is, as the model says.
        discount: over 0 and at most 1; step ``h``, from 0, counts ``discount ** h``.
        terminal: latents (B, S, P, D) of the last step to what is still to come after it (B, S), discounted; None: 0.
    """

    head: Callable[[Tensor], Tensor] = field(repr=False)  # a network's layers would fill lines
    frameskip: int = 1
    discount: float = 1.0
    terminal: Callable[[Tensor], Tensor] | None = None
    needs_goal = False

    def __post_init__(self) -> None:
        if not callable(self.head) or not (self.terminal is None or callable(self.terminal)):
            raise TypeError(f"head and terminal must be functions of tokens, got {self.head!r} and {self.terminal!r}")
        check_whole("frameskip", self.frameskip)
        check_number("discount", self.discount, "(0, 1]")

    def __call__(self, latents: Tensor, goal: Tensor, actions: Tensor) -> Tensor:
        """Return the costs (B, S)."""
        (B, S, H), rewards = latents.shape[:3], self.head(latents)
        if rewards.shape[:-1] != (B, S) or not 0 < rewards.shape[-1] <= H:
            raise ValueError(
                f"head must return ({B}, {S}, K) rewards, K from 1 to {H}, of latents {tuple(latents.shape)}; got "
                f"{tuple(rewards.shape)}"
            )
        steps = torch.arange(H - rewards.shape[2], H, device=rewards.device, dtype=_precise(rewards).dtype)
        total = (self.frameskip * _precise(rewards) * self.discount**steps).sum(2)
        if self.terminal is None:
            return -total
        rest = self.terminal(latents[:, :, -1])
        if rest.shape != (B, S):
            raise ValueError(f"terminal must return {(B, S)} of latents (B, S, P, D), got {tuple(rest.shape)}")
        return -(total + self.discount**H * _precise(rest))


@dataclass(frozen=True)
class ActionPenalty(Term):
    """The mean square of actions, in normalised units: gentle plans cost less."""

    last_only, needs_goal = True, False

    def __call__(self, latents: Tensor, goal: Tensor, actions: Tensor) -> Tensor:
        """Return the costs (B, S)."""
        return _precise(actions).square().mean((2, 3))


@dataclass(frozen=True)
class Smoothness(Term):
    """The mean square of what changes from one environment action to the next, in normalised units.

    Args:
        frameskip: how many environment actions one model action holds, as the model says.
    """

    frameskip: int = 1
    last_only, needs_goal = True, False

    def __post_init__(self) -> None:
        check_whole("frameskip", self.frameskip)

    def __call__(self, latents: Tensor, goal: Tensor, actions: Tensor) -> Tensor:
        """Return the costs (B, S)."""
        B, S, H, A = actions.shape
        if A % self.frameskip:
            raise ValueError(f"a model action of {A} numbers does not hold {self.frameskip} environment actions")
        single = _precise(actions).reshape(B, S, H * self.frameskip, A // self.frameskip)
        if single.shape[2] == 1:
            return actions.new_zeros(B, S)
        return single.diff(dim=2).square().mean((2, 3))


@dataclass(frozen=True)
class Guardrail(Term):
    """A limit on something read from the latents, which a plan must keep at every step.

    What breaks it pays ``height`` at once, and ``height`` more for each unit by which it breaks it, at the worst step.
    So, while the height is over all that other terms can differ by, no plan that breaks it is better than one that
    keeps it, and gradients lead back; if no candidate keeps it, the plan breaks it least. Whether a plan does is in its
    info: ``guardrail_kept``, and by how much, in ``guardrail_excess``: 0 or less when kept. A weight would lower the
    barrier, so it takes none; a sum that holds it may be weighted as a whole.

    Args:
        probe: latents (B, S, H, P, D) to what is limited (B, S, H), in units of one's own; differentiable, if a planner
            that follows gradients is to get back.
        limit: the most that is allowed.
        height: of the barrier, in units of cost.
    """

    probe: Callable[[Tensor], Tensor]
    limit: float
    height: float = 1e6
    needs_goal = False

    def __post_init__(self) -> None:
        if not callable(self.probe):
            raise TypeError(f"probe must be a function of latents, got {self.probe!r}")
        check_number("limit", self.limit, "(-inf, inf)")
        check_number("height", self.height, "(0, inf)")

    def __call__(self, latents: Tensor, goal: Tensor, actions: Tensor) -> Tensor:
        """Return the costs (B, S)."""
        excess = self._excess(latents)
        return self.height * (excess.relu() + (excess > 0))  # NaN stays NaN, and its candidate loses

    def __mul__(self, weight: float) -> Sum:
        raise ValueError(
            f"a guardrail takes no weight; give it another height than {self.height:g}, or weight the rest"
        )

    __rmul__ = __mul__

    def report(self, latents: Tensor, goal: Tensor, actions: Tensor) -> Mapping[str, Tensor]:
        """Say which candidates keep it, and by how much each exceeds it."""
        excess = self._excess(latents)
        return {"guardrail_kept": excess <= 0, "guardrail_excess": excess}

    def _excess(self, latents: Tensor) -> Tensor:
        """Return how far over the limit the worst step is, (B, S)."""
        before = None if latents.is_inference() else latents._version
        values = self.probe(latents)
        if before is not None and latents._version != before:
            raise ValueError("the probe wrote into the latents, which others read; let it work on a copy of them")
        if tuple(values.shape) != tuple(latents.shape[:3]):
            raise ValueError(
                f"the probe must return {tuple(latents.shape[:3])} of latents {tuple(latents.shape)}, "
                f"got {tuple(values.shape)}"
            )
        return _precise(values).amax(2) - self.limit


def _precise(numbers: Tensor) -> Tensor:
    return numbers.to(torch.promote_types(numbers.dtype, torch.float32))


def _check_shapes(latents: Tensor, goal: Tensor) -> None:
    shape: tuple[Any, ...] = tuple(latents.shape)
    if latents.ndim != 5 or tuple(goal.shape) != (shape[0], *shape[3:]):
        expected = f"({shape[0]}, {shape[3]}, {shape[4]})" if latents.ndim == 5 else "(B, P, D)"
        raise ValueError(
            f"latents must have shape (B, S, H, P, D) and goal {expected}, got {shape} and {tuple(goal.shape)}"
        )
