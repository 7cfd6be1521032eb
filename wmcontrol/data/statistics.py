"""Statistics of actions, of the trajectories that a model is trained on and of no others."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .trajectory import Floats

if TYPE_CHECKING:
    from .dataset import TrajectoryDataset


@dataclass(frozen=True)
class ActionStatistics:
    """What normalises an environment's actions, and what bounds a plan; each (A,), in the environment's units."""

    mean: Floats
    std: Floats
    low: Floats  # of the environment where it is known, else the least that was seen
    high: Floats

    @staticmethod
    def of(dataset: "TrajectoryDataset") -> "ActionStatistics":
        """Compute them over all actions of a data set, each action counting once.

        Raises:
            ValueError: there are no actions, or one number of them never changes.
        """
        count, mean, squares = 0, np.zeros(()), np.zeros(())
        low, high = np.full((), np.inf), np.full((), -np.inf)
        for index in range(len(dataset)):
            trajectory = dataset.trajectory(index)
            if trajectory.actions is None:
                raise ValueError(f"{trajectory.provenance}: it has no actions to take statistics of")
            actions = trajectory.actions
            if not len(actions):
                continue
            # Chan's parallel update: exact for large means, in one pass.
            there = actions.mean(0)
            away = there - mean
            total = count + len(actions)
            squares = squares + ((actions - there) ** 2).sum(0) + away**2 * (count * len(actions) / total)
            mean = mean + away * (len(actions) / total)
            low, high = np.minimum(low, actions.min(0)), np.maximum(high, actions.max(0))
            count = total
        if count == 0:
            raise ValueError("there is not a single action to take statistics of")
        std = np.sqrt(squares / count)
        if not (std > 0).all():
            raise ValueError(f"number {int((std <= 0).argmax())} of the actions never changes; drop it from the data")
        if dataset.action_bounds is not None:
            low, high = dataset.action_bounds
        return ActionStatistics(mean, std, low, high)
