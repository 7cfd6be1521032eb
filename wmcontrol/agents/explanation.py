"""What an agent's last plan imagined, and what came of it.

Letters: ``H`` model steps ahead, ``a`` numbers in an environment action, ``k`` model steps since the plan was made.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..models import WorldModel
from .latent_cost import context_of
from .simulator import SimulatorModel
from .state import PlanRecord


@dataclass(frozen=True, eq=False)
class Explanation:
    """The last plan of one environment.

    Attributes:
        step: of the episode, at which it was made.
        cost: imagined, of the plan.
        history: (iterations,) the best cost so far, in each of the planner's iterations.
        actions: (H * frameskip, a) the whole plan, in the environment's units.
        surprise: (k,) how far the frames that came are from those imagined, as far as they have come: the root mean
            square over all numbers of their tokens, one model step after another.
        change: (k,) the same from the frame that the plan began with: a model that imagines nothing has a surprise of
            this size.
        info: what the planner and the objective say: evaluations, whether guardrails are kept.
    """

    step: int
    cost: float
    history: NDArray[np.float64]
    actions: NDArray[np.float32]
    surprise: NDArray[np.float64]
    change: NDArray[np.float64]
    info: Mapping[str, Any]


@torch.no_grad()
def explain(model: WorldModel | SimulatorModel, last_plan: PlanRecord | None, memory: int) -> Explanation | None:
    """Explain a plan; the model imagines it once more, and encodes what was seen since."""
    if last_plan is None:
        return None
    plan, env, normalizer = last_plan.plan, last_plan.made_from, model.normalizer
    assert normalizer is not None
    surprise = change = np.zeros(0)
    if last_plan.seen:
        k = len(last_plan.seen)
        seen = model.encode(torch.from_numpy(np.stack(last_plan.seen))[None])[0]
        imagined = model.rollout(context_of(model, [env], memory), plan.actions[:, None])[0, 0, :k]
        surprise, change = _apart(imagined, seen), _apart(env.tokens[env.step][None], seen)
    return Explanation(
        step=env.step,
        cost=float(plan.cost[0]),
        history=plan.history[:, 0].double().cpu().numpy(),
        actions=normalizer.to_environment(plan.actions)[0].flatten(0, 1).float().cpu().numpy(),
        surprise=surprise,
        change=change,
        info={word: _first(value) for word, value in plan.info.items() if word != "elites"},
    )


def _apart(one: Tensor, other: Tensor) -> NDArray[np.float64]:
    distance: NDArray[np.float64] = (one.double() - other.double()).square().mean((1, 2)).sqrt().cpu().numpy()
    return distance


def _first(value: Any) -> Any:
    return value[0].item() if isinstance(value, Tensor) and value.shape == (1,) else value
