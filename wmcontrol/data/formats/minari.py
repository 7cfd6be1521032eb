"""Reading Minari data sets in HDF5: those that we write, and other people's."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import ENV_IDS
from ..dataset import TrajectoryDataset
from ..drawn import DrawnFrames
from ..trajectory import Floats, Frames, Provenance, Trajectory
from .gymnasium_maze import GymnasiumMaze
from .hdf5_file import Hdf5File, identity, reading
from .minari_observations import find_frames, find_states, leaves

LAYOUT = "minari"

_LOOKS = "options/variation/"  # what the names of attributes begin with that say how an episode looked


def recognises(path: Path) -> bool:
    """Say whether this is a Minari data set, or an unfinished one of ours; never raises."""
    try:
        folder = _folder(path)
        if (folder / "main_data.hdf5").exists() or (path / "parts" / "settings.json").exists():
            return True
        return "minari_version" in json.loads((folder / "metadata.json").read_text())
    except (OSError, ValueError, TypeError):
        return False


class MinariTrajectories(TrajectoryDataset):
    """The episodes of a Minari data set (Minari 0.4 to 0.5, HDF5).

    States are ``observations/state`` of a set that we wrote. Elsewhere they are the observations where these are one
    array; of a Dict its ``observation``; else all its vectors, in the order of their names, without goals. Frames are
    the images of the observations: uint8 (height, width, 3), raw or JPEG; of several ``pixels``, or the first by name
    that is no goal. Where a set of ours has none, its environment draws them, bit for bit what an agent would see.

    gymnasium-robotics' PointMaze (``D4RL/pointmaze/...``) is turned into our coordinates and drawn by our PointMaze:
    see :class:`~wmcontrol.data.formats.gymnasium_maze.GymnasiumMaze`.

    Args:
        path: the set's folder, the ``data`` in it, or its ``main_data.hdf5``.
        image_size: side of frames that are drawn, pixels; frames that were kept have the size that they have.
        control_rate: actions per second, Hz, of sets that do not say (Minari has no place for it).

    Raises:
        FileNotFoundError: a file of the layout is not there.
        OSError: a file is not whole.
        ValueError: not in HDF5, unfinished, without a control rate, or without episodes; it names the file.
    """

    def __init__(self, path: str | Path, *, image_size: int = 64, control_rate: float | None = None):
        self._folder = _folder(Path(path))
        self._image_size = image_size
        self._metadata = _read_metadata(self._folder, Path(path))
        ours = self._metadata.get("wmcontrol")
        self._ours: Mapping[str, Any] | None = ours if isinstance(ours, Mapping) else None
        self._file = Hdf5File(self._folder / "main_data.hdf5")
        self._spaces = json.loads(self._metadata.get("observation_space") or "{}")
        spec = json.loads(self._metadata.get("env_spec") or "{}")
        self._maze = None if self._ours else GymnasiumMaze.of(spec)
        self.env_id = self._ours["env_id"] if self._ours else spec.get("id")
        if self._maze is not None:
            self.env_id = self._maze.env_id
        self.action_bounds = self._bounds()
        if self._ours:
            self.env_settings = self._ours["settings"].get("env_settings", {})
        self.control_rate = self._rate(control_rate)
        self.lengths = self._read_lengths()
        if not len(self.lengths):
            raise ValueError(f"{self._file.path} has no episodes")

    def trajectory(self, index: int) -> Trajectory:
        """Return one episode, its frames unread."""
        if not 0 <= index < len(self):
            raise IndexError(f"{self._folder} has {len(self)} episodes, got number {index}")
        record, T = f"episode_{index}", int(self.lengths[index])
        provenance = Provenance(LAYOUT, self._folder, record)
        with reading(self._file.path, record):
            group = self._group(index)
            for name in ("observations", "actions"):
                if name not in group:
                    raise ValueError(f"{provenance}: it has no {name}")
            found = leaves(group["observations"])
            for name, leaf in found.items():
                if leaf.ndim == 0 or len(leaf) != T:
                    raise ValueError(
                        f"{provenance}: expected {T} observations for {T - 1} steps, {name or 'observations'} has "
                        f"shape {leaf.shape}"
                    )
            kept_times = found.pop("time", None) if self._ours else None
            states = find_states(found, provenance)
            actions = _numbers(group["actions"], provenance)
            frames: Frames | None = find_frames(found, self._spaces, self._file, record)
            times = np.arange(T) / self._known_rate() if kept_times is None else kept_times[()]
            variation = self._variation(group.attrs)
        if self._maze is not None and states is not None:
            states, actions = self._maze.states(states), self._maze.actions(actions)
        drawable = self._maze is not None or self._ours is not None
        if frames is None and states is not None and drawable and self.env_id in ENV_IDS:
            frames = DrawnFrames(self.env_id, states, self._image_size, variation)
        return Trajectory(
            times=times,
            provenance=provenance,
            frames=frames,
            states=states,
            actions=None if actions.shape[1:] == (0,) else actions,
            variation=variation,
        )

    def fingerprint(self) -> str:
        """Return a digest of the files' sizes and times, and of a frame, drawn or read."""
        digest = hashlib.sha256(identity(self._file.path, self._folder / "metadata.json").encode())
        digest.update(f"{LAYOUT} {self._image_size} {self.control_rate}".encode())
        frames = self.trajectory(0).frames
        if frames is not None:
            digest.update(frames.read([0]).tobytes())
        return digest.hexdigest()

    def _group(self, index: int) -> Any:
        group = self._file.root().get(f"episode_{index}")
        if group is None:
            raise ValueError(f"{self._file.path} has no episode_{index}, of {len(self)} that metadata.json counts")
        return group

    def _variation(self, attributes: Any) -> dict[str, Floats]:
        """Return how the world looked, if it was one of ours: what all episodes share, and what is this one's own."""
        if self._ours is None:
            return {}
        found = dict(self._ours["variation"])
        found |= {name.removeprefix(_LOOKS): attributes[name] for name in attributes if name.startswith(_LOOKS)}
        return {name: np.atleast_1d(np.asarray(value, np.float64)) for name, value in found.items()}

    def _read_lengths(self) -> NDArray[np.int64]:
        """Return how many observations each episode has: from our metadata, or from the episodes' attributes."""
        count = self._metadata.get("total_episodes")
        if not isinstance(count, int):
            raise ValueError(f"{self._folder / 'metadata.json'}: total_episodes must be a whole number, got {count!r}")
        lengths = np.array((self._ours or {}).get("lengths", []), np.int64)
        # Minari can add episodes to a set of ours, and knows nothing of our list.
        if len(lengths) == count and lengths.sum() - count == self._metadata.get("total_steps"):
            return lengths
        self.lengths = lengths = np.zeros(count, np.int64)
        for index in range(count):
            with reading(self._file.path, f"episode_{index}"):
                steps = self._group(index).attrs.get("total_steps")
            if steps is None or not np.issubdtype(type(steps), np.integer) or steps < 0:
                raise ValueError(f"{self._file.path}, episode_{index}: total_steps must be a count, got {steps!r}")
            lengths[index] = steps + 1
        return lengths

    def _rate(self, given: float | None) -> float | None:
        if given is not None and not (np.isfinite(given) and given > 0):
            raise ValueError(f"control_rate must be a number of actions per second, got {given!r}")
        recorded = self._ours["control_rate"] if self._ours else self._maze.control_rate if self._maze else None
        if recorded is not None and given is not None and recorded != given:
            raise ValueError(f"{self._folder} was recorded at {recorded} Hz, got control_rate={given}")
        if recorded is None and given is None and not self._ours:
            raise ValueError(
                f"{self._folder} ({self.env_id}) does not say how many actions there were per second; give "
                "control_rate=…, in Hz"
            )
        return recorded if recorded is not None else given

    def _known_rate(self) -> float:
        if self.control_rate is None:
            raise ValueError(f"{self._folder} has neither times nor a control rate")
        return self.control_rate

    def _bounds(self) -> tuple[Floats, Floats] | None:
        space = json.loads(self._metadata.get("action_space") or "{}")
        if space.get("type") != "Box":
            return None
        low, high = np.array(space["low"], float), np.array(space["high"], float)
        if low.ndim != 1 or not len(low) or not np.isfinite([low, high]).all():
            return None
        return (low, high) if self._maze is None else self._maze.bounds(low, high)


def _folder(path: Path) -> Path:
    """Return the folder that has the files."""
    if path.name == "main_data.hdf5":
        return path.parent
    return path / "data" if (path / "data").is_dir() else path


def _read_metadata(folder: Path, asked: Path) -> dict[str, Any]:
    path = folder / "metadata.json"
    if (asked / "parts" / "settings.json").exists() and not path.exists():
        raise ValueError(f"{asked} is unfinished: what wrote it was stopped; run it again and it goes on")
    if not path.exists():
        raise FileNotFoundError(f"there is no {path}, which a Minari data set has beside main_data.hdf5")
    try:
        metadata = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path} is not JSON, is it whole? {error}") from error
    if not isinstance(metadata, dict):
        raise ValueError(f"{path} must hold a JSON object, got {type(metadata).__name__}")
    if metadata.get("data_format", "hdf5") != "hdf5":
        raise ValueError(
            f"{folder} is a Minari data set in {metadata['data_format']!r}, and we read hdf5; create it again with "
            'data_format="hdf5"'
        )
    return metadata


def _numbers(dataset: Any, provenance: Provenance) -> Floats:
    """Return actions as (T - 1, A)."""
    kind = getattr(dataset, "dtype", None)
    if kind is None or kind.kind != "f" or dataset.ndim != 2:
        shape = getattr(dataset, "shape", "a group")
        raise ValueError(f"{provenance}: actions must be floats (steps, A), got {kind} {shape}")
    return np.asarray(dataset[()], np.float64)
