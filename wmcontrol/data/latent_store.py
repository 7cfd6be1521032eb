"""Tokens of a whole data set on disk, and whatever else training reads: so that frames are encoded once.

A store is a folder. ``tokens.bin`` holds the tokens of all frames, trajectory after trajectory, memory-mapped;
``arrays.npz`` the lengths, times, states, actions and rewards; ``encoder.json`` the encoder that made them, with its
weights where it carries any. ``store.json`` is written last: a store that has it is finished.

Letters: ``N`` trajectories, ``F`` frames of all of them, ``P`` patches of a frame, ``D`` numbers of a token, ``n``
numbers of a state, ``A`` numbers of an environment action.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..actions import LAYOUT, ActionLayout
from ..encoders import Encoder
from ..encoders.files import SETTINGS, WEIGHTS, encoder_digest, load_encoder
from ..encoders.images import MAX_SIDE
from ..untrusted import (
    AnyJson,
    Choice,
    Integer,
    ListOf,
    MapOf,
    Nullable,
    Number,
    Record,
    Text,
    check_links,
    read_arrays,
    read_json,
)
from ..untrusted.torch_file import map_tensor
from .dataset import Subset, checked_members
from .statistics import ActionStatistics
from .trajectory import Floats
from .windows import TokenWindows

VERSION = 1
TOKENS, ARRAYS, DESCRIPTION = "tokens.bin", "arrays.npz", "store.json"
DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}
_FIX = "encode again"
_BOUND = ListOf(Number(infinite=True), least=1)
_SOURCE = Record(
    {
        "fingerprint": Text(),
        "control_rate": Nullable(Number(above=0)),
        "env_id": Nullable(Text()),
        "action_bounds": Nullable(ListOf(_BOUND, 2, 2)),
        "env_settings": MapOf(AnyJson()),
    },
    {"action_layout": LAYOUT},
)
_DESCRIPTION = Record(
    {
        "version": Integer(VERSION, VERSION),
        "key": Text(),
        "dtype": Choice(*DTYPES),
        "frames": Integer(low=1),
        "patches": Integer(low=1),
        "dim": Integer(low=1),
        "frame_size": ListOf(Integer(low=1, high=MAX_SIDE), 2, 2),
        "source": _SOURCE,
    }
)
_KNOWN_ARRAYS = {"lengths": ("iu", 1), "times": ("f", 1), "states": ("f", 2), "actions": ("f", 2), "rewards": ("f", 1)}
_STD_TOKENS = 20_000  # how many deviations are taken over


@dataclass(frozen=True, eq=False, repr=False)
class LatentStore:
    """A finished store, opened; made by :func:`~wmcontrol.data.encode`, read by :meth:`windows`.

    Attributes:
        folder: where it lies.
        tokens: (F, P, D), mapped from the file: what is indexed is read. Writing to them ends the process.
        lengths: (N,) frames of each trajectory.
        times: (F,) seconds.
        states: (F, n), or None.
        actions: (F, A), or None: the action that leads from a frame to the next, zeros at the end of a trajectory.
        rewards: (F,), or None: what that action was given, 0 at the end of a trajectory.
        frame_size: height and width of the frames.
        fingerprint, control_rate, env_id, action_bounds, env_settings, action_layout: the data set's.
    """

    folder: Path
    tokens: Tensor
    lengths: NDArray[np.int64]
    times: Floats
    states: Floats | None
    actions: Floats | None
    rewards: Floats | None
    frame_size: tuple[int, int]
    fingerprint: str
    control_rate: float | None
    env_id: str | None
    action_bounds: tuple[Floats, Floats] | None
    env_settings: Mapping[str, Any]
    action_layout: ActionLayout | None

    @staticmethod
    def open(folder: str | Path) -> "LatentStore":
        """Open a finished store.

        Raises:
            FileNotFoundError: there is none, or it was never finished.
            ValueError: a file is broken, or of another version; it is named.
        """
        folder = Path(folder)
        check_links(folder, DESCRIPTION, TOKENS, ARRAYS, SETTINGS, WEIGHTS)
        described = _description(folder)
        dtype = DTYPES[described["dtype"]]
        F, P, D = (described[name] for name in ("frames", "patches", "dim"))
        size = F * P * D * dtype.itemsize
        there = (folder / TOKENS).stat().st_size
        if there != size:
            raise ValueError(
                f"{folder / TOKENS} must have {size} bytes for {F} frames of {P} patches and dim {D}, it has {there}; "
                "encode again"
            )
        tokens = map_tensor(folder / TOKENS, dtype).view(F, P, D)
        arrays = _arrays(folder, F)
        source, bounds = described["source"], described["source"]["action_bounds"]
        return LatentStore(
            folder=folder,
            tokens=tokens,
            lengths=arrays["lengths"],
            times=arrays["times"],
            states=arrays.get("states"),
            actions=arrays.get("actions"),
            rewards=arrays.get("rewards"),
            frame_size=(described["frame_size"][0], described["frame_size"][1]),
            **{
                **source,
                "action_bounds": None if bounds is None else (np.array(bounds[0]), np.array(bounds[1])),
                "action_layout": _layout(folder, source, arrays),
            },
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

    def made_by(self, encoder: Encoder) -> bool:
        """Whether it is this encoder, with these weights, that made the tokens."""
        return encoder_digest(encoder) == encoder_digest(self.encoder)

    def identity(self) -> dict[str, str]:
        """Return what decides the tokens, wherever they lie: digests of data and encoder, and the number type."""
        return {
            "data": self.fingerprint,
            "encoder": encoder_digest(self.encoder),
            "dtype": str(self.tokens.dtype).removeprefix("torch."),
        }

    def windows(
        self, num_frames: int, frameskip: int = 1, members: "Subset | Sequence[int] | None" = None
    ) -> TokenWindows:
        """Return all windows of ``num_frames`` frames, ``frameskip`` apart, with the actions between them.

        Args:
            num_frames: frames of a window.
            frameskip: environment steps from one to the next.
            members: trajectories to take them from, as a part of a split; by default all.

        Raises:
            ValueError: no such trajectories, or none is long enough.
        """
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
        ends = self.offsets + self.lengths - 1
        pieces = ((f"trajectory {i}", self.actions[self.offsets[i] : ends[i]]) for i in self.chosen(members))
        return ActionStatistics.over(pieces, self.action_bounds, self.action_layout)

    def token_std(self, members: "Subset | Sequence[int] | None" = None) -> list[float]:
        """Return the standard deviation of each of the D numbers of a token, over frames and patches of trajectories.

        Of many frames, at most 20,000 tokens are looked at, evenly spaced.

        Raises:
            ValueError: one of those is not finite.
        """
        chosen = self.chosen(members)
        frames = np.concatenate([self.offsets[i] + np.arange(self.lengths[i]) for i in chosen])
        stride = -(-len(frames) // max(2, _STD_TOKENS // self.tokens.shape[1]))
        usual = int(np.median(self.lengths[chosen]))
        while math.gcd(stride, usual) > 1:  # or all of them would be of the same moments of trajectories
            stride += 1
        picked = torch.from_numpy(frames[::stride])
        std = self.tokens[picked].double().flatten(0, 1).std(0, correction=0)
        if not std.isfinite().all():
            raise ValueError(f"{self.folder / TOKENS}: some tokens are not finite; the store is damaged: {_FIX}")
        return std.tolist()


def _description(folder: Path) -> dict[str, Any]:
    path = folder / DESCRIPTION
    if not path.exists():
        raise FileNotFoundError(
            f"{path} is not there: no store was finished in this folder; give one that wmcontrol encode printed"
        )
    described: dict[str, Any] = read_json(path, _DESCRIPTION, fix=_FIX)
    bounds = described["source"]["action_bounds"]
    if bounds is not None and (len(bounds[0]) != len(bounds[1]) or not np.less_equal(*bounds).all()):
        raise ValueError(f"{path}: source.action_bounds must be a lower and a higher vector, got {bounds}; {_FIX}")
    return described


def _layout(folder: Path, source: Mapping[str, Any], arrays: Mapping[str, Any]) -> ActionLayout | None:
    if source.get("action_layout") is None or "actions" not in arrays:
        return None
    try:
        return ActionLayout.from_json(source["action_layout"], arrays["actions"].shape[1])
    except ValueError as error:
        raise ValueError(f"{folder / DESCRIPTION}: source.action_layout: {error}; {_FIX}") from error


def _arrays(folder: Path, frames: int) -> dict[str, Any]:
    """Read what is there beside tokens, in the order of frames, of which there are so many."""
    path = folder / ARRAYS
    arrays = read_arrays(path, _KNOWN_ARRAYS, ("lengths", "times"), fix=_FIX)
    lengths = arrays["lengths"]
    for name, array in arrays.items():
        if name != "lengths" and len(array) != frames:
            raise ValueError(
                f"{path}: {name}: expected {frames} rows, one for a frame, got shape {array.shape}; {_FIX}"
            )
    if not len(lengths) or lengths.min() < 1 or lengths.max() > frames or sum(lengths.tolist()) != frames:
        raise ValueError(f"{path}: lengths must be whole numbers from 1 up, of {frames} frames in all; {_FIX}")
    falls = np.diff(arrays["times"]) <= 0
    falls[np.cumsum(lengths)[:-1] - 1] = False  # from one trajectory to the next
    if falls.any():
        frame = int(falls.argmax()) + 1
        raise ValueError(
            f"{path}: times must rise within a trajectory, those up to frame {frame} of all do not; {_FIX}"
        )
    return arrays
