"""Reading D4RL's maze2d files: flat HDF5, states without frames, which our PointMaze draws."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..dataset import TrajectoryDataset, checked_index
from ..environment import DrawnFrames
from ..frames import side_of
from ..trajectory import Floats, Provenance, Trajectory
from .hdf5_file import Hdf5File, is_hdf5, reading
from .reading import fingerprint

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
        root = Hdf5File(path).root()
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
        self._file = Hdf5File(self._path)
        self.env_id = f"wmcontrol/PointMaze_{_MAZES[_which_maze(self._path, maze)]}-v0"
        self.env_settings = {"frame_skip": 1}
        self.control_rate = 1 / TIMESTEP
        self.action_bounds = (-np.ones(2), np.ones(2))
        self._loaded: tuple[Floats, Floats] | None = None
        with reading(self._path, "all rows"):
            ends = self._ends()
        self.lengths = np.diff(ends, prepend=0)
        self._starts: NDArray[np.int64] = ends - self.lengths

    def trajectory(self, index: int) -> Trajectory:
        """Return one episode, its frames undrawn."""
        index = checked_index(index, len(self), self._path)
        states, actions = self._rows()
        start, T = int(self._starts[index]), int(self.lengths[index])
        its_states = states[start : start + T].astype(np.float64)
        return Trajectory(
            times=np.arange(T, dtype=np.float64) * TIMESTEP,
            provenance=Provenance(LAYOUT, self._path, f"episode_{index}, from row {start}"),
            frames=DrawnFrames(str(self.env_id), its_states, self._image_size),
            states=its_states,
            actions=actions[start : start + T - 1].astype(np.float64),
        )

    def fingerprint(self) -> str:
        """Return a digest of the file's content, and of a frame as it is drawn."""
        frame = DrawnFrames(str(self.env_id), self._rows()[0][:1].astype(np.float64), self._image_size).read([0])
        parts = (fingerprint("", [self._path], {}), LAYOUT, str(self.env_id), frame.tobytes().hex())
        return hashlib.sha256(" ".join(parts).encode()).hexdigest()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_loaded": None}  # a worker reads the rows for itself

    def _rows(self) -> tuple[Floats, Floats]:
        """Return states (N, 4) and actions (N, 2) of all rows, read once in each process."""
        if self._loaded is None:
            with reading(self._path, "all rows"):
                states, actions = self._read("observations", (4,)), self._read("actions", (2,))
                if all(key in self._file.root() for key in ("infos/qpos", "infos/qvel")):
                    states = np.concatenate([self._read("infos/qpos", (2,)), self._read("infos/qvel", (2,))], axis=1)
            self._loaded = (states, actions)
        return self._loaded

    def _read(self, key: str, shape: tuple[int, ...], kinds: str = "f") -> NDArray[Any]:
        root = self._file.root()
        if key not in root:
            raise ValueError(f"{self._path} has no {key}, which D4RL's maze2d files have; it has {sorted(root)}")
        dataset, observations = root[key], root["observations"]
        count = len(observations) if getattr(observations, "shape", ()) else 0
        kind, found = getattr(dataset, "dtype", None), getattr(dataset, "shape", "a group")
        if kind is None or kind.kind not in kinds or found != (count, *shape):
            raise ValueError(
                f"{self._path}: {key} must be {'floats' if kinds == 'f' else 'flags'} {(count, *shape)}, as many as "
                f"there are observations; got {kind} {found}"
            )
        return np.asarray(dataset[()])

    def _ends(self) -> NDArray[np.int64]:
        """Return the row after the last of each episode."""
        states, _ = self._rows()
        if not len(states):
            raise ValueError(f"{self._path} has no rows")
        marked = self._read("terminals", (), "bui").astype(bool)
        if "timeouts" in self._file.root():
            marked |= self._read("timeouts", (), "bui").astype(bool)
        if not marked.any() and "infos/goal" in self._file.root():
            goals = self._read("infos/goal", (2,))
            marked[:-1] = (goals[1:] != goals[:-1]).any(1)
        marked[:-1] |= (np.abs(np.diff(states[:, :2], axis=0)) > _JUMP).any(1)
        marked[-1] = True
        return np.flatnonzero(marked).astype(np.int64) + 1


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
