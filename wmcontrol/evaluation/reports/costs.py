"""What an episode costs over time: the frames that came, and what plans imagined of them.

Letters: ``T`` environment steps, ``P`` patches of a frame, ``D`` numbers in a token.
"""

from dataclasses import dataclass
from typing import Any, Protocol

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
    plans: tuple[PlanSeen, ...]
    surprises: dict[int, tuple[float, float]]


class Costs(Protocol):
    """Looks on while episodes are played, and knows afterwards what they cost.

    Attributes:
        unit: what the costs are, in words.
    """

    unit: str

    def see(self, record: StepRecord) -> None:
        """Look at a record, of all episodes."""

    def curve(self, episode: int, frames: Pixels, goal: Pixels) -> Curve:
        """Return what an episode of frames (1 + T, height, width, 3) cost."""


def costs_of(agent: Any, num_episodes: int, *, context_steps: int) -> Costs:
    """Return what looks on: at the latent cost of an agent that plans, at the true distance of others.

    Args:
        agent: that acts.
        num_episodes: that are played side by side.
        context_steps: environment steps that the agent has seen before the first record.
    """
    return LatentCosts(agent, num_episodes, context_steps) if isinstance(agent, PlanningAgent) else StateDistances()


class LatentCosts:
    """The agent's own objective, of frames that came and of plans."""

    unit = "cost of the frame"

    def __init__(self, agent: PlanningAgent, num_episodes: int, context_steps: int):
        self._agent, self._context_steps, self._seen = agent, context_steps, 0
        self._plans: list[list[PlanSeen]] = [[] for _ in range(num_episodes)]
        self._surprises: list[dict[int, tuple[float, float]]] = [{} for _ in range(num_episodes)]

    def see(self, record: StepRecord) -> None:
        """Look at the plans that are carried out, where a model step begins: nothing is new in between."""
        frameskip = self._agent.model.frameskip
        acted = self._seen - 1  # the step of the newest frame that the agent has acted on
        self._seen += 1
        if acted < 0 or acted % frameskip:
            return
        for i, told in enumerate(self._agent.explain(record.state)):
            if told is None:
                continue
            step, plans = told.step - self._context_steps, self._plans[i]
            if not plans or plans[-1].step != step:
                plans.append(PlanSeen(step, step + self._agent.horizon * frameskip, told.cost, told.history))
            if len(told.surprise):
                self._surprises[i][acted] = (float(told.surprise[-1]), float(told.change[-1]))

    @torch.no_grad()
    def curve(self, episode: int, frames: Pixels, goal: Pixels) -> Curve:
        """Judge each frame as if a plan ended there."""
        model = self._agent.model
        assert model.normalizer is not None
        tokens = model.encode(torch.from_numpy(np.concatenate([frames, goal[None]]))[None])  # (1, 2 + T, P, D)
        actions = tokens.new_zeros(1, len(frames), 1, model.normalizer.action_dim)
        costs = self._agent.objective(tokens[:, :-1, None], tokens[:, -1], actions)[0].double().cpu().numpy()
        return Curve(costs, tuple(self._plans[episode]), self._surprises[episode])


class StateDistances:
    """How far the true state is from the goal's."""

    unit = "distance to the goal"

    def __init__(self) -> None:
        self._distances: list[list[float]] = []

    def see(self, record: StepRecord) -> None:
        """Look at where the worlds are."""
        self._distances.append(distances(record.observation)["distance"])

    def curve(self, episode: int, frames: Pixels, goal: Pixels) -> Curve:
        """Return the distances."""
        return Curve(np.array([row[episode] for row in self._distances]), (), {})
