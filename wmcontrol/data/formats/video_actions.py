"""A folder of videos with the actions of each in a table of the same name: csv, npz or parquet."""

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..frames import ImageSize
from ..trajectory import Floats, Provenance, Trajectory
from .columns import open_columns
from .parquet_rows import column_names, read_rows
from .reading import fingerprint
from .video_folder import VideoFolder, video_files

if TYPE_CHECKING:
    from ..video import VideoFrames

TABLES = (".csv", ".npz", ".parquet")
_RATES = 0.01  # how far apart the frame rates of two videos may be, relatively


def recognises(path: Path) -> bool:
    """Whether this is a folder with videos, and a table beside the first of them."""
    files = video_files(path) if path.is_dir() else []
    return bool(files) and _table(path, files[0]) is not None


class VideoActions(VideoFolder):
    """All videos below a folder, each with the table that has its actions.

    The table of ``a.mp4`` is ``a.csv``, ``a.npz`` or ``a.parquet`` beside it; that of ``videos/a.mp4`` may also be
    ``actions/a.csv`` and so on. It has a row for each frame, or one less. Actions are the columns whose names begin
    with ``action``, states those that begin with ``state``, in their order; in a csv file without names all columns are
    actions. Arrays of an npz file are (T, k).

    Videos have all one frame rate, which is the rate of actions.

    Args:
        path: the folder.
        image_size: of the frames, pixels: one side, or height and width. They are shrunk so that they just cover it,
            and cut in the middle.
        progress: called with how many files are done, and how many there are.

    Raises:
        FileNotFoundError: no such folder, no video below it, or no table of a video.
        ValueError: more than 5 % of the videos are damaged, their frame rates differ, or a table has no actions.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        image_size: ImageSize = 64,
        progress: Callable[[int, int], None] | None = None,
    ):
        super().__init__(path, image_size=image_size, progress=progress)
        self.tables = [self._table_of(video.path) for video in self.videos]
        rates = [_rate(video) for video in self.videos]
        for video, rate in zip(self.videos, rates, strict=True):
            if not abs(rate - rates[0]) <= _RATES * rates[0]:
                raise ValueError(f"{video.path} has {rate:g} frames per second, {self.videos[0].path} {rates[0]:g}")
        self.control_rate = rates[0]

    def trajectory(self, index: int) -> Trajectory:
        """Return one video, none of it decoded, and what its table has."""
        found = super().trajectory(index)
        where = replace(found.provenance, layout="videos with actions")
        actions, states = _read(self.tables[index], where)
        T = len(found)
        if len(actions) not in (T, T - 1):
            raise ValueError(f"{self.tables[index]} has {len(actions)} rows for the {T} frames of {where}")
        return replace(found, provenance=where, actions=actions[: T - 1], states=states)

    def fingerprint(self) -> str:
        """Return a digest of the files' names and contents, and of the size of the frames."""
        return fingerprint("videos with actions", self.tables, {"videos": super().fingerprint()})

    def _table_of(self, video: Path) -> Path:
        table = _table(self.path, video)
        if table is None:
            raise FileNotFoundError(f"{video} has no table of actions beside it, {video.stem}{', '.join(TABLES)}")
        return table


def _table(root: Path, video: Path) -> Path | None:
    """Return the table of a video, if there is one."""
    first, *rest = video.relative_to(root).parts
    places = [video, *([root.joinpath("actions", *rest)] if first == "videos" and rest else [])]
    tables = (place.with_suffix(suffix) for place in places for suffix in TABLES)
    return next((table for table in tables if table.is_file()), None)


def _rate(video: "VideoFrames") -> float:
    if len(video) < 2:
        raise ValueError(f"{video.path} has {len(video)} frame, which has no rate")
    return float(1 / np.median(np.diff(video.times)))


def _read(path: Path, where: Provenance) -> tuple[Floats, Floats | None]:
    """Return the actions and states of a table, (rows, k) each."""
    columns: dict[str, Any]
    if path.suffix == ".csv":
        columns = _read_csv(path)
    elif path.suffix == ".npz":
        arrays = open_columns(path)
        columns = {name: arrays.read(name, slice(None), where) for name in arrays.members("") if _role(name)}
    else:
        every, rows = column_names(path)
        if not rows:
            raise ValueError(f"{path} has no rows")
        columns = read_rows(path, [name for name in every if _role(name)], 0, rows, where)
    found = {}
    for role in ("action", "state"):
        parts = [np.asarray(values) for name, values in columns.items() if _role(name) == role]
        if any(part.dtype.kind not in "fiu" or part.ndim not in (1, 2) for part in parts):
            raise ValueError(f"{path}: {role}: expected numbers (T, k), got {[part.shape for part in parts]}")
        if len({len(part) for part in parts}) > 1:
            raise ValueError(f"{path}: {role}: columns have {[len(part) for part in parts]} rows")
        if parts:
            found[role] = np.concatenate([part.reshape(len(part), -1) for part in parts], 1).astype(np.float64)
    if "action" not in found:
        raise ValueError(f"{path}: there is no column whose name begins with action")
    return found["action"], found.get("state")


def _role(name: str) -> str | None:
    last = name.removeprefix("observation.")
    return next((role for role in ("action", "state") if last.startswith(role)), None)


def _read_csv(path: Path) -> dict[str, Any]:
    """Return the columns of a csv file by name."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            first, *rest = [row for row in csv.reader(file) if row]
        named = not _is_number(first[0])
        names = [name.strip() for name in first] if named else [f"action_{number}" for number in range(len(first))]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise ValueError(f"two of its columns are called {twice[0]!r}")
        values = np.array(rest if named else [first, *rest], np.float64).reshape(-1, len(names))
    except (ValueError, csv.Error) as error:
        raise ValueError(f"{path} cannot be read as a table of numbers: {error}") from error
    return {name: values[:, place] for place, name in enumerate(names) if _role(name)}


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
