"""Statistics of actions, of the trajectories that a model is trained on and of no others."""

from collections.abc import Iterable, Iterator
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
            ValueError: there are no actions, they differ in how many numbers they have, or one number never changes.
        """
        return ActionStatistics.over(_actions(dataset), dataset.action_bounds)

    @staticmethod
    def over(actions: Iterable[tuple[str, Floats]], bounds: tuple[Floats, Floats] | None) -> "ActionStatistics":
        """Compute them over the actions (T, A) of several trajectories, each with the name that an error gives.

        Args:
            actions: names and actions, one trajectory after another.
            bounds: the lowest and highest action of the environment, where they are known.

        Raises:
            ValueError: as :meth:`of`.
        """
        count, mean, squares = 0, np.zeros(()), np.zeros(())
        least, most = np.full((), np.inf), np.full((), -np.inf)
        for name, values in actions:
            if not len(values):
                continue
            if count and values.shape[1:] != mean.shape:
                raise ValueError(f"{name}: expected actions of {len(mean)} numbers as before, got {values.shape[1]}")
            finite = np.isfinite(values).all(1)
            if not finite.all():
                raise ValueError(f"{name}: action {finite.argmin()} is not finite: {values[finite.argmin()].tolist()}")
            # Chan's parallel update: exact for large means, in one pass.
            there = values.mean(0)
            away = there - mean
            total = count + len(values)
            squares = squares + ((values - there) ** 2).sum(0) + away**2 * (count * len(values) / total)
            mean = mean + away * (len(values) / total)
            least, most = np.minimum(least, values.min(0)), np.maximum(most, values.max(0))
            count = total
        if count == 0:
            raise ValueError("there is not a single action to take statistics of")
        if not (least < most).all():  # the deviation of equal numbers is not exactly 0
            raise ValueError(
                f"number {int((least >= most).argmax())} of the actions never changes; drop it from the data"
            )
        low, high = bounds if bounds is not None else (least, most)
        if np.shape(low) != mean.shape or np.shape(high) != mean.shape:
            raise ValueError(f"actions have {len(mean)} numbers, their bounds {np.shape(low)} and {np.shape(high)}")
        return ActionStatistics(mean, np.sqrt(squares / count), np.asarray(low), np.asarray(high))


def _actions(dataset: "TrajectoryDataset") -> Iterator[tuple[str, Floats]]:
    for index in range(len(dataset)):
        trajectory = dataset.trajectory(index)
        if trajectory.actions is None:
            raise ValueError(f"{trajectory.provenance}: it has no actions to take statistics of")
        yield str(trajectory.provenance), trajectory.actions
