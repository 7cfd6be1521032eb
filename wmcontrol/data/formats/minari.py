"""Reading Minari data sets: those that we write, and other people's."""

import hashlib
from collections.abc import Mapping
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...actions import ActionLayout
from ...envs.registration import is_goal_env
from ...untrusted import check_links
from ...untrusted.schema import MAX_BYTES, Place
from ..dataset import TrajectoryDataset, checked_index
from ..environment import DrawnFrames, Environment, world_settings
from ..frames import Frames, ImageSize, ReadFrames, checked_size, resized, side_of
from ..trajectory import Floats, Provenance, Trajectory
from .gymnasium_maze import GymnasiumMaze
from .minari_episodes import ARROW, ArrowEpisodes, Hdf5Episodes, find_images, find_states, leaves
from .minari_metadata import LONGEST, action_bounds, action_layout, read_metadata
from .reading import check_rate, fingerprint

LAYOUT = "minari"

_LOOKS = "options/variation/"  # what the names of attributes begin with that say how an episode looked
_RATES = ("control_rate", "control_freq")  # keyword arguments by which environments are told their rate, Hz
# Wrappers that neither actions nor their meaning pass through.
_LEAVE_ACTIONS_ALONE = frozenset(
    ("DataCollector", "OrderEnforcing", "PassiveEnvChecker", "RecordEpisodeStatistics", "RecordVideo", "TimeLimit")
)


def recognises(path: Path) -> bool:
    """Say whether this is a Minari data set, or an unfinished one of ours; never raises."""
    try:
        folder = _folder(path)
        if (folder / "main_data.hdf5").exists() or any((path / "parts").glob("*.hdf5")):
            return True
        with (folder / "metadata.json").open("rb") as file:  # what is wrong with it the reader says
            return b'"minari_version"' in file.read(MAX_BYTES)
    except OSError:
        return False


class MinariTrajectories(TrajectoryDataset):
    """The episodes of a Minari data set (Minari 0.4 to 0.5; HDF5, Arrow or Parquet).

    States are ``observations/state`` of a set that we wrote. Elsewhere they are the observations where these are one
    array; of a Dict its ``observation``; else all its vectors, in the order of their names, without goals. Frames are
    the images of the observations: uint8 (height, width, 3), raw or JPEG; of several ``pixels``, or the one that
    ``camera`` names.

    What the set says of its environment holds for reading it again: the keyword arguments that it was made with are
    ``env_settings`` (but those that only change what it looks like). Of one of ours, bounds of actions and control rate
    are the environment's, states are those of its ``get_state()``, and where no frames were kept it draws them, bit for
    bit what an agent would see. Two kinds of recordings of ours do not tell as much. Behind a wrapper that may change
    what actions do, the set is one of an unknown environment: ``env_id`` is None. And of an episode whose looks were
    drawn (``variation="all"``) and not written down, states are left out, since they do not say where the world was.

    gymnasium-robotics' PointMaze (``D4RL/pointmaze/...``) is turned into our coordinates and drawn by our PointMaze:
    see :class:`~wmcontrol.data.formats.gymnasium_maze.GymnasiumMaze`.

    Args:
        path: the set's folder, the ``data`` in it, or its ``main_data.hdf5``.
        image_size: of the frames, pixels: one side, or height and width. Frames that were kept are resized; by default
            they are as they are, and those that are drawn have 64.
        control_rate: actions per second, Hz, of sets that do not say (Minari has no place for it).
        camera: the observation that frames are taken from, such as ``"pixels"`` or ``"robot/view"``.

    Raises:
        FileNotFoundError: a file of the layout is not there.
        OSError: a file is not whole.
        ValueError: unfinished, without a control rate, without episodes, or settings that its environment does not
            have; it names the file.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        image_size: ImageSize | None = None,
        control_rate: float | None = None,
        camera: str | None = None,
    ):
        self._folder = _folder(Path(path))
        self._image_size, self._camera = image_size, camera
        checked_size(image_size)  # refused here, if at all
        self._path = self._folder / "metadata.json"  # of what the set says of itself
        if (Path(path) / "parts").is_dir() and not self._path.exists():
            raise ValueError(f"{path} is unfinished: what wrote it was stopped; run it again and it goes on")
        if not self._path.exists():
            raise FileNotFoundError(f"there is no {self._path}, which a Minari data set has beside its episodes")
        check_links(self._folder)
        self._about = read_metadata(self._path)
        self._ours, self._spaces = self._about.get("wmcontrol"), self._about["observation_space"]
        self._episodes = self._open()
        self._recognise(control_rate)
        self.lengths = self._read_lengths()
        if not len(self.lengths):
            raise ValueError(f"{self._episodes.path} has no episodes")
        with self._episodes.opened(0) as episode:  # a camera that is not there is told before anything begins
            found = {} if episode.observations is None else leaves(episode.observations, self._provenance(0))
            find_images(found, self._spaces, camera, self._provenance(0))

    def _open(self) -> Hdf5Episodes | ArrowEpisodes:
        data_format = self._about.get("data_format", "hdf5")
        if data_format in ARROW:
            return ArrowEpisodes(self._folder, data_format, self._spaces)
        if data_format != "hdf5":
            raise ValueError(f"{self._path}: data_format: expected hdf5, {' or '.join(ARROW)}, got {data_format!r}")
        if not (self._folder / "main_data.hdf5").exists():
            raise FileNotFoundError(
                f"there is no {self._folder / 'main_data.hdf5'}, where episodes are with data_format hdf5, which a "
                f"{self._path.name} without a data_format means too"
            )
        return Hdf5Episodes(self._folder)

    def _recognise(self, given: float | None) -> None:
        """Note which environment this is of, what it is made with, the bounds of its actions, and their rate."""
        spec, told = self._about["env_spec"], None
        named, written = spec.get("id"), self._ours["settings"].get("env_settings") if self._ours else None
        self._made_with: Mapping[str, Any] = written or spec.get("kwargs") or {}
        behind = sorted({wrapper["name"] for wrapper in spec.get("additional_wrappers") or ()} - _LEAVE_ACTIONS_ALONE)
        self._maze = None if self._ours else GymnasiumMaze.of(spec)
        # Of ours that Minari recorded; not behind wrappers that may change what actions do.
        self._environment = None
        if not self._ours and not self._maze and not behind:
            try:
                self._environment = Environment.of(named, self._made_with)
            except ValueError as error:
                raise ValueError(f"{self._path}: env_spec: kwargs: {error}") from error
        self.env_id = self._ours["env_id"] if self._ours else named
        self.env_settings = world_settings(self.env_id, self._made_with)
        place = Place(f"{self._path}: action_space")
        self.action_bounds = action_bounds(self._about["action_space"], place)
        self.action_layout = action_layout(self._about["action_space"], self._ours, place)
        if self._ours is not None:
            told = self._ours["control_rate"]
        elif self._maze is not None:
            self.env_id, self.env_settings, told = self._maze.env_id, self._maze.env_settings, self._maze.control_rate
            self.action_bounds = self._maze.bounds(*self.action_bounds) if self.action_bounds else None
        elif self._environment is not None:
            self.env_settings, self.action_bounds = self._environment.settings, self._environment.action_bounds
            told = self._environment.control_rate
        elif is_goal_env(self.env_id):
            self.env_id, self.env_settings = None, {}
        elif self.env_id is not None:
            rates = [self._made_with.get(name) for name in _RATES]
            told = next((float(rate) for rate in rates if isinstance(rate, int | float) and rate > 0), None)
        check_rate(given)
        if told is not None and given is not None and told != given:
            raise ValueError(f"{self._folder} was recorded at {told} Hz, got control_rate={given}")
        if told is None and given is None and not self._ours:
            wrapped = f" behind {', '.join(behind)}" if behind else ""
            raise ValueError(
                f"{self._path}: env_spec: {named}{wrapped} does not say how many actions there were per second; give "
                "control_rate=…, in Hz"
            )
        self.control_rate = given if told is None else told

    def trajectory(self, index: int) -> Trajectory:
        """Return one episode, its frames unread."""
        index = checked_index(index, len(self))
        T = int(self.lengths[index])
        provenance = self._provenance(index)
        with_rewards = self._ours is None or self._ours.get("rewards", False)  # else ours are not written at all
        with self._episodes.opened(index, with_rewards) as episode:
            for name in ("observations", "actions"):
                if getattr(episode, name) is None:
                    raise ValueError(f"{provenance}: it has no {name}")
            found = leaves(episode.observations, provenance)
            for name, leaf in found.items():
                if leaf.ndim == 0 or len(leaf) != T:
                    raise ValueError(
                        f"{provenance}: expected {T} observations for {T - 1} steps, {name or 'observations'} has "
                        f"shape {leaf.shape}"
                    )
            kept_times = found.pop("time", None) if self._ours else None
            states = find_states(found, provenance)
            actions = _actions(episode.actions, T - 1, provenance, None if self._ours else self.action_layout)
            if self._environment is not None:
                self._environment.check_actions(actions.shape[1], f"{provenance}: actions")
            rewards = None if episode.rewards is None else _rewards(episode.rewards, T - 1, provenance)
            image = find_images(found, self._spaces, self._camera, provenance)
            if kept_times is not None:
                times = kept_times[()]
            elif self.control_rate is not None:
                times = np.arange(T) / self.control_rate
            else:
                raise ValueError(f"{self._folder} has neither times nor a control rate")
            variation = self._variation(episode.attributes, provenance)
        frames: Frames | None = None
        if image is not None:
            read = ReadFrames(T, self._episodes.path, partial(self._episodes.images, index, *image))
            frames = resized(read, self._image_size)
        if self._maze is not None and states is not None:
            states, actions = self._maze.states(states), self._maze.actions(actions)
        if self._environment is not None and states is not None:
            states, variation = _world_states(self._environment, states, variation, provenance)
        drawable = self._maze is not None or self._environment is not None or self._ours is not None
        if frames is None and states is not None and drawable and self.env_id and is_goal_env(self.env_id):
            side = side_of(self._image_size)
            frames = DrawnFrames(self.env_id, states, side, variation or {}, self.env_settings)
        return Trajectory(
            times=times,
            provenance=provenance,
            frames=frames,
            states=states,
            actions=None if actions.shape[1:] == (0,) else actions,
            rewards=rewards,
            variation=variation or {},
        )

    def _provenance(self, index: int) -> Provenance:
        return Provenance(LAYOUT, self._folder, f"episode_{index}")

    def fingerprint(self) -> str:
        """Return a digest of the files' contents, and of a frame, drawn or read."""
        digest = hashlib.sha256(fingerprint("", [*self._episodes.files(), self._path], {}).encode())
        size = 64 if self._image_size is None else self._image_size
        digest.update(f"{LAYOUT} {size} {self.control_rate}{self._camera or ''}".encode())
        frames = self.trajectory(0).frames
        if frames is not None:
            digest.update(frames.read([0]).tobytes())
        return digest.hexdigest()

    def _variation(self, attributes: Mapping[str, Any], provenance: Provenance) -> dict[str, Floats] | None:
        """Return how the world of an episode looked, if it was one of ours; None where it was drawn, and not noted.

        In sets of ours it is what all episodes share, and what is this one's own.
        """
        found = {name.removeprefix(_LOOKS): attributes[name] for name in attributes if name.startswith(_LOOKS)}
        if self._ours is not None:
            found = {**self._ours.get("variation", {}), **found}
        elif self._environment is None:
            return {}
        elif not found:
            asked = attributes.get(_LOOKS.removesuffix("/"), self._made_with.get("variation"))
            if asked is not None and not isinstance(asked, Mapping):
                return None
            found = dict(asked or {})
        if self._ours is None and any(isinstance(value, str) and value == "random" for value in found.values()):
            return None
        looks = {}
        for name, value in found.items():
            if value is None:  # as by default
                continue
            try:
                looks[name] = np.atleast_1d(np.asarray(value, np.float64))
            except (TypeError, ValueError) as error:
                raise ValueError(f"{provenance}: {_LOOKS}{name} must be numbers, got {value!r}") from error
        return looks

    def _read_lengths(self) -> NDArray[np.int64]:
        """Return how many observations each episode has: from our metadata, or from the episodes' attributes."""
        count = self._about["total_episodes"]
        lengths = np.array(self._ours["lengths"] if self._ours else [], np.int64)
        # Minari can add episodes to a set of ours, and knows nothing of our list.
        if len(lengths) == count and lengths.sum() - count == self._about.get("total_steps"):
            return lengths
        there = self._episodes.count()
        if count > there:
            raise ValueError(f"{self._path}: total_episodes: it counts {count}, {self._episodes.path} has {there}")
        lengths = np.zeros(count, np.int64)
        for index in range(count):
            steps = self._episodes.steps(index)
            if steps is None or not np.issubdtype(type(steps), np.integer) or not 0 <= steps < LONGEST:
                raise ValueError(f"{self._episodes.path}, episode_{index}: total_steps must be a count, got {steps!r}")
            lengths[index] = steps + 1
        return lengths


def _folder(path: Path) -> Path:
    """Return the folder that has the files."""
    if path.name == "main_data.hdf5":
        return path.parent
    return path / "data" if (path / "data").is_dir() else path


def _world_states(
    environment: Environment, observed: Floats, variation: dict[str, Floats] | None, provenance: Provenance
) -> tuple[Floats | None, dict[str, Floats] | None]:
    """Return the states in vector observations (T, …) of one of our environments, and the looks that they tell.

    No states where it is not known how the world looked.
    """
    names, size = environment.observed_variations, len(environment.state_labels)
    if observed.shape[1] == size + len(names):
        told = {name: observed[:1, size + i] for i, name in enumerate(names)}
        variation = None if variation is None else {**variation, **told}
        observed = observed[:, :size]
    environment.check_states(observed.shape[1], provenance)
    known = variation is not None and all(name in variation for name in names)
    return (observed, variation) if known else (None, None)


def _actions(dataset: Any, steps: int, provenance: Provenance, layout: ActionLayout | None) -> Floats:
    """Return actions as vectors (steps, A)."""
    kind, shape = getattr(dataset, "dtype", None), getattr(dataset, "shape", "a group")
    kinds, numbers = ("iub", "whole numbers") if layout and layout.choices else ("f", "floats")
    # Of several axes Arrow has one.
    expected = [(A,) for A in shape[1:2]] if layout is None else [layout.shape, (prod(layout.shape),)]
    if kind is None or kind.kind not in kinds or shape[1:] not in expected:
        sides = "A" if layout is None else ", ".join(map(str, layout.shape))
        raise ValueError(f"{provenance}: actions must be {numbers} (steps, {sides}), got {kind} {shape}")
    if shape[0] != steps:
        raise ValueError(f"{provenance}: expected {steps} actions for {steps + 1} times, got {shape[0]}")
    if layout is None:
        return np.asarray(dataset[()], np.float64)
    try:
        return layout.to_vectors(dataset[()].reshape(steps, *layout.shape)).astype(np.float64)
    except ValueError as error:
        raise ValueError(f"{provenance}: {error}") from error


def _rewards(dataset: Any, steps: int, provenance: Provenance) -> Floats:
    """Return rewards (steps,)."""
    kind, shape = getattr(dataset, "dtype", None), getattr(dataset, "shape", "a group")
    if kind is None or kind.kind not in "fiu" or shape != (steps,):
        raise ValueError(f"{provenance}: rewards must be numbers ({steps},), got {kind} {shape}")
    return np.asarray(dataset[()], np.float64)
