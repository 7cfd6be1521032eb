"""DINO-WM's three sets (arXiv 2411.04983), and sets in the same files: tensors of all episodes, one film for each.

Facts are those of the reference's ``datasets/*_dset.py``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ... import ENV_IDS
from ...untrusted import check_links
from ...untrusted.pickles import MAX_BYTES, Inert, whole_numbers
from ...untrusted.torch_file import TensorRecord, TorchFile
from ..dataset import TrajectoryDataset, checked_index
from ..environment import Environment
from ..frames import ImageSize, ReadFrames, checked_size, resized
from ..trajectory import Floats, Provenance, Trajectory
from .reading import PerProcess, as_floats, check_files, checked_lengths, fingerprint


@dataclass(frozen=True)
class _Set:
    """What one of the three sets consists of."""

    env_id: str
    telltales: tuple[str, ...]  # files that no other set has
    states: tuple[str, ...]  # (N, T, k) each, put side by side
    actions: str  # (N, T, 2)
    action_scale: float  # ours per unit of theirs
    lengths: str | None  # None: all as long as the tensors
    frames: str  # .mp4, or .pth with the dimensions' order
    variation: tuple[tuple[str, str], ...] = ()  # our name, their file (N, T)


_SETS = (
    # Their actions are pixels from the agent, divided by 100 when they are loaded; so are ours in relative mode.
    _Set(
        "wmcontrol/PushT-v0",
        ("velocities.pth", "rel_actions.pth", "abs_actions.pth", "seq_lengths.pkl"),
        ("states.pth", "velocities.pth"),
        "rel_actions.pth",
        0.01,
        "seq_lengths.pkl",
        ".mp4",
    ),
    _Set(
        "wmcontrol/Wall-v0",
        ("door_locations.pth", "wall_locations.pth"),
        ("states.pth",),
        "actions.pth",
        1.0,
        None,
        "TCHW",
        (("wall_position", "wall_locations.pth"), ("door_position", "door_locations.pth")),
    ),
    _Set(
        "wmcontrol/PointMaze_UMaze-v0",
        ("seq_lengths.pth", "actions.pth"),
        ("states.pth",),
        "actions.pth",
        1.0,
        "seq_lengths.pth",
        "THWC",
    ),
)
_SAMPLE = 50  # episodes that show how far actions go


def recognises(path: Path) -> bool:
    """Whether this is such a folder, or the one around its ``train`` and ``val``."""
    return any((folder / "states.pth").is_file() or (folder / "obses").is_dir() for folder in (path, path / "train"))


class DinoWM(TrajectoryDataset):
    """A set of DINO-WM's: ``pusht_noise/train`` (or ``val``), ``wall_single``, ``point_maze``, or one in their files.

    States are those of our environments. Push-T: ``states`` and ``velocities`` side by side, 7 numbers. Wall: x, y;
    where wall and door are is in ``Trajectory.variation``. PointMaze: x, y and the velocities.

    Actions are in our environments' units. Push-T has ``rel_actions`` divided by 100: the agent heads for its place
    plus 100 pixels times the action, as in our ``action_mode="relative"``; people's reach beyond the bounds of ±1 here
    and there. How far an action moves the dot in Wall, 2 pixels in its environment and 1 in its data generator, is
    found in the data, and is the ``action_scale`` of ``env_settings``.

    A film longer than its episode is read up to the episode's end, as the reference does; a shorter one is an error.

    Args:
        path: the folder with ``states.pth`` and ``obses``.
        env_id: of the environment; None: that of the set whose files are there. The files do not tell mazes apart:
            give ``"wmcontrol/PointMaze_Medium-v0"`` for ``point_maze_medium``.
        image_size: of the frames, pixels, to which they are resized: one side, or height and width.

    Raises:
        OSError: a file is missing.
        ValueError: a file is damaged or not a tensor, lengths disagree, or states are not those of the environment.
    """

    def __init__(self, path: str | Path, env_id: str | None = None, *, image_size: ImageSize | None = None):
        self.path = Path(path)
        self._size = checked_size(image_size)
        if not (self.path / "states.pth").exists() and (self.path / "train").is_dir():
            raise ValueError(f"{self.path} has a training and a validation set; open {self.path / 'train'}, or val")
        self._set = _which(self.path)
        check_links(self.path)
        check_files("DINO-WM's layout", [*self._tensor_files(), self.path / "obses"])
        self._tensors = PerProcess(partial(_load_tensors, self._tensor_files()))
        self.lengths = self._checked_lengths()
        present = {file.name for file in (self.path / "obses").iterdir()}
        missing = (file for file in map(self._film, range(len(self.lengths))) if file.name not in present)
        check_files("DINO-WM's layout, one file per episode,", missing)
        self.env_id = env_id or self._set.env_id
        self.env_settings = self._found_settings()
        environment = Environment.of(self.env_id, self.env_settings)
        if environment is None:
            raise ValueError(f"{self.path}: env_id must be one of {list(ENV_IDS)}, got {self.env_id!r}")
        self.control_rate, self.action_bounds = environment.control_rate, environment.action_bounds
        tensors = self._tensors.get()
        environment.check_states(sum(tensors[name][0, 0].numel() for name in self._set.states), self.path)
        environment.check_actions(tensors[self._set.actions][0, 0].numel(), self.path / self._set.actions)

    def trajectory(self, index: int) -> Trajectory:
        """Return one trajectory, its frames unread."""
        index = checked_index(index, len(self))
        T, tensors = int(self.lengths[index]), self._tensors.get()
        provenance, film = Provenance("DINO-WM", self.path, f"episode_{index:03d}"), self._film(index)
        states = [as_floats(tensors[name][index, :T].numpy(), provenance) for name in self._set.states]
        actions = as_floats(tensors[self._set.actions][index, : T - 1].numpy(), provenance)
        return Trajectory(
            times=np.arange(T) / self.control_rate,
            provenance=provenance,
            frames=resized(ReadFrames(T, film, partial(_film, film, T, self._set.frames)), self._size),
            states=np.concatenate(states, -1),
            actions=self._set.action_scale * actions,
            variation={name: self._constant(file, index, T) for name, file in self._set.variation},
        )

    def fingerprint(self) -> str:
        """Return a digest of the files' names and contents."""
        films = map(self._film, range(len(self)))
        files = [*self._tensor_files(), *films]
        if self._set.lengths:
            files.append(self.path / self._set.lengths)
        return fingerprint("DINO-WM", files, {"env_id": self.env_id, "image_size": self._size})

    def _found_settings(self) -> dict[str, Any]:
        """Return what the data themselves say that their environment was made with: in Wall, how far actions go."""
        if self._set.env_id != "wmcontrol/Wall-v0":
            return {}
        tensors = self._tensors.get()
        moves = tensors["states.pth"][:_SAMPLE].double().diff(dim=1).flatten(0, 1)
        actions = tensors[self._set.actions][:_SAMPLE, :-1].double().flatten(0, 1)
        # Whatever is in the way shortens moves, so most of them say the same unless they are of another world.
        ratios = (moves.norm(dim=-1) / actions.norm(dim=-1).clamp(min=1e-6)).numpy()
        return {"action_scale": 1.0} if abs(np.median(ratios) - 1) < 0.05 else {}

    def _tensor_files(self) -> list[Path]:
        others = [name for _, name in self._set.variation]
        return [self.path / name for name in (*self._set.states, self._set.actions, *others)]

    def _film(self, index: int) -> Path:
        return self.path / "obses" / f"episode_{index:03d}{'.mp4' if self._set.frames == '.mp4' else '.pth'}"

    def _checked_lengths(self) -> NDArray[np.int64]:
        """Return the lengths, after a look at the tensors' shapes."""
        shapes = {name: tensor.shape for name, tensor in self._tensors.get().items()}
        for name in (*self._set.states, self._set.actions):
            if len(shapes[name]) != 3:
                raise ValueError(f"{self.path / name}: expected (episodes, steps, numbers), got {tuple(shapes[name])}")
        N, T = shapes["states.pth"][:2]
        for name, shape in shapes.items():
            if shape[:2] != (N, T):
                raise ValueError(
                    f"{self.path / name}: expected {N} episodes of up to {T} steps as in states.pth, got {tuple(shape)}"
                )
        if self._set.lengths is None:
            return checked_lengths(self.path / "states.pth", np.full(N, T))
        file = self.path / self._set.lengths
        check_files("DINO-WM's layout", [file])
        lengths = checked_lengths(file, _read_numbers(file) if file.suffix == ".pkl" else _load(file).numpy())
        if len(lengths) != N:
            raise ValueError(f"{file}: expected {N} lengths, one for each episode in states.pth, got {len(lengths)}")
        if lengths.max() > T:
            raise ValueError(
                f"{file}: episode_{lengths.argmax():03d} has {lengths.max()} frames, but states.pth has {T} steps"
            )
        return lengths

    def _constant(self, name: str, index: int, T: int) -> Floats:
        """Return what must not change during an episode, (1,)."""
        values = self._tensors.get()[name][index, :T].reshape(T, -1).double().numpy()
        if not np.isfinite(values).all() or (values != values[0, 0]).any():
            raise ValueError(f"{self.path / name}: episode_{index:03d} must have one and the same place at all times")
        return np.asarray(values[0, :1])


def _film(path: Path, length: int, order: str, rows: NDArray[np.int64]) -> Any:
    """Return frames of a film of one episode, which is ``.mp4`` or a tensor whose order of dimensions is given."""
    if order == ".mp4":
        from ..video import VideoFrames

        film: Any = VideoFrames(path)
    else:
        film = _load(path)
    if len(film) < length:
        raise ValueError(f"{path}: expected {length} frames, as many as the episode has, got {len(film)}")
    if order == ".mp4":
        return film.read(rows)
    picked = film[torch.from_numpy(rows)]
    return (picked.movedim(1, -1) if order == "TCHW" and picked.ndim == 4 else picked).numpy()


def _which(path: Path) -> _Set:
    for candidate in _SETS:
        if any((path / name).exists() for name in candidate.telltales):
            return candidate
    names = ", ".join(name for candidate in _SETS for name in candidate.telltales)
    raise FileNotFoundError(f"{path} lacks what tells DINO-WM's sets apart; expected one or more of {names}")


def _load_tensors(files: Sequence[Path]) -> dict[str, Tensor]:
    tensors = {file.name: _load(file) for file in files}
    for file in files:
        shape, dtype = tensors[file.name].shape, tensors[file.name].dtype
        if len(shape) < 2 or dtype.is_complex or dtype == torch.bool:
            raise ValueError(f"{file}: expected numbers (episodes, steps, …), got {dtype} of shape {tuple(shape)}")
    return tensors


def _load(path: Path) -> Tensor:
    """Return a tensor that torch.save wrote, mapped into memory, or a list of numbers; nothing in the file is run."""
    with TorchFile(path) as file:
        value = file.root
        if isinstance(value, TensorRecord):
            value = file.read(value, "in it", mapped=True)
    if isinstance(value, list) and value and all(type(number) in (int, float) for number in value):
        try:
            whole = all(type(number) is int for number in value)
            value = torch.tensor(value, dtype=torch.int64 if whole else torch.float64, device="cpu")
        except (RuntimeError, OverflowError, ValueError) as error:
            raise ValueError(f"{path}: expected numbers of 64 bits ({error}); fetch it again") from error
    if not isinstance(value, Tensor) or value.ndim == 0:
        got = f"an object of {value.origin}" if isinstance(value, Inert) else f"a {type(value).__name__}"
        raise ValueError(f"{path}: expected a tensor with a dimension or more and nothing else, got {got}")
    return value.float() if value.dtype == torch.bfloat16 else value  # which NumPy does not know


def _read_numbers(path: Path) -> NDArray[Any]:
    try:
        with path.open("rb") as file:
            return np.asarray(whole_numbers(file.read(MAX_BYTES + 1)))
    except Exception as error:  # whatever a damaged file makes of itself
        raise ValueError(f"{path}: not a whole pickle of whole numbers alone ({error}); fetch it again") from error
