"""What an episode costs over time: the frames that came, and what plans imagined of them.

Letters: ``T`` environment steps, ``P`` patches of a frame, ``D`` numbers in a token.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...agents import PlanningAgent
from ..episodes import StepRecord, distances

Floats = NDArray[np.float64]
Pixels = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class PlanSeen:
    """A plan, as a film shows it.

    Attributes:
        step: of the episode, at which it was made.
        lands: the step that it looks ahead to.
        cost: that it imagines for then.
        history: (iterations,) the best cost so far in the planner's search.
    """

    step: int
    lands: int
    cost: float
    history: Floats


@dataclass(frozen=True, eq=False)
class Curve:
    """What one episode cost.

    Attributes:
        costs: (1 + T,) of each frame.
        plans: made in it, in order.
        surprises: for steps at which there is one, how far the frame that came is from that imagined, and from the
            plan's first.
    """

    costs: Floats
    plans: list[PlanSeen]
    surprises: dict[int, tuple[float, float]]


def curves_of(agent: Any, steps: Sequence[StepRecord], *, context_steps: int) -> tuple[str, list[Curve]]:
    """Return what costs are, in words, and a curve for each episode.

    Of an agent that plans they are its own objective, of frames that came and of its plans; of others the distance of
    the true state to the goal.

    Args:
        agent: that acted.
        steps: of the episodes, ``1 + T``.
        context_steps: environment steps that the agent had seen before the first of them.
    """
    if isinstance(agent, PlanningAgent):
        return "cost of the frame", _latent_curves(agent, steps, context_steps)
    away = np.array([distances(step.observation)["distance"] for step in steps])  # (1 + T, B)
    return "distance to the goal", [Curve(costs, [], {}) for costs in away.T]


def _latent_curves(agent: PlanningAgent, steps: Sequence[StepRecord], context_steps: int) -> list[Curve]:
    frames = np.stack([step.observation["pixels"] for step in steps], 1)  # (B, 1 + T, height, width, 3)
    goals = steps[0].observation["goal_pixels"]
    curves = [Curve(_costs(agent, *episode), [], {}) for episode in zip(frames, goals, strict=True)]
    frameskip = agent.model.frameskip
    # Nothing is new within a model step. A step's state is the agent's from before its frame came.
    for acted in range(0, len(steps) - 1, frameskip):
        for curve, told in zip(curves, agent.explain(steps[acted + 1].state), strict=True):
            if told is None:
                continue
            begun = told.step - context_steps
            if not curve.plans or curve.plans[-1].step != begun:
                curve.plans.append(PlanSeen(begun, begun + agent.horizon * frameskip, told.cost, told.history))
            if len(told.surprise):
                curve.surprises[acted] = (float(told.surprise[-1]), float(told.change[-1]))
    return curves


@torch.no_grad()
def _costs(agent: PlanningAgent, frames: Pixels, goal: Pixels) -> Floats:
    """Return the cost of each frame, as if a plan ended there."""
    model = agent.model
    assert model.normalizer is not None
    tokens = model.encode(torch.from_numpy(np.concatenate([frames, goal[None]]))[None])  # (1, 2 + T, P, D)
    actions = tokens.new_zeros(1, len(frames), 1, model.normalizer.action_dim)
    costs: Floats = agent.objective(tokens[:, :-1, None], tokens[:, -1], actions)[0].double().cpu().numpy()
    return costs
