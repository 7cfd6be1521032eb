"""LeRobot's data sets, version 3: tables in parquet, films in mp4, many episodes in a file.

What is relied on (the format's announcement, and ``lerobot.datasets`` of release 0.4):

- ``meta/info.json``: ``codebase_version`` "v3.…", ``fps``, ``features`` (name to ``dtype`` and ``shape``; films have
  the dtype "video"), ``total_episodes``, and the templates ``data_path`` and ``video_path``, by default
  ``data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet`` and
  ``videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4``;
- ``meta/episodes/chunk-*/file-*.parquet``: a row per episode with ``episode_index``, ``length``,
  ``dataset_from_index`` (its first row, counted over all files), ``data/chunk_index`` and ``data/file_index``, and for
  each film ``videos/{key}/chunk_index``, ``…/file_index``, ``…/from_timestamp`` and ``…/to_timestamp``, in seconds of
  that file;
- data files: a row per frame, in order, with ``episode_index``, ``frame_index``, ``timestamp``, ``action`` and mostly
  ``observation.state``. Row ``t`` of ``action`` is what was done at frame ``t``.

Frame ``t`` of an episode is the one nearest to ``from_timestamp + t / fps``.
"""

import os
import re
from functools import lru_cache, partial
from pathlib import Path, PurePosixPath, PureWindowsPath
from string import Formatter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...untrusted import AnyJson, Integer, MapOf, Nullable, Number, Record, Text, check_claim, read_json
from ...untrusted.schema import Place
from ..dataset import TrajectoryDataset, checked_index
from ..frames import Frames, ImageSize, Pixels, ReadFrames, checked_size, resized
from ..trajectory import Floats, Provenance, Trajectory
from .reading import as_floats, check_files, checked_lengths, fingerprint, import_library

_STATE = "observation.state"
_TEMPLATES = {
    "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
    "video_path": "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4",
}
_INFO = Record(
    {
        "codebase_version": Text(64),
        "fps": Number(above=0),
        "total_episodes": Integer(low=0),
        "features": MapOf(Record({"dtype": Text(64)}, others=AnyJson())),
    },
    {name: Nullable(Text(1000)) for name in _TEMPLATES},
    others=AnyJson(),
)
_CONVERT = "python -m lerobot.datasets.v30.convert_dataset_v21_to_v30 --repo-id=NAME --root=FOLDER"


def recognises(path: Path) -> bool:
    """Whether this is a folder with LeRobot's metadata."""
    return (path / "meta" / "info.json").is_file() or (path / "meta" / "episodes").is_dir()


class LeRobot(TrajectoryDataset):
    """A data set of LeRobot's in a folder, as ``lerobot/pusht`` of the Hugging Face Hub.

    States are ``observation.state`` where there is one. Whose states and actions they are the data do not tell in a
    way that could be relied on, so there is neither an ``env_id`` nor bounds.

    Args:
        path: the folder that has ``meta``, ``data`` and ``videos``.
        camera: the feature that frames are taken from, such as ``"observation.images.top"``; None where there is one.
        image_size: of the frames, pixels, to which they are resized: one side, or height and width.

    Raises:
        OSError: a file is missing or damaged.
        ValueError: another version than 3, several cameras and none named, numbers that disagree, or paths that lead
            out of the folder.
    """

    def __init__(self, path: str | Path, camera: str | None = None, *, image_size: ImageSize | None = None):
        self.path = Path(path)
        self._size = checked_size(image_size)
        self._info = _read_info(self.path / "meta" / "info.json")
        self.camera = _pick_camera(self._info, camera, self.path)
        episodes = _read_episodes(self.path, self.camera)
        self._episodes: dict[str, NDArray[Any]] = episodes
        self.lengths = checked_lengths(self.path / "meta" / "episodes", episodes["length"])
        self._check_episodes()
        data = {self._file("data", index) for index in range(len(self))}
        films = {self._file(self.camera, index) for index in range(len(self))} if self.camera else set()
        self._files = sorted(data | films)
        check_files("LeRobot's layout, by data_path and video_path of meta/info.json,", self._files)
        # Episodes are counted over all files, rows of a file from its first episode.
        starts, chunks = episodes["dataset_from_index"], (episodes["data/chunk_index"], episodes["data/file_index"])
        firsts: dict[tuple[int, int], int] = {}
        for start, chunk, file in zip(starts, *chunks, strict=True):
            firsts[chunk, file] = min(start, firsts.get((chunk, file), start))
        self._rows = starts - np.array([firsts[pair] for pair in zip(*chunks, strict=True)])
        self.control_rate = float(self._info["fps"])
        self.env_id = None
        self.action_bounds = None

    def trajectory(self, index: int) -> Trajectory:
        """Return one trajectory, its frames unread."""
        index = checked_index(index, len(self))
        file, T, fps = self._file("data", index), int(self.lengths[index]), float(self._info["fps"])
        number = int(self._episodes["episode_index"][index])
        provenance = Provenance("LeRobot", file, f"episode_{number}")
        names = ["action", *([_STATE] if _STATE in self._info["features"] else [])]
        table = _read_rows(file, ["episode_index", "timestamp", *names], int(self._rows[index]), T, provenance)
        times = np.arange(T) / fps
        if (table["episode_index"] != number).any():
            raise ValueError(
                f"{provenance}: rows {self._rows[index]} and following, {T} of them, are of other episodes"
            )
        off = ~(np.abs(table["timestamp"][:, 0] - times) < 0.5 / fps)
        if off.any():
            raise ValueError(
                f"{provenance}: timestamp[{off.argmax()}] is {table['timestamp'][off.argmax(), 0]:g}, at {fps:g} fps "
                f"it must be {times[off.argmax()]:g}"
            )
        frames: Frames | None = None
        if self.camera:
            begin = float(self._episodes[f"videos/{self.camera}/from_timestamp"][index])
            film = partial(_frames, self._file(self.camera, index), begin, fps, provenance)
            frames = resized(ReadFrames(T, provenance, film), self._size)
        return Trajectory(
            times=times,
            provenance=provenance,
            frames=frames,
            states=table.get(_STATE),
            actions=table["action"][:-1],
        )

    def fingerprint(self) -> str:
        """Return a digest of the files' names and contents, and of the settings."""
        meta = [self.path / "meta" / "info.json", *_episode_files(self.path)]
        return fingerprint("LeRobot", [*self._files, *meta], {"camera": self.camera, "image_size": self._size})

    def _file(self, what: str, index: int) -> Path:
        """Return where an episode's rows ("data") or frames (a camera) are."""
        prefix = "data" if what == "data" else f"videos/{what}"
        place = {f"{part}_index": int(self._episodes[f"{prefix}/{part}_index"][index]) for part in ("chunk", "file")}
        name = "data_path" if what == "data" else "video_path"
        relative = PurePosixPath(self._info[name].format(video_key=what, **place))
        # Also on Windows, where a path may begin with a drive, and have its parts between other strokes.
        if relative.is_absolute() or PureWindowsPath(relative).anchor or ".." in PureWindowsPath(relative).parts:
            raise ValueError(
                f"{self.path / 'meta' / 'info.json'}: {name}: {relative} is not a file in the set's folder"
            )
        return self.path / relative

    def _check_episodes(self) -> None:
        meta, expected = self.path / "meta", self._info["total_episodes"]
        if len(self.lengths) != expected:
            raise ValueError(f"{meta}: info.json counts {expected} episodes, episodes/ has {len(self.lengths)}")
        if not self.camera:
            return
        begin, end = (self._episodes[f"videos/{self.camera}/{name}_timestamp"] for name in ("from", "to"))
        short = ~(np.round((end - begin) * self._info["fps"]) >= self.lengths)
        if short.any():
            i = int(short.argmax())
            raise ValueError(
                f"{meta / 'episodes'}: episode_{self._episodes['episode_index'][i]} has {self.lengths[i]} frames, but "
                f"its film goes from {begin[i]:g} to {end[i]:g} s at {self._info['fps']:g} fps"
            )


def _frames(path: Path, begin: float, fps: float, where: Provenance, rows: NDArray[np.int64]) -> Pixels:
    """Return frames of an episode, in a film of several, where it begins after so many seconds."""
    film = _film(path, path.stat().st_mtime_ns, os.getpid())
    asked = begin + rows / fps
    found = film.nearest(asked)
    off = np.abs(film.times[found] - asked) >= 0.5 / fps
    if off.any():
        raise ValueError(
            f"{path} ({where.record}): there is no frame at {asked[off.argmax()]:.3f} s; the nearest is at "
            f"{film.times[found[off.argmax()]]:.3f} s"
        )
    pixels: Pixels = film.read(found)
    return pixels


@lru_cache(maxsize=16)
def _film(path: Path, modified: int, process: int) -> Any:
    """Return a film, whose index is long to make; anew when the file is changed, and in each process."""
    from ..video import VideoFrames

    return VideoFrames(path)


def _read_info(path: Path) -> dict[str, Any]:
    check_files("LeRobot's layout", [path])
    info: dict[str, Any] = read_json(path, Record({"codebase_version": Text(64)}, others=AnyJson()))
    version = info["codebase_version"]
    if not version.startswith("v3."):
        raise ValueError(
            f"{path}: codebase_version: it is LeRobot's {version}, and v3 is read; convert it with LeRobot: {_CONVERT}"
        )
    place = Place(str(path))
    _INFO.check(info, place)
    if "action" not in info["features"]:
        place.inside("features").fail(f"there is no feature action, only {sorted(info['features'])}")
    for name, template in _TEMPLATES.items():
        info[name] = info.get(name) or template
        _check_template(info[name], template, place.inside(name))
    return {**info, "fps": float(info["fps"])}


def _check_template(template: str, usual: str, place: Place) -> None:
    """Refuse a template with other fields than those that are documented, or that pads them to more than 99 digits."""
    try:
        fields = [part[1:] for part in Formatter().parse(template) if part[1] is not None]
    except ValueError:
        fields = [("", "", None)]
    for name, spec, conversion in fields:
        digits = name in ("chunk_index", "file_index") and re.fullmatch(r"(0?[1-9]?\d?d)?", str(spec))
        plain = name == "video_key" and "video_key" in usual and not spec
        if conversion is not None or not (digits or plain):
            place.refuse(f"a path with the fields of {usual!r}", template)


def camera_of(path: Path, camera: str | None) -> str | None:
    """Return the feature that :class:`LeRobot` would take frames from, by the set's metadata alone; None without."""
    return _pick_camera(_read_info(path / "meta" / "info.json"), camera, path)


def _pick_camera(info: dict[str, Any], camera: str | None, path: Path) -> str | None:
    """Return the film to take frames from, or None for data that have none."""
    dtypes = {name: feature["dtype"] for name, feature in info["features"].items()}
    films = [name for name, dtype in dtypes.items() if dtype == "video"]
    if camera is not None:
        if camera not in films:
            raise ValueError(f"{path} has no film {camera!r}; it has {films}")
        return camera
    if len(films) > 1:
        raise ValueError(f"{path} has films of {len(films)} cameras; give camera=, one of {films}")
    if not films and "image" in dtypes.values():
        raise ValueError(f"{path} has its images in parquet, which is not read; convert them to films with LeRobot")
    return films[0] if films else None


def _episode_files(path: Path) -> list[Path]:
    return sorted((path / "meta" / "episodes").glob("chunk-*/file-*.parquet"))


def _read_episodes(path: Path, camera: str | None) -> dict[str, NDArray[Any]]:
    """Return what is known of each episode, in their order."""
    names = ["episode_index", "length", "dataset_from_index", "data/chunk_index", "data/file_index"]
    if camera:
        fields = ("chunk_index", "file_index", "from_timestamp", "to_timestamp")
        names += [f"videos/{camera}/{field}" for field in fields]
    files = _episode_files(path)
    if not files:
        raise FileNotFoundError(f"{path}/meta/episodes/chunk-000/file-000.parquet is missing: LeRobot's layout has it")
    tables = [_read_table(file, names) for file in files]
    columns = {name: np.concatenate([table[name].to_numpy() for table in tables]) for name in names}
    for name, values in columns.items():
        if values.dtype.kind not in ("iuf" if name.endswith("timestamp") else "iu"):
            raise ValueError(f"{files[0]}: column {name} must have numbers, none missing; got {values.dtype}")
    order = np.argsort(columns["episode_index"], kind="stable")
    return {name: values[order] for name, values in columns.items()}


def _read_table(path: Path, names: list[str], groups: list[int] | None = None) -> Any:
    """Return columns of a parquet file, or of some of its row groups, as a table."""
    parquet = import_library("pyarrow.parquet")
    try:
        with parquet.ParquetFile(path) as file:
            missing = [name for name in names if name not in file.schema_arrow.names]
            if missing:
                raise ValueError(f"there is no column {missing[0]}, only {file.schema_arrow.names}")
            return file.read(columns=names) if groups is None else file.read_row_groups(groups, columns=names)
    except (OSError, ValueError) as error:  # pyarrow's own errors are ValueErrors
        raise ValueError(f"{path}: {error}; it may be cut short: fetch it again") from error


def _read_rows(path: Path, names: list[str], start: int, count: int, provenance: Provenance) -> dict[str, Floats]:
    """Return rows of a data file, each column (count, k); no more row groups are read than have them."""
    parquet = import_library("pyarrow.parquet")
    try:
        metadata = parquet.read_metadata(path)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: {error}; it may be cut short: fetch it again") from error
    ends = np.cumsum([metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)])
    if not len(ends) or start + count > ends[-1]:
        rows = ends[-1] if len(ends) else 0
        raise ValueError(f"{provenance}: it ends with row {start + count - 1}, but the file has {rows} rows")
    # A few bytes can stand for any number of equal rows, and all rows of a group are read.
    groups = [int(metadata.row_group(group).num_rows) for group in range(metadata.num_row_groups)]
    check_claim(str(path), max(groups) * 8 * len(names), path.stat().st_size)
    first, last = np.searchsorted(ends, [start, start + count - 1], side="right").tolist()
    skipped = start - (int(ends[first - 1]) if first else 0)
    table = _read_table(path, names, list(range(first, last + 1))).slice(skipped, count)
    return {name: _numbers(table[name].combine_chunks(), f"{provenance}: {name}") for name in names}


def _numbers(column: Any, where: str) -> Floats:
    """Return a column of numbers, or of lists of as many numbers each, as (rows, k)."""
    rows = len(column)
    if hasattr(column, "flatten") and hasattr(column.type, "value_type"):
        column = column.flatten()
    if len(column) % rows:
        raise ValueError(f"{where}: expected as many numbers in each of {rows} rows, got {len(column)} in all")
    return as_floats(column.to_numpy(zero_copy_only=False).reshape(rows, -1), where)
