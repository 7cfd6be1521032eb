"""What every set of trajectories offers, whatever layout it lies in on disk."""

import hashlib
import operator
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol, overload, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ..actions import ActionLayout
from .frames import indexed
from .statistics import ActionStatistics
from .trajectory import Trajectory
from .windows import Windows

HELD_OUT = 0.1  # of the trajectories (DINO-world, appendix D)


@runtime_checkable
class TrajectoryDataset(Protocol):
    """A set of trajectories, read when they are asked for.

    It is indexed as a list is: ``dataset[3]`` and ``dataset[-1]`` are trajectories, ``dataset[:100]`` and
    ``dataset[[4, 7]]`` subsets, and a loop goes over all trajectories.

    Readers (:mod:`wmcontrol.data.formats`) inherit from it and give the attributes, ``trajectory`` and
    ``fingerprint``; the rest follows.

    Attributes:
        lengths: (N,) how many frames (or states) each trajectory has, known without reading them.
        control_rate: environment actions per second, Hz; None for videos, whose frames have times of their own.
        env_id: the Gymnasium id of the environment that made them, where it is known.
        action_bounds: the lowest and highest action of that environment, both (A,), where they are known.
        action_layout: how that environment's actions lie in vectors (A,); None where they are such vectors.
        env_settings: what that environment must be made with for the actions to mean what they meant.
    """

    lengths: NDArray[np.int64]
    control_rate: float | None
    env_id: str | None
    action_bounds: tuple[NDArray[np.float64], NDArray[np.float64]] | None
    action_layout: ActionLayout | None = None
    env_settings: Mapping[str, Any] = MappingProxyType({})

    @abstractmethod
    def trajectory(self, index: int) -> Trajectory:
        """Return one trajectory, its frames unread.

        Raises:
            IndexError: no such trajectory.
            ValueError: a broken record; it names the file and the record.
        """

    @abstractmethod
    def fingerprint(self) -> str:
        """Return a digest that changes when what is on disk changes, or how it is read or drawn."""

    def __len__(self) -> int:
        return len(self.lengths)

    @overload
    def __getitem__(self, index: int) -> Trajectory: ...
    @overload
    def __getitem__(self, index: slice | Sequence[int] | NDArray[Any]) -> "Subset": ...
    def __getitem__(self, index: Any) -> "Trajectory | Subset":
        """Return one trajectory, its frames unread, or by a slice or several numbers a subset.

        Raises:
            IndexError: no such trajectory.
            TypeError: it is neither a whole number, a slice nor several numbers.
            ValueError: there is no trajectory in it, or one twice.
        """
        found = indexed(index, len(self))
        return self.trajectory(found) if isinstance(found, int) else Subset(self, found)

    def __repr__(self) -> str:
        rate = "" if self.control_rate is None else f", {self.control_rate:g} actions per second"
        env = "" if self.env_id is None else f", of {self.env_id!r}"
        return f"{type(self).__name__}({len(self)} trajectories, {int(self.lengths.sum())} frames{rate}{env})"

    def __iter__(self) -> Iterator[Trajectory]:
        return map(self.trajectory, range(len(self)))

    def windows(self, num_frames: int, frameskip: int = 1) -> Windows:
        """Return all windows of ``num_frames`` frames, ``frameskip`` apart, with the actions between them.

        Raises:
            ValueError: not a single trajectory is long enough.
        """
        return Windows(self, num_frames, frameskip)

    def split(self, fraction: float, seed: int) -> "tuple[Subset, Subset]":
        """Split by trajectory, never by window: ``fraction`` of them, and the rest; neither is empty.

        The same seed gives the same split on any machine and with any version of any library: trajectories are
        ordered by a hash of the seed and their number.
        """
        if not isinstance(fraction, int | float) or not 0 < fraction < 1:
            raise ValueError(f"fraction must lie between 0 and 1, got {fraction!r}")
        if len(self) < 2:
            raise ValueError(f"a split needs 2 trajectories or more, got {len(self)}")
        order, first = split_order(len(self), seed), split_size(len(self), fraction)
        return Subset(self, sorted(order[:first])), Subset(self, sorted(order[first:]))

    def action_statistics(self) -> ActionStatistics:
        """Return mean, standard deviation and bounds of the actions of these trajectories: of the training split."""
        return ActionStatistics.of(self)


def split_order(count: int, seed: int) -> list[int]:
    """Return the numbers 0 to ``count - 1`` in the order of a hash of the seed and each of them.

    Raises:
        TypeError: the seed is not a whole number.
    """
    try:
        number = operator.index(seed)
    except TypeError:
        raise TypeError(f"seed must be a whole number, got {seed!r}") from None
    return sorted(range(count), key=lambda i: hashlib.sha256(f"{number}:{i}".encode()).digest())


def split_size(count: int, fraction: float) -> int:
    """Return how many of two or more a fraction is, such that something is left on either side."""
    return min(max(1, round(fraction * count)), count - 1)


def held_out_split(count: int, seed: int, order_seed: int | None = None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split trajectories into those to train on, in a random order, and a tenth that is held out.

    Both are by a hash, as :meth:`TrajectoryDataset.split` is. Of those to train on, the first are the same for any
    number of them that is used.

    Args:
        count: of trajectories.
        seed: decides which are held out.
        order_seed: decides the order of the others; by default the same.

    Raises:
        ValueError: there are fewer than two.
    """
    if count < 2:
        raise ValueError(f"a store of {count} trajectory leaves none to hold out; collect more")
    held_out = sorted(split_order(count, seed)[split_size(count, 1 - HELD_OUT) :])
    unseen = set(held_out)
    order = split_order(count, seed if order_seed is None else order_seed)
    return np.array([member for member in order if member not in unseen]), np.array(held_out)


def checked_index(index: int, count: int, where: object = "") -> int:
    """Return the number of a trajectory, or raise an IndexError."""
    if not 0 <= index < count:
        raise IndexError(f"{where and f'{where}: '}there are {count} trajectories, got number {index}")
    return int(index)


def checked_members(members: Sequence[int] | NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return numbers of trajectories as an array.

    Raises:
        ValueError: they are not whole numbers below ``count``, or there are none.
    """
    chosen = np.asarray(members)
    if chosen.ndim != 1 or not len(chosen) or chosen.dtype.kind not in "iu":  # a mask of booleans is not numbers
        raise ValueError(
            f"expected whole numbers of one trajectory or more, (number,); got {chosen.dtype} of shape {chosen.shape}"
        )
    if chosen.min() < 0 or chosen.max() >= count:
        raise ValueError(f"trajectories are numbered 0 to {count - 1}, got {chosen.min()} to {chosen.max()}")
    if len(np.unique(chosen)) < len(chosen):
        raise ValueError(f"a trajectory can be a member once; got {sorted(chosen.tolist())}")
    return chosen.astype(np.int64)


class Subset(TrajectoryDataset):
    """Some trajectories of a set, in the order given.

    Args:
        whole: the set, or itself a subset of one.
        members: which of its trajectories.

    Raises:
        ValueError: there is no such trajectory, or not one is given.
    """

    def __init__(self, whole: TrajectoryDataset, members: "Sequence[int] | NDArray[np.int64]"):
        chosen = checked_members(members, len(whole))
        self.whole: TrajectoryDataset = whole.whole if isinstance(whole, Subset) else whole
        self.members: NDArray[np.int64] = whole.members[chosen] if isinstance(whole, Subset) else chosen
        self.lengths = whole.lengths[chosen]
        self.control_rate = whole.control_rate
        self.env_id = whole.env_id
        self.action_bounds, self.action_layout = whole.action_bounds, whole.action_layout
        self.env_settings = whole.env_settings

    def trajectory(self, index: int) -> Trajectory:
        """Return one trajectory of the subset."""
        return self.whole.trajectory(int(self.members[checked_index(index, len(self))]))

    def fingerprint(self) -> str:
        """Return a digest of the whole set's and of which trajectories these are."""
        return hashlib.sha256(self.whole.fingerprint().encode() + self.members.tobytes()).hexdigest()
