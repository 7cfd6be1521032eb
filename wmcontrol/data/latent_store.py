"""Tokens of a whole data set on disk, and whatever else training reads: so that frames are encoded once.

A store is a folder. ``tokens.bin`` holds the tokens of all frames, trajectory after trajectory, memory-mapped;
``arrays.npz`` the lengths, times, states and actions; ``encoder.json`` the encoder that made them, with its weights
where it carries any. ``store.json`` is written last: a store that has it is finished.

Letters: ``N`` trajectories, ``F`` frames of all of them, ``P`` patches of a frame, ``D`` numbers of a token, ``n``
numbers of a state, ``A`` numbers of an environment action.
"""

import json
import math
import mmap
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..encoders import Encoder
from ..encoders.files import load_encoder
from .dataset import Subset, checked_members
from .statistics import ActionStatistics
from .trajectory import Floats

if TYPE_CHECKING:
    from .token_windows import TokenWindows

VERSION = 1
TOKENS, ARRAYS, DESCRIPTION = "tokens.bin", "arrays.npz", "store.json"
DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}
_KEYS = {
    "version": int,
    "key": str,
    "dtype": str,
    "frames": int,
    "patches": int,
    "dim": int,
    "frame_size": list,
    "source": dict,
}
_STD_TOKENS = 20_000  # how many deviations are taken over
_SOURCE = ("fingerprint", "control_rate", "env_id", "action_bounds", "env_settings")


@dataclass(frozen=True, eq=False, repr=False)
class LatentStore:
    """A finished store, opened; made by :func:`~wmcontrol.data.encode_dataset`, read by :meth:`windows`.

    Attributes:
        folder: where it lies.
        tokens: (F, P, D), mapped from the file: what is indexed is read. Writing to them ends the process.
        lengths: (N,) frames of each trajectory.
        times: (F,) seconds.
        states: (F, n), or None.
        actions: (F, A), or None: the action that leads from a frame to the next, zeros at the end of a trajectory.
        frame_size: height and width of the frames.
        fingerprint, control_rate, env_id, action_bounds, env_settings: the data set's.
    """

    folder: Path
    tokens: Tensor
    lengths: NDArray[np.int64]
    times: Floats
    states: Floats | None
    actions: Floats | None
    frame_size: tuple[int, int]
    fingerprint: str
    control_rate: float | None
    env_id: str | None
    action_bounds: tuple[Floats, Floats] | None
    env_settings: Mapping[str, Any]

    @staticmethod
    def open(folder: str | Path) -> "LatentStore":
        """Open a finished store.

        Raises:
            FileNotFoundError: there is none, or it was never finished.
            ValueError: a file is broken, or of another version; it is named.
        """
        folder = Path(folder)
        described = _description(folder)
        dtype = DTYPES[described["dtype"]]
        F, P, D = (described[name] for name in ("frames", "patches", "dim"))
        size = F * P * D * dtype.itemsize
        there = (folder / TOKENS).stat().st_size
        if there != size:
            raise ValueError(f"{folder / TOKENS} must have {size} bytes for {F} frames, it has {there}; encode again")
        tokens = _mapped(folder / TOKENS, dtype).view(F, P, D)
        arrays = _arrays(folder, F)
        source = described["source"]
        bounds = source["action_bounds"]
        return LatentStore(
            folder=folder,
            tokens=tokens,
            lengths=arrays["lengths"],
            times=arrays["times"],
            states=arrays.get("states"),
            actions=arrays.get("actions"),
            frame_size=(described["frame_size"][0], described["frame_size"][1]),
            fingerprint=source["fingerprint"],
            control_rate=source["control_rate"],
            env_id=source["env_id"],
            action_bounds=None if bounds is None else (np.array(bounds[0]), np.array(bounds[1])),
            env_settings=source["env_settings"],
        )

    def __len__(self) -> int:
        return len(self.lengths)

    def __repr__(self) -> str:
        F, P, D = self.tokens.shape
        return (
            f"LatentStore({str(self.folder)!r}: {len(self)} trajectories, {F} frames of {P} x {D} {self.tokens.dtype})"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return LatentStore.open, (self.folder,)  # worker processes map the file for themselves

    @cached_property
    def offsets(self) -> NDArray[np.int64]:
        """The first frame of each trajectory, counted over all, (N,)."""
        return np.cumsum(self.lengths) - self.lengths

    @cached_property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of patches."""
        return self.encoder.grid(*self.frame_size)

    @cached_property
    def encoder(self) -> Encoder:
        """The encoder that made the tokens."""
        return load_encoder(self.folder)

    def windows(
        self, num_frames: int, frameskip: int = 1, members: "Subset | Sequence[int] | None" = None
    ) -> "TokenWindows":
        """Return all windows of ``num_frames`` frames, ``frameskip`` apart, with the actions between them.

        Args:
            num_frames: frames of a window.
            frameskip: environment steps from one to the next.
            members: trajectories to take them from, as a part of a split; by default all.

        Raises:
            ValueError: no such trajectories, or none is long enough.
        """
        from .token_windows import TokenWindows

        return TokenWindows(self, num_frames, frameskip, self.chosen(members))

    def chosen(self, members: "Subset | Sequence[int] | None") -> NDArray[np.int64]:
        """Return the numbers of trajectories, checked."""
        if members is None:
            return np.arange(len(self))
        if isinstance(members, Subset):
            if members.whole.fingerprint() != self.fingerprint:
                raise ValueError(f"{self.folder} is a store of other data than those that were split")
            return members.members
        return checked_members(members, len(self))

    def action_statistics(self, members: "Subset | Sequence[int] | None" = None) -> ActionStatistics:
        """Return mean, standard deviation and bounds of the actions of trajectories: of the training split."""
        if self.actions is None:
            raise ValueError(f"{self.folder} has no actions to take statistics of")
        pieces = ((f"trajectory {i}", self._actions_of(int(i))) for i in self.chosen(members))
        return ActionStatistics.over(pieces, self.action_bounds)

    def token_std(self, members: "Subset | Sequence[int] | None" = None) -> list[float]:
        """Return the standard deviation of each of the D numbers of a token, over frames and patches of trajectories.

        Of many frames, at most 20,000 tokens are looked at, evenly spaced.
        """
        chosen = self.chosen(members)
        frames = np.concatenate([self.offsets[i] + np.arange(self.lengths[i]) for i in chosen])
        stride = -(-len(frames) // max(2, _STD_TOKENS // self.tokens.shape[1]))
        usual = int(np.median(self.lengths[chosen]))
        while math.gcd(stride, usual) > 1:  # or all of them would be of the same moments of trajectories
            stride += 1
        picked = torch.from_numpy(frames[::stride])
        return self.tokens[picked].double().flatten(0, 1).std(0, correction=0).tolist()

    def _actions_of(self, trajectory: int) -> Floats:
        assert self.actions is not None
        start = self.offsets[trajectory]
        return self.actions[start : start + self.lengths[trajectory] - 1]


def _mapped(path: Path, dtype: torch.dtype) -> Tensor:
    """Map a file as a tensor, for reading: a private map that could be written would count as memory."""
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given buffer is not writable", UserWarning)
        return torch.frombuffer(mapped, dtype=dtype)


def _description(folder: Path) -> dict[str, Any]:
    path = folder / DESCRIPTION
    if not path.exists():
        raise FileNotFoundError(
            f"{path} is not there: no store was finished in this folder; give one that wmcontrol encode printed"
        )
    try:
        described = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}; encode again") from error
    if not isinstance(described, dict) or described.get("version") != VERSION:
        version = described.get("version") if isinstance(described, dict) else None
        raise ValueError(f"{path} is of version {version!r}, this package reads {VERSION}; encode again")
    for name, kind in _KEYS.items():
        if not isinstance(described.get(name), kind):
            raise ValueError(f"{path}: expected {name} as {kind.__name__}, got {described.get(name)!r}; encode again")
    missing = [name for name in _SOURCE if name not in described["source"]]
    if missing:
        raise ValueError(f"{path}: source lacks {missing}; encode again")
    if described["dtype"] not in DTYPES:
        raise ValueError(f"{path}: dtype must be one of {list(DTYPES)}, got {described['dtype']!r}")
    return described


def _arrays(folder: Path, frames: int) -> dict[str, Any]:
    path = folder / ARRAYS
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise
    except Exception as error:  # zipfile's, zlib's and NumPy's, which share no class
        raise ValueError(f"{path} cannot be read: {error}; encode again") from error
    for name, values in arrays.items():
        if name != "lengths" and len(values) != frames:
            raise ValueError(f"{path}: expected {frames} {name}, one for each frame, got {len(values)}; encode again")
    if "lengths" not in arrays or "times" not in arrays or arrays["lengths"].sum() != frames:
        raise ValueError(f"{path} does not hold lengths of {frames} frames in all and their times; encode again")
    for name in ("times", "actions"):
        values = arrays.get(name, np.zeros(frames))
        finite = np.isfinite(values).reshape(frames, -1).all(1)
        if not finite.all():
            frame = int(finite.argmin())
            trajectory = int(np.searchsorted(arrays["lengths"].cumsum(), frame, side="right"))
            raise ValueError(
                f"{path}: the {name} of trajectory {trajectory} are not finite, at frame {frame} of all; encode again"
            )
    return arrays
