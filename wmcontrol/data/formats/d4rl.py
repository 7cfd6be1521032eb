"""Reading D4RL's maze2d files: flat HDF5, states without frames, which our PointMaze draws."""

import hashlib
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..dataset import TrajectoryDataset, checked_index
from ..environment import DrawnFrames
from ..frames import side_of
from ..trajectory import Floats, Provenance, Trajectory
from .hdf5_file import is_hdf5, open_hdf5, reading
from .reading import PerProcess, fingerprint

LAYOUT = "d4rl"

TIMESTEP = 0.01  # s: D4RL's maze2d simulates one step per action
_MAZES = {"umaze": "UMaze", "medium": "Medium", "large": "Large"}
_NOT_OURS = ("open", "eval")  # in names of files: mazes that we do not have
# Metres per step that no ball makes: its velocity is clipped to 5 before a step, which adds at most 0.24.
_JUMP = 0.06


def recognises(path: Path) -> bool:
    """Say whether this is a maze2d file by its keys and shapes; never raises."""
    if not is_hdf5(path):
        return False
    try:
        root = open_hdf5(path)
        return "terminals" in root and all(
            key in root and root[key].ndim == 2 and root[key].shape[1] == size
            for key, size in (("observations", 4), ("actions", 2))
        )
    except Exception:
        return False  # whatever a foreign file makes h5py raise


class D4RLTrajectories(TrajectoryDataset):
    """The episodes of one of D4RL's maze2d files.

    States (T, 4) are ``infos/qpos`` and ``infos/qvel`` where they are there, else ``observations``: in the generator's
    files the observation after the end of an episode is a stale one, and ``infos`` are right. They are those of our
    PointMaze, in the same coordinates, which draws the frames. An action is held for 0.01 s: 100 Hz, our environment
    with ``frame_skip=1``.

    An episode ends with a row that is marked in ``terminals`` or ``timeouts``. The generator writes no ``timeouts``; in
    a file with no mark at all an episode ends where ``infos/goal`` changes. In any file it ends where the ball is
    farther from the next row than it can go in a step (0.06 in x or y): there was a reset. The action of an episode's
    last row is dropped, since no row of its own shows what it did.

    Args:
        path: the HDF5 file.
        image_size: side of the frames, pixels.
        maze: ``"umaze"``, ``"medium"`` or ``"large"``; None takes it from the file's name.

    Raises:
        FileNotFoundError: no such file.
        OSError: the file is not whole.
        ValueError: a key is missing or has a wrong shape, or the name does not say which maze; it names the file.
    """

    def __init__(self, path: str | Path, *, image_size: int = 64, maze: str | None = None):
        self._path = Path(path)
        self._image_size = side_of(image_size)
        self._rows = PerProcess(partial(_read_rows, self._path))
        self.env_id = f"wmcontrol/PointMaze_{_MAZES[_which_maze(self._path, maze)]}-v0"
        self.env_settings = {"frame_skip": 1}
        self.control_rate = 1 / TIMESTEP
        self.action_bounds = (-np.ones(2), np.ones(2))
        ends = self._rows.get().ends
        self.lengths = np.diff(ends, prepend=0)
        self._starts: NDArray[np.int64] = ends - self.lengths

    def trajectory(self, index: int) -> Trajectory:
        """Return one episode, its frames undrawn."""
        index = checked_index(index, len(self), self._path)
        rows = self._rows.get()
        start, T = int(self._starts[index]), int(self.lengths[index])
        states = rows.states[start : start + T].astype(np.float64)
        return Trajectory(
            times=np.arange(T, dtype=np.float64) * TIMESTEP,
            provenance=Provenance(LAYOUT, self._path, f"episode_{index}, from row {start}"),
            frames=DrawnFrames(str(self.env_id), states, self._image_size),
            states=states,
            actions=rows.actions[start : start + T - 1].astype(np.float64),
        )

    def fingerprint(self) -> str:
        """Return a digest of the file's content, and of a frame as it is drawn."""
        frame = DrawnFrames(str(self.env_id), self._rows.get().states[:1].astype(np.float64), self._image_size).read(
            [0]
        )
        parts = (fingerprint("", [self._path], {}), LAYOUT, str(self.env_id), frame.tobytes().hex())
        return hashlib.sha256(" ".join(parts).encode()).hexdigest()


class _Rows(NamedTuple):
    """All N rows of a file."""

    states: Floats  # (N, 4)
    actions: Floats  # (N, 2)
    ends: NDArray[np.int64]  # the row after the last of each episode


def _read_rows(path: Path) -> _Rows:
    root = open_hdf5(path)

    def read(key: str, shape: tuple[int, ...], kinds: str = "f") -> NDArray[Any]:
        if key not in root:
            raise ValueError(f"{path} has no {key}, which D4RL's maze2d files have; it has {sorted(root)}")
        dataset, observations = root[key], root["observations"]
        count = len(observations) if getattr(observations, "shape", ()) else 0
        kind, found = getattr(dataset, "dtype", None), getattr(dataset, "shape", "a group")
        if kind is None or kind.kind not in kinds or found != (count, *shape):
            raise ValueError(
                f"{path}: {key} must be {'floats' if kinds == 'f' else 'flags'} {(count, *shape)}, as many as there "
                f"are observations; got {kind} {found}"
            )
        return np.asarray(dataset[()])

    with reading(path, "all rows"):
        states, actions = read("observations", (4,)), read("actions", (2,))
        if "infos/qpos" in root and "infos/qvel" in root:
            states = np.concatenate([read("infos/qpos", (2,)), read("infos/qvel", (2,))], axis=1)
        if not len(states):
            raise ValueError(f"{path} has no rows")
        marked = read("terminals", (), "bui").astype(bool)
        if "timeouts" in root:
            marked |= read("timeouts", (), "bui").astype(bool)
        if not marked.any() and "infos/goal" in root:
            goals = read("infos/goal", (2,))
            marked[:-1] = (goals[1:] != goals[:-1]).any(1)
    marked[:-1] |= (np.abs(np.diff(states[:, :2], axis=0)) > _JUMP).any(1)
    marked[-1] = True
    return _Rows(states, actions, np.flatnonzero(marked).astype(np.int64) + 1)


def _which_maze(path: Path, asked: str | None) -> str:
    if asked is not None:
        if asked not in _MAZES:
            raise ValueError(f"maze must be one of {list(_MAZES)}, got {asked!r}")
        return asked
    name = path.name.lower()
    found = [maze for maze in _MAZES if maze in name]
    if len(found) != 1 or any(word in name for word in _NOT_OURS):
        raise ValueError(
            f"{path}: its name does not say which of {list(_MAZES)} it was recorded in (those are the mazes that we "
            "have); give maze=…"
        )
    return found[0]
