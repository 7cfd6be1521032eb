"""What an agent remembers between two calls of ``predict``: all of it, and nothing that it can change.

Letters: ``H`` model steps ahead, ``P`` patches of a frame, ``D`` dimensions of a token, ``A`` numbers in a model
action, ``a`` in an action of the environment, ``L`` landmarks.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..planners import Plan

Pixels = NDArray[np.uint8]
Actions = NDArray[np.float32]


@dataclass(frozen=True)
class Observation:
    """What one environment shows at one moment."""

    pixels: Pixels  # (height, width, 3)
    goal: Pixels  # (0, 0, 3) where none is looked at
    state: NDArray[np.float64] | None = None  # (n,), only where the model is the simulator
    variation: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class PlanRecord:
    """The last plan of one environment, what it was made from, and what was seen since."""

    plan: Plan  # of one row
    made_from: "EnvState"
    proposals: Tensor  # (K, H, A) of the action prior, which the search began with
    steps_to_go: int | None  # model steps until the goal is due, where that is known or estimated
    seen: tuple[Pixels, ...] = ()  # the frames since, one model step apart


@dataclass(frozen=True, eq=False)
class Route:
    """How one environment goes to a goal that may be beyond one plan."""

    goal: Tensor  # (P, D)
    last_steps: NDArray[np.float64]  # (L,) from each landmark to the goal
    distances: NDArray[np.float64]  # (L,) over the shortest path
    following: NDArray[np.int64]  # (L,) the landmark that comes next on it, L for the goal, -1 for none
    path: tuple[int, ...] = ()  # the landmarks still to come, L at its end
    target: int = -1  # that of the path which is headed for
    hop: float = np.inf  # steps to it
    steps: float = np.inf  # to the goal over the path, infinite where there is none
    direct: float = np.inf  # to the goal, as if there were no landmarks
    least: float = np.inf  # of the steps so far, since the last edge failed
    since: int = 0  # the environment step at which that was
    blocked: frozenset[tuple[int, int]] = frozenset()  # edges that failed in this episode


@dataclass(frozen=True, eq=False)
class EnvState:
    """One environment of a batch.

    Its randomness is a function of ``seed``, the number of the episode and the number of the plan in it: nothing has
    to be stored that draws change.
    """

    seed: tuple[int, ...]
    episode: int = 0
    step: int = 0  # environment steps since the episode's first frame
    plans: int = 0  # made in this episode
    decisions: int = 0  # plans made in all episodes
    newest: Observation | None = None  # the newest
    frames: Mapping[int, Pixels] = field(default_factory=dict)  # by step, those that a context may still need
    tokens: Mapping[int, Tensor] = field(default_factory=dict)  # (P, D) of those that were encoded
    goal: Tensor | None = None  # (P, D) that plans go to, once it was encoded, if there is one
    route: Route | None = None  # to the goal over landmarks, of an agent that has them: plans then go to the next
    ways: Tensor | None = None  # (K,) to the goal from frames that a temporal embedding keeps, of an agent that has one
    due: int | None = None  # the step at which it is to be reached, where that is known or estimated
    taken: Actions | None = None  # (k, a) the newest actions, the last of them the very last
    queue: Actions | None = None  # (q, a) what is still to be done of the plan
    last_plan: PlanRecord | None = None
    started: bool = False  # whether the caller said in the last call that an episode starts

    def generator(self) -> torch.Generator:
        """Return the generator for the next plan."""
        entropy = np.random.SeedSequence((*self.seed, self.episode, self.plans))
        return torch.Generator().manual_seed(int(entropy.generate_state(1, np.uint64)[0] >> 1))


@dataclass(frozen=True, eq=False)
class AgentState:
    """What ``predict`` returns beside actions and takes again with the next observation."""

    envs: tuple[EnvState, ...]
    kind: str = ""  # of the agent, which alone can go on with it

    def __repr__(self) -> str:
        return f"AgentState({self.kind}, at steps {[env.step for env in self.envs]})"

    @property
    def decisions(self) -> tuple[int, ...]:
        """How many plans were made for each environment."""
        return tuple(env.decisions for env in self.envs)


def row_of(plan: Plan, row: int) -> Plan:
    """Return one row of a plan, in memory of its own."""
    one = slice(row, row + 1)
    info = {word: value[one].clone() if isinstance(value, Tensor) else value for word, value in plan.info.items()}
    return Plan(
        actions=plan.actions[one].clone(),
        cost=plan.cost[one].clone(),
        history=plan.history[:, one].clone(),
        info=info,
    )
