"""What a planner is asked, and what it answers.

Letters: ``B`` environments, ``S`` candidates, ``H`` model steps ahead, ``A`` numbers in one model action.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .checks import check_whole

CostFn = Callable[[Tensor], Tensor]
"""Candidates (B, S, H, A) to costs (B, S). Planners that follow gradients need it differentiable.

It must not write into the candidates. If it has a method ``report(actions)``, (B, H, A) to a mapping, what that says of
the final plan joins the plan's info.
"""


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """The best candidate that a planner ever scored, for each of B environments.

    ``info`` has, each (B,): ``evaluations``, how many candidates were scored, ``iterations``, in how many rounds, and
    ``non_finite``, how many had a cost that was NaN or infinite and lost for it. Planners that keep elites add
    ``elites`` (B, K, H, A), best first. A cost function may add more, such as whether guardrails are kept.
    """

    actions: Tensor  # (B, H, A) in the model's normalised units, inside the bounds
    cost: Tensor  # (B,) cost of exactly these actions
    history: Tensor  # (iterations, B) best cost so far, never rising
    info: Mapping[str, Any]

    def shift(self, steps: int, *, elites: bool = False) -> Tensor:
        """Return a start for the next plan, once ``steps`` model steps of this one were executed.

        What was executed is dropped, and the end is filled with zeros: in normalised units the mean action, from
        which planners start when they know nothing. (Planners move a start into their bounds.)

        Args:
            steps: how many, 0 or more.
            elites: return (B, 1 + K, H, A): the plan, and the K elites of ``info`` (if there are any), all shifted.
                Planners take these too as a start.

        Returns:
            (B, H, A).
        """
        check_whole("steps", steps, least=0)
        starts = self.actions[:, None]
        if elites and "elites" in self.info:
            starts = torch.cat([starts, self.info["elites"]], 1)
        kept = starts[:, :, steps:]
        filled = torch.cat([kept, starts.new_zeros(starts.shape).narrow(2, 0, starts.shape[2] - kept.shape[2])], 2)
        return filled if elites else filled[:, 0]
