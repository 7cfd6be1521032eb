"""LeRobot's data sets: tables in parquet, and films in mp4 or images in the tables.

What is relied on (the formats' announcements, and ``lerobot.datasets`` of the releases 0.3 and 0.4):

- ``meta/info.json``: ``codebase_version``, ``fps``, ``features`` (name to ``dtype`` and ``shape``; films have the dtype
  "video", images in tables "image"), ``total_episodes``, and the templates ``data_path`` and ``video_path``;
- data files: a row per frame, in order, with ``episode_index``, ``frame_index``, ``timestamp``, ``action`` and mostly
  ``observation.state``. Row ``t`` of ``action`` is what was done at frame ``t``, and of ``next.reward`` what it was
  given. Images are structs of ``bytes`` (a PNG
  file) and ``path``.

Version 3 has many episodes in a file. ``meta/episodes/chunk-*/file-*.parquet`` has a row per episode with
``episode_index``, ``length``, ``dataset_from_index`` (its first row, counted over all files), ``data/chunk_index`` and
``data/file_index``, and for each film ``videos/{key}/chunk_index``, ``…/file_index``, ``…/from_timestamp`` and
``…/to_timestamp``, in seconds of that file. Frame ``t`` of an episode is the one nearest to
``from_timestamp + t / fps``.

Version 2 has a file for each episode. ``meta/episodes.jsonl`` has a line per episode with ``episode_index`` and
``length``; ``chunks_size`` of ``info.json`` says how many episodes are in a folder.
"""

import os
import re
from functools import lru_cache, partial
from pathlib import Path, PurePosixPath, PureWindowsPath
from string import Formatter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...untrusted import (
    AnyJson,
    Integer,
    MapOf,
    Nullable,
    Number,
    Record,
    Text,
    check_claim,
    check_links,
    parse_json,
    read_json,
)
from ...untrusted.schema import Place
from ..dataset import TrajectoryDataset, checked_index
from ..frames import Frames, ImageSize, Pixels, ReadFrames, checked_size, pick_camera, resized
from ..trajectory import Provenance, Trajectory
from .parquet_rows import read_images, read_rows, read_table
from .reading import check_files, checked_lengths, fingerprint

_STATE, _REWARD = "observation.state", "next.reward"
_V3 = {
    "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
    "video_path": "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4",
}
_V2 = {
    "data_path": "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
    "video_path": "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4",
}
_INFO = Record(
    {
        "codebase_version": Text(64),
        "fps": Number(above=0),
        "total_episodes": Integer(low=0),
        "features": MapOf(Record({"dtype": Text(64)}, others=AnyJson())),
    },
    {"chunks_size": Integer(low=1), **{name: Nullable(Text(1000)) for name in _V3}},
    others=AnyJson(),
)
_EPISODE = Record({"episode_index": Integer(0, 2**31), "length": Integer(0, 2**31)}, others=AnyJson())


def recognises(path: Path) -> bool:
    """Whether this is a folder with LeRobot's metadata."""
    return (path / "meta" / "info.json").is_file() or (path / "meta" / "episodes").is_dir()


class LeRobot(TrajectoryDataset):
    """A data set of LeRobot's in a folder, version 2 or 3, as ``lerobot/pusht`` of the Hugging Face Hub.

    States are ``observation.state`` where there is one. Whose states and actions they are the data do not tell in a
    way that could be relied on, so there is neither an ``env_id`` nor bounds.

    Args:
        path: the folder that has ``meta``, ``data`` and ``videos``.
        camera: the feature that frames are taken from, a film or images in the tables, such as
            ``"observation.images.top"``; None where there is one.
        image_size: of the frames, pixels, to which they are resized: one side, or height and width.

    Raises:
        OSError: a file is missing or damaged.
        ValueError: another version than 2 and 3, several cameras and none named, numbers that disagree, or paths that
            lead out of the folder.
    """

    def __init__(self, path: str | Path, camera: str | None = None, *, image_size: ImageSize | None = None):
        self.path = Path(path)
        self._size = checked_size(image_size)
        check_links(self.path)
        self._info, is_new = _read_info(self.path / "meta" / "info.json")
        self.camera = _pick_camera(self._info, camera, self.path)
        self._film = self.camera if self.camera and self._info["features"][self.camera]["dtype"] == "video" else None
        self._numbering = ("chunk_index", "file_index") if is_new else ("episode_chunk", "episode_index")
        read = _read_episodes if is_new else _read_lines
        episodes: dict[str, NDArray[Any]] = read(self.path, self._film, self._info)
        self._episodes = episodes
        self.lengths = checked_lengths(self.path / "meta" / "episodes", episodes["length"])
        self._check_episodes()
        data = {self._file("data", index) for index in range(len(self))}
        films = {self._file(self._film, index) for index in range(len(self))} if self._film else set()
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
        names = ["action", *(name for name in (_STATE, _REWARD) if name in self._info["features"])]
        table = read_rows(file, ["episode_index", "timestamp", *names], int(self._rows[index]), T, provenance)
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
        if self._film:
            begin = float(self._episodes[f"videos/{self._film}/from_timestamp"][index])
            pick = partial(_frames, self._file(self._film, index), begin, fps, provenance)
            frames = resized(ReadFrames(T, provenance, pick), self._size)
        elif self.camera:
            pick = partial(read_images, file, self.camera, int(self._rows[index]), provenance)
            frames = resized(ReadFrames(T, provenance, pick), self._size)
        return Trajectory(
            times=times,
            provenance=provenance,
            frames=frames,
            states=table.get(_STATE),
            actions=table["action"][:-1],
            rewards=table[_REWARD][:-1, 0] if _REWARD in table else None,
        )

    def fingerprint(self) -> str:
        """Return a digest of the files' names and contents, and of the settings."""
        meta = [
            self.path / "meta" / "info.json",
            *(self.path / "meta").glob("episodes*"),
            *(self.path / "meta").glob("episodes/*/*.parquet"),
        ]
        meta = [file for file in meta if file.is_file()]
        return fingerprint("LeRobot", [*self._files, *meta], {"camera": self.camera, "image_size": self._size})

    def _file(self, what: str, index: int) -> Path:
        """Return where an episode's rows ("data") or frames (a camera) are."""
        prefix = "data" if what == "data" else f"videos/{what}"
        numbers = [int(self._episodes[f"{prefix}/{part}_index"][index]) for part in ("chunk", "file")]
        place = dict(zip(self._numbering, numbers, strict=True))
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
            raise ValueError(f"{meta}: info.json counts {expected} episodes, there are {len(self.lengths)}")
        if not self._film:
            return
        begin, end = (self._episodes[f"videos/{self._film}/{name}_timestamp"] for name in ("from", "to"))
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


def _read_info(path: Path) -> tuple[dict[str, Any], bool]:
    """Return what a set says of itself, and whether it is of version 3."""
    check_files("LeRobot's layout", [path])
    info: dict[str, Any] = read_json(path, Record({"codebase_version": Text(64)}, others=AnyJson()))
    version = info["codebase_version"]
    if not version.startswith(("v2.", "v3.")):
        raise ValueError(
            f"{path}: codebase_version: it is LeRobot's {version}, and v2 and v3 are read; convert it with LeRobot"
        )
    templates = _V3 if version.startswith("v3.") else _V2
    place = Place(str(path))
    _INFO.check(info, place)
    if "action" not in info["features"]:
        place.inside("features").fail(f"there is no feature action, only {sorted(info['features'])}")
    for name, template in templates.items():
        info[name] = info.get(name) or template
        _check_template(info[name], template, place.inside(name))
    return {**info, "fps": float(info["fps"])}, templates is _V3


def _check_template(template: str, usual: str, place: Place) -> None:
    """Refuse a template with other fields than those that are documented, or that pads them to more than 99 digits."""
    try:
        fields = [part[1:] for part in Formatter().parse(template) if part[1] is not None]
    except ValueError:
        fields = [("", "", None)]
    for name, spec, conversion in fields:
        digits = name != "video_key" and f"{{{name}:" in usual and re.fullmatch(r"(0?[1-9]?\d?d)?", str(spec))
        plain = name == "video_key" and "video_key" in usual and not spec
        if conversion is not None or not (digits or plain):
            place.refuse(f"a path with the fields of {usual!r}", template)


def camera_of(path: Path, camera: str | None) -> str | None:
    """Return the feature that :class:`LeRobot` would take frames from, by the set's metadata alone; None without."""
    return _pick_camera(_read_info(path / "meta" / "info.json")[0], camera, path)


def _pick_camera(info: dict[str, Any], camera: str | None, path: Path) -> str | None:
    """Return the film or the images to take frames from, or None for data that have none."""
    cameras = [name for name, feature in info["features"].items() if feature["dtype"] in ("video", "image")]
    return pick_camera(cameras, camera, path)


def _read_episodes(path: Path, film: str | None, info: dict[str, Any]) -> dict[str, NDArray[Any]]:
    """Return what version 3 says of each episode, in their order."""
    names = ["episode_index", "length", "dataset_from_index", "data/chunk_index", "data/file_index"]
    if film:
        fields = ("chunk_index", "file_index", "from_timestamp", "to_timestamp")
        names += [f"videos/{film}/{field}" for field in fields]
    files = sorted((path / "meta" / "episodes").glob("chunk-*/file-*.parquet"))
    if not files:
        raise FileNotFoundError(f"{path}/meta/episodes/chunk-000/file-000.parquet is missing: LeRobot's layout has it")
    tables = [read_table(file, names) for file in files]
    columns = {name: np.concatenate([table[name].to_numpy() for table in tables]) for name in names}
    for name, values in columns.items():
        if values.dtype.kind not in ("iuf" if name.endswith("timestamp") else "iu"):
            raise ValueError(f"{files[0]}: column {name} must have numbers, none missing; got {values.dtype}")
    order = np.argsort(columns["episode_index"], kind="stable")
    return {name: values[order] for name, values in columns.items()}


def _read_lines(path: Path, film: str | None, info: dict[str, Any]) -> dict[str, NDArray[Any]]:
    """Return the same of version 2, where each episode has files of its own."""
    file = path / "meta" / "episodes.jsonl"
    check_files("LeRobot's layout", [file])
    check_claim(str(file), file.stat().st_size, 0)
    lines = [line for line in file.read_bytes().splitlines() if line.strip()]
    rows = [parse_json(line, _EPISODE, f"{file}, line {number}") for number, line in enumerate(lines, 1)]
    rows.sort(key=lambda row: row["episode_index"])
    numbers, lengths = (np.array([row[name] for row in rows], np.int64) for name in ("episode_index", "length"))
    twice = np.flatnonzero(np.diff(numbers) == 0)
    if len(twice):
        raise ValueError(f"{file}: episode_{numbers[twice[0]]} is listed twice")
    found: dict[str, NDArray[Any]] = {
        "episode_index": numbers,
        "length": lengths,
        "dataset_from_index": np.cumsum(lengths) - lengths,
    }
    for prefix in ("data", *([f"videos/{film}"] if film else [])):
        found |= {f"{prefix}/chunk_index": numbers // info.get("chunks_size", 1000), f"{prefix}/file_index": numbers}
    if film:
        ends = lengths / info["fps"]
        found |= {f"videos/{film}/from_timestamp": np.zeros(len(ends)), f"videos/{film}/to_timestamp": ends}
    return found
