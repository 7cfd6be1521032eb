"""Trajectories that lie in rows of arrays, whichever arrays they are and whatever file has them."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...actions import ActionLayout
from ..dataset import TrajectoryDataset, checked_index
from ..environment import DrawnFrames, Environment
from ..frames import Frames, ImageSize, ReadFrames, checked_size, pick_camera, resized, side_of
from ..trajectory import Floats, Provenance, Trajectory
from .columns import Columns, Shape, join
from .reading import checked_lengths, checked_rate, fingerprint


class Episode(NamedTuple):
    """Where one trajectory is."""

    record: str  # what errors call it
    group: str  # that has its arrays; "" is the outermost
    start: int  # its first row in them
    length: int


@dataclass(frozen=True)
class Roles:
    """Which arrays of a group are what; they have a row for each frame, actions and rewards maybe one fewer."""

    frames: str | None = None
    actions: str | None = None
    states: tuple[str, ...] = ()  # one after the other
    times: str | None = None
    rewards: str | None = None  # a number that each action was given

    def names(self) -> list[str]:
        """Return the arrays, frames and states first."""
        return [name for name in (self.frames, *self.states, self.times, self.actions, self.rewards) if name]

    def check(self, shapes: Mapping[str, Shape], where: object) -> None:
        """Raise a ValueError that names ``where`` unless there is something to see."""
        if not self.frames and not self.states:
            raise ValueError(
                f"{where}: there are neither pictures, (T, height, width, 3), nor states of a usual name; name some "
                f"by states=…; there is {dict(shapes)}"
            )


class ColumnDataset(TrajectoryDataset):
    """Trajectories in rows of arrays: what the readers of HDF5, zarr and npz share.

    Frames are drawn from states where there are none, and the environment is one of ours.

    Args:
        layout: the reader's name.
        columns: the arrays.
        roles: which of them are what.
        episodes: where each trajectory is.
        control_rate: actions per second, Hz; that of the environment where it is known.
        env_id, env_settings: the environment, and what it was made with.
        image_size: of the frames, pixels, to which they are resized, or in which they are drawn.
        num_choices: between how many actions each chooses, where they are whole numbers from 0 up.

    Raises:
        OSError: an array cannot be read.
        ValueError: arrays that disagree, no control rate or one that is not the environment's, or states or actions
            that are not the environment's.
    """

    num_derived = 0  # how many numbers of a state the reader itself adds

    def __init__(
        self,
        layout: str,
        columns: Columns,
        roles: Roles,
        episodes: Sequence[Episode],
        *,
        control_rate: float | None,
        env_id: str | None,
        env_settings: Mapping[str, Any],
        image_size: ImageSize | None,
        num_choices: int | None = None,
    ):
        self.path, self._layout, self._columns, self._roles = columns.path, layout, columns, roles
        self._episodes, self._size = list(episodes), checked_size(image_size)
        self.lengths = checked_lengths(self.path, [episode.length for episode in episodes])
        environment = Environment.of(env_id, env_settings)
        if control_rate is None and environment is None and roles.times:
            rates = 1 / np.diff(self._times(self._episodes[0], roles.times))
            control_rate = float(np.median(rates)) if len(rates) and (rates > 0).all() else None
        self.control_rate = checked_rate(control_rate, environment, self.path)
        self.env_id = env_id
        self.env_settings = environment.settings if environment else dict(env_settings)
        self.action_bounds = environment.action_bounds if environment else None
        if num_choices is not None:
            self.action_layout = ActionLayout((), (num_choices,))
            self.action_bounds = (np.zeros(num_choices), np.ones(num_choices))
        self._drawn = side_of(image_size) if environment and roles.states and not roles.frames else None
        if environment and roles.actions and num_choices is None:
            environment.check_actions(self._width([roles.actions]), f"{self.path}: {roles.actions}")
        if environment and roles.states:
            size = self._width(roles.states) + self.num_derived
            environment.check_states(size, f"{self.path}: {' and '.join(roles.states)}")

    def trajectory(self, index: int) -> Trajectory:
        """Return one trajectory, its frames unread."""
        index = checked_index(index, len(self))
        episode, roles, T = self._episodes[index], self._roles, int(self.lengths[index])
        states = [self._numbers(episode, name, T) for name in roles.states]
        rewards = self._numbers(episode, roles.rewards, T - 1) if roles.rewards else None
        if rewards is not None and rewards.shape[1] == 1:  # else the trajectory refuses them
            rewards = rewards[:, 0]
        found = self._frames(episode) if roles.frames else None
        together = np.concatenate(states, -1) if states else None
        if self._drawn and together is not None:
            found = DrawnFrames(str(self.env_id), together, self._drawn, {}, self.env_settings)
        return Trajectory(
            times=self._times(episode, roles.times) if roles.times else np.arange(T) / self.control_rate,
            provenance=self._provenance(episode),
            frames=found,
            states=together,
            actions=self._actions(episode, roles.actions, T - 1) if roles.actions else None,
            rewards=rewards,
        )

    def fingerprint(self) -> str:
        """Return a digest of the files' names and contents, of the settings, and of a frame where frames are drawn."""
        settings = {"roles": self._roles.names(), "control_rate": self.control_rate, "env_id": self.env_id}
        settings |= {"env_settings": self.env_settings, "image_size": self._size, "layout": repr(self.action_layout)}
        settings["episodes"] = hashlib.sha256(repr(self._episodes).encode()).hexdigest()
        if self._drawn:
            settings["drawn"] = hashlib.sha256(np.asarray(self.trajectory(0).frames).tobytes()).hexdigest()
        return fingerprint(self._layout, self._columns.files(), settings)

    def _provenance(self, episode: Episode) -> Provenance:
        return Provenance(self._layout, self.path, episode.record)

    def _numbers(self, episode: Episode, name: str, count: int) -> Floats:
        """Return numbers (count, k) of an episode; more axes than two are one after the other."""
        where = self._provenance(episode)
        rows = self._columns.read(join(episode.group, name), slice(episode.start, episode.start + count), where)
        if rows.dtype.kind not in "fiu" or rows.ndim < 1:
            raise ValueError(f"{where}: {name}: expected numbers (T, …), got {rows.dtype} of shape {rows.shape}")
        return rows.reshape(len(rows), math.prod(rows.shape[1:])).astype(np.float64)

    def _times(self, episode: Episode, name: str) -> Floats:
        """Return the times (T,) of an episode."""
        times = self._numbers(episode, name, episode.length)
        if times.shape[1] != 1:
            raise ValueError(
                f"{self._provenance(episode)}: {name}: expected one time for each frame, got {times.shape[1]}"
            )
        return times[:, 0]

    def _actions(self, episode: Episode, name: str, count: int) -> Floats:
        """Return actions as vectors (count, A)."""
        if self.action_layout is None:
            return self._numbers(episode, name, count)
        where = self._provenance(episode)
        rows = self._columns.read(join(episode.group, name), slice(episode.start, episode.start + count), where)
        try:
            return self.action_layout.to_vectors(rows.reshape(count)).astype(np.float64)
        except ValueError as error:
            raise ValueError(f"{where}: {name}: expected choices (T,): {error}") from error

    def _width(self, names: Sequence[str]) -> int:
        """Return how many numbers a row of arrays has together."""
        shapes = [self._columns.shape(join(self._episodes[0].group, name)) or () for name in names]
        return sum(math.prod(shape[1:]) for shape in shapes)

    def _frames(self, episode: Episode) -> Frames:
        name, where = join(episode.group, str(self._roles.frames)), self._provenance(episode)
        pick = partial(_pixels, self._columns, name, episode.start, where)
        return resized(ReadFrames(episode.length, where, pick), self._size)


def _pixels(columns: Columns, name: str, start: int, where: Provenance, rows: NDArray[np.int64]) -> NDArray[Any]:
    frames = columns.read(name, start + rows, where)
    return frames if frames.shape[-1] == 3 else np.moveaxis(frames, 1, -1)


def flat_episodes(columns: Columns, roles: Roles, ends: NDArray[Any], group: str, source: str) -> list[Episode]:
    """Return the episodes of arrays that have the rows of all, one after the other.

    Args:
        columns: the arrays.
        roles: which of them are what.
        ends: (N,) the row after the last of each episode.
        group: that has the arrays.
        source: the array that has the ends, for errors.

    Raises:
        ValueError: ends that do not rise, or an array with another number of rows.
    """
    where = columns.path / source
    lengths = checked_lengths(where, np.diff(ends, prepend=0) if ends.ndim == 1 and ends.dtype.kind in "iu" else ends)
    for name in (join(group, name) for name in roles.names()):
        shape = columns.shape(name) or ()
        if shape[:1] != (ends[-1],):
            raise ValueError(f"{columns.path}: {source} counts {ends[-1]} frames, but {name} has shape {shape}")
    return [
        Episode(f"episode_{index}", group, int(end - length), int(length))
        for index, (end, length) in enumerate(zip(ends, lengths, strict=True))
    ]


def grouped_episodes(columns: Columns, roles: Roles, groups: Sequence[str]) -> list[Episode]:
    """Return the episodes of groups that have one each.

    Raises:
        ValueError: an array is missing in a group, or its arrays have different numbers of rows.
    """
    episodes = []
    for group in groups:
        shapes = {name: columns.shape(join(group, name)) for name in roles.names()}
        rows = {name: shape[0] for name, shape in shapes.items() if shape}
        if missing := set(shapes) - set(rows):
            raise ValueError(f"{columns.path}: {group or 'it'} has no array {min(missing)}, which other episodes have")
        length = next(iter(rows.values()))
        for name, count in rows.items():
            if count != length and not (name in (roles.actions, roles.rewards) and count == length - 1):
                raise ValueError(f"{columns.path}: {group}: {name} has {count} rows, {next(iter(rows))} has {length}")
        episodes.append(Episode(group or "episode_0", group, 0, length))
    return episodes


def find_frames(shapes: Mapping[str, Shape], camera: str | None, where: object) -> str | None:
    """Return the array of pictures, (T, height, width, 3) or (T, 3, height, width), that ``camera`` means.

    Raises:
        ValueError: as :func:`~wmcontrol.data.frames.pick_camera`.
    """
    images = [name for name, shape in shapes.items() if len(shape) == 4 and 3 in (shape[1], shape[3])]
    return pick_camera(images, camera, where)


def find_named(shapes: Mapping[str, Shape], names: Sequence[str]) -> str | None:
    """Return the first of some names that there is."""
    return next((name for name in names if name in shapes), None)


def find_states(
    shapes: Mapping[str, Shape], asked: str | Sequence[str] | None, usual: Sequence[str], where: object
) -> tuple[str, ...]:
    """Return the arrays of states: those asked for, or else the first of the usual ones that there is.

    Raises:
        ValueError: one that is asked for is not there.
    """
    if asked is None:
        found = find_named(shapes, usual)
        return (found,) if found else ()
    names = (asked,) if isinstance(asked, str) else tuple(asked)
    for name in names:
        if name not in shapes:
            raise ValueError(f"{where} has no array {name!r} for states; it has {sorted(shapes)}")
    return names
