"""The HDF5 files of stable-worldmodel, which LeWM is trained on (arXiv 2603.19312).

One data set per column, the rows of all episodes one after the other, and two that say where episodes are:
``ep_offset`` and ``ep_len`` (N,). ``pixels`` are uint8, (F, height, width, 3) or (F, 3, height, width). Row ``t`` of
``action`` is what was done at frame ``t``: when an episode is recorded its actions are shifted by one, and the last is
NaN.
"""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from ..frames import ImageSize
from .column_dataset import ColumnDataset, Episode, Roles
from .columns import Columns, open_columns
from .hdf5_file import is_hdf5, open_hdf5
from .reading import checked_lengths, fingerprint

_WHERE = ("ep_offset", "ep_len")


def recognises(path: Path) -> bool:
    """Whether this is an HDF5 file that says where episodes begin and how long they are.

    Raises:
        OSError: it is an HDF5 file, but not a whole one.
    """
    return is_hdf5(path) and any(name in open_hdf5(path) for name in _WHERE)


class LeWM(ColumnDataset):
    """A file of stable-worldmodel's, as ``pusht_expert_train.h5`` or ``tworoom.h5``.

    States are the column ``state``, or where there is none ``proprio``. The file does not say which environment it is
    of, nor how many actions there were per second: give ``env_id``, which says both and the bounds of the actions, or
    ``control_rate``.

    Files compressed by Blosc, as some are, need ``pip install hdf5plugin`` besides.

    Args:
        path: the file.
        control_rate: actions per second, Hz; that of the environment where it is one of ours.
        env_id: of the environment.
        env_settings: what the environment was made with, such as ``{"action_mode": "absolute"}``.
        image_size: of the frames, pixels, to which they are resized: one side, or height and width.

    Raises:
        OSError: it cannot be read, or a column is missing.
        ValueError: columns of the wrong kind, episodes that reach beyond them or overlap, no control rate or one that
            is not the environment's, or states that are not the environment's.
    """

    def __init__(
        self,
        path: str | Path,
        control_rate: float | None = None,
        env_id: str | None = None,
        *,
        env_settings: Mapping[str, Any] = MappingProxyType({}),
        image_size: ImageSize | None = None,
    ):
        with suppress(ImportError):
            import hdf5plugin  # type: ignore[import-not-found]  # noqa: F401  it registers its filters
        columns = open_columns(Path(path))
        shapes = columns.members("")
        for name in ("pixels", "action", *_WHERE):
            if name not in shapes:
                raise OSError(f"{path}: column {name} is missing: LeWM's layout has it; it has {list(shapes)}")
        states = next((name for name in ("state", "proprio") if name in shapes), None)
        roles = Roles("pixels", "action", (states,) if states else ())
        columns.use((*roles.names(), *_WHERE))
        for name in (*roles.names(), *_WHERE):
            if not shapes[name]:
                raise ValueError(f"{path}: {name} must have a row for each frame or episode, got {shapes[name]}")
        pixels = shapes["pixels"] or ()
        if len(pixels) != 4 or 3 not in (pixels[1], pixels[3]):
            raise ValueError(f"{path}: pixels must be pictures with 3 channels, got shape {pixels}")
        super().__init__(
            "LeWM",
            columns,
            roles,
            _episodes(columns, roles),
            control_rate=control_rate,
            env_id=env_id,
            env_settings=env_settings,
            image_size=image_size,
        )

    def fingerprint(self) -> str:
        """Return a digest of the file's name and content, and of the settings."""
        settings = {"control_rate": self.control_rate, "env_id": self.env_id, "env_settings": self.env_settings}
        return fingerprint("LeWM", [self.path], {**settings, "image_size": self._size})


def _episodes(columns: Columns, roles: Roles) -> list[Episode]:
    """Return where episodes are, which may lie in any order, and apart."""
    path = columns.path
    lengths = checked_lengths(path / "ep_len", columns.read("ep_len", slice(None), path))
    offsets = columns.read("ep_offset", slice(None), path)
    if offsets.shape != lengths.shape or offsets.dtype.kind not in "iu":
        raise ValueError(
            f"{path}: expected {len(lengths)} whole numbers in ep_offset, as many as in ep_len, got {offsets.dtype} of "
            f"shape {offsets.shape}"
        )
    order = np.argsort(offsets, kind="stable")
    starts, ends = offsets[order], (offsets + lengths)[order]
    for episode, start, before in zip(order, starts, [0, *ends[:-1]], strict=True):
        if start < before:
            raise ValueError(f"{path}: episode_{episode} begins in row {start}, where the one before it still goes on")
    for name in roles.names():
        rows = (columns.shape(name) or (0,))[0]
        if rows < ends[-1]:
            raise ValueError(f"{path}: episode_{order[-1]} ends with row {ends[-1] - 1}, but {name} has {rows} rows")
    places = zip(offsets.tolist(), lengths.tolist(), strict=True)
    return [Episode(f"episode_{index}", "", start, length) for index, (start, length) in enumerate(places)]
