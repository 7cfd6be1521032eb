"""Statistics of actions, of the trajectories that a model is trained on and of no others."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from ..actions import ActionLayout
from ..bounds import rounded_inwards
from .trajectory import Floats

if TYPE_CHECKING:
    from .dataset import TrajectoryDataset


# Numbers whose values lie this close together count as constant: as a share of the environment's range, which is less
# than any actuator tells apart, and of their size, where single precision ends.
_SHARE_OF_RANGE, _SHARE_OF_SIZE = 1e-5, 1e-6
_UNBOUNDED = float(np.finfo(np.float32).max)  # from here on a bound is written for none


@dataclass(frozen=True)
class ActionStatistics:
    """What normalises an environment's actions, and what bounds a plan; each (A,), in the environment's units.

    A number that never changed, or only in its last digits, has the deviation 1 and is held where it was: ``mean``,
    ``low`` and ``high`` are its value, since nobody has seen what another one does.
    """

    mean: Floats
    std: Floats
    low: Floats  # of the environment where it is known and finite, else the least that was seen
    high: Floats

    @property
    def held(self) -> NDArray[np.bool_]:
        """Which numbers are held, (A,)."""
        return np.equal(self.low, self.high)

    @staticmethod
    def of(dataset: "TrajectoryDataset") -> "ActionStatistics":
        """Compute them over all actions of a data set, each action counting once.

        Raises:
            ValueError: there are no actions, they differ in how many numbers they have, or they never change.
        """
        return ActionStatistics.over(_actions(dataset), dataset.action_bounds, dataset.action_layout)

    @staticmethod
    def over(
        actions: Iterable[tuple[str, Floats]],
        bounds: tuple[Floats, Floats] | None,
        layout: ActionLayout | None = None,
    ) -> "ActionStatistics":
        """Compute them over the actions (T, A) of several trajectories, each with the name that an error gives.

        Args:
            actions: names and actions, one trajectory after another.
            bounds: the lowest and highest action of the environment, where they are known.
            layout: of the actions. Choices, which are one-hot, have mean 0 and deviation 1, so that they stay so.

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
        low, high = (np.asarray(bound, np.float64) for bound in (bounds if bounds is not None else (least, most)))
        if low.shape != mean.shape or high.shape != mean.shape:
            raise ValueError(f"actions have {len(mean)} numbers, their bounds {low.shape} and {high.shape}")
        low, high = np.where(low > -_UNBOUNDED, low, least), np.where(high < _UNBOUNDED, high, most)
        size = np.maximum(np.abs(least), np.abs(most))
        held = most - least <= np.maximum(_SHARE_OF_RANGE * (high - low), _SHARE_OF_SIZE * size)
        if held.all():
            raise ValueError("the actions never change, so that nothing can be learned of them; record others")
        value = _single(np.clip(mean, least, most), low, high)
        std = np.sqrt(squares / count)
        if layout is not None and layout.choices:
            low, high = np.where(held, value, low), np.where(held, value, high)
            return ActionStatistics(mean=np.zeros_like(mean), std=np.ones_like(std), low=low, high=high)
        return ActionStatistics(
            mean=np.where(held, value, mean),
            std=np.where(held, 1.0, std),
            low=np.where(held, value, low),
            high=np.where(held, value, high),
        )


def _single(values: Floats, low: Floats, high: Floats) -> Floats:
    """Return values as numbers of single precision that lie inside bounds, as agents give them to environments."""
    like = torch.zeros((), dtype=torch.float32, device="cpu")
    least, most = rounded_inwards(torch.from_numpy(low), torch.from_numpy(high), like)
    return torch.from_numpy(values).to(like).clamp(least, most).double().numpy()


def _actions(dataset: "TrajectoryDataset") -> Iterator[tuple[str, Floats]]:
    for index in range(len(dataset)):
        trajectory = dataset.trajectory(index)
        if trajectory.actions is None:
            raise ValueError(f"{trajectory.provenance}: it has no actions to take statistics of")
        yield str(trajectory.provenance), trajectory.actions
