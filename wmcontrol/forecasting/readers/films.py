"""Films of what can happen and what cannot: IntPhys, GRASP, InfLevel-lab."""

import csv
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...data.frames import ImageSize, ReadFrames, height_and_width, resized
from ...untrusted import AnyJson, Boolean, Record, read_json
from ..protocols import SurpriseProtocol
from ..records import Film, FilmPair, FilmPairs
from .pictures import checked_number, inside, picture_frames, read_picture, subfolders

if TYPE_CHECKING:
    from ...data import VideoFrames

_BLOCKS = {"O1": "object permanence", "O2": "unchangeableness", "O3": "spatiotemporal continuity"}
_STATUS = Record({"header": Record({"is_possible": Boolean()}, others=AnyJson())}, others=AnyJson())
_INFLEVEL = ("continuity", "gravity", "solidity")
_COLUMNS = ("path", "end_priming_2", "label")


class IntPhys(FilmPairs):
    """The development set of IntPhys: in each scene four films, two of which are possible.

    Frames are ``O1/SCENE/1/scene/scene_001.png`` and so on, of films 1 to 4; ``O1/SCENE/1/status.json`` says whether
    the film is possible. Of the two ways to pair them that one is taken in which films begin alike for longer.

    Args:
        path: the folder ``dev``, with ``O1``, ``O2`` and ``O3``. For example data/intphys/dev.
        image_size: of the frames, pixels; the paper's is 224. For example 224.
        frame_rate: frames per second. For example 15.

    Raises:
        FileNotFoundError: a folder is missing.
    """

    def __init__(self, path: str | Path, *, image_size: ImageSize = 224, frame_rate: float = 15.0):
        self.path, self.size, self.frame_rate = Path(path), height_and_width(image_size), float(frame_rate)
        self._scenes = [
            (category, scene)
            for block, category in _BLOCKS.items()
            for scene in subfolders(self.path / block, "the development set of IntPhys has it")
        ]
        self._pairs: dict[int, list[FilmPair]] = {}

    def __len__(self) -> int:
        """How many pairs there are: two in each scene."""
        return 2 * len(self._scenes)

    def __getitem__(self, index: int) -> FilmPair:
        """Return a pair; of a scene that is asked for first, the beginnings of its films are read.

        Raises:
            FileNotFoundError: a film has no frames or no status.json.
            ValueError: a status.json does not say whether its film is possible, or not two films of a scene are.
        """
        number, which = divmod(checked_number(index, len(self), self.path), 2)
        if number not in self._pairs:
            self._pairs[number] = self._of_scene(*self._scenes[number])
        return self._pairs[number][which]

    def settings(self) -> dict[str, Any]:
        """Return path, size and rate."""
        return {"reader": "intphys", "path": str(self.path), "size": list(self.size), "frame_rate": self.frame_rate}

    def _of_scene(self, category: str, scene: Path) -> list[FilmPair]:
        films: dict[bool, list[tuple[Film, list[Path]]]] = {True: [], False: []}
        for folder in (scene / str(number) for number in range(1, 5)):
            possible = read_json(folder / "status.json", _STATUS)["header"]["is_possible"]
            files = sorted((folder / "scene").glob("scene_*.png"))
            if not files:
                raise FileNotFoundError(f"{folder / 'scene'}: there are no frames (scene_*.png)")
            frames = resized(picture_frames(files, folder), self.size)
            name = folder.relative_to(self.path).as_posix()
            films[possible].append((Film(name, frames, np.arange(len(files)) / self.frame_rate), files))
        if len(films[True]) != 2:
            raise ValueError(f"{scene}: expected two films that are possible, got {len(films[True])} of 4")
        ways = [list(zip(films[True], others, strict=True)) for others in (films[False], films[False][::-1])]
        best = max(ways, key=lambda way: sum(_alike(one[1], other[1]) for one, other in way))
        return [FilmPair(category, one[0], other[0]) for one, other in best]


class GRASP(FilmPairs):
    """Level 2 of GRASP: ``P_PROPERTY/NAME.mp4`` is possible, ``IP_PROPERTY/NAME.mp4`` is not.

    Args:
        path: the folder ``level2``. For example data/grasp/level2.
        image_size: of the frames, pixels; the paper's is 224. For example 224.

    Raises:
        FileNotFoundError: there are no such folders, or a film has no other of its name.
    """

    protocol = SurpriseProtocol(frame_step=10)

    def __init__(self, path: str | Path, *, image_size: ImageSize = 224):
        self.path, self.size = Path(path), height_and_width(image_size)
        self._pairs: list[tuple[str, Path, Path]] = []
        for folder in subfolders(self.path, "level 2 of GRASP has P_… and IP_…"):
            if folder.name.startswith("P_"):
                other = folder.with_name(f"I{folder.name}")
                self._pairs += [(folder.name[2:], film, other / film.name) for film in sorted(folder.glob("*.mp4"))]
        if not self._pairs:
            raise FileNotFoundError(f"{self.path}: there is no film in folders P_…")
        for _, _, film in self._pairs:
            if not film.exists():
                raise FileNotFoundError(f"{film} is missing: the possible film of its name is there")

    def __len__(self) -> int:
        """How many pairs there are."""
        return len(self._pairs)

    def __getitem__(self, index: int) -> FilmPair:
        """Return a pair, none of it decoded.

        Raises:
            ValueError: a film is damaged; it is named.
        """
        category, *files = self._pairs[checked_number(index, len(self), self.path)]
        one, other = (_film(file, _opened(file, self.size), 0, self.path) for file in files)
        return FilmPair(category, one, other)

    def settings(self) -> dict[str, Any]:
        """Return path and size."""
        return {"reader": "grasp", "path": str(self.path), "size": list(self.size)}


class InfLevel(FilmPairs):
    """InfLevel-lab: films in ``continuity``, ``gravity`` and ``solidity``, pairs in CSV files of these names.

    A film begins after its priming, at the frame after ``end_priming_2``; of two, the longer loses its first frames,
    so that both end together.

    Args:
        path: the folder of the three. For example data/inflevel.
        pairs: the folder of ``continuity.csv`` and so on; by default ``path``. For example inflevel/pairs.
        image_size: of the frames, pixels; the paper's is 224. For example 224.

    Raises:
        FileNotFoundError: a CSV file is missing.
        ValueError: a column is missing, a row is not of one possible and one impossible film, or names what is outside
            of the folder; it is named.
    """

    protocol = SurpriseProtocol(window=32, frame_step=5, contexts=(4, 8, 12, 16, 20))

    def __init__(self, path: str | Path, *, pairs: str | Path | None = None, image_size: ImageSize = 224):
        self.path, self.size = Path(path), height_and_width(image_size)
        self.pairs = self.path if pairs is None else Path(pairs)
        self._rows = [row for category in _INFLEVEL for row in self._read(category)]

    def __len__(self) -> int:
        """How many pairs there are."""
        return len(self._rows)

    def __getitem__(self, index: int) -> FilmPair:
        """Return a pair, none of it decoded.

        Raises:
            ValueError: a film is damaged, or shorter than its priming; it is named.
            FileNotFoundError: a film is missing.
        """
        category, *films = self._rows[checked_number(index, len(self), self.path)]
        opened = [(file, _opened(file, self.size), first) for file, first in films]
        count = min(len(video) - first for _, video, first in opened)
        for file, video, first in opened:
            if len(video) <= first:
                raise ValueError(f"{file}: it has {len(video)} frames, and its priming ends at {first - 1}")
        one, other = (_film(file, video, len(video) - count, self.path) for file, video, _ in opened)
        return FilmPair(category, one, other)

    def settings(self) -> dict[str, Any]:
        """Return the folders and the size."""
        return {"reader": "inflevel", "path": str(self.path), "pairs": str(self.pairs), "size": list(self.size)}

    def _read(self, category: str) -> list[Any]:
        """Return the rows of a category: its name, and of the possible and the impossible film file and first frame."""
        file = self.pairs / f"{category}.csv"
        found = []
        with file.open(encoding="utf-8", newline="") as text:
            rows = csv.DictReader(text)
            wanted = [f"vid{which}_{column}" for which in (1, 2) for column in _COLUMNS]
            if missing := [name for name in wanted if name not in (rows.fieldnames or ())]:
                raise ValueError(f"{file}: it has no columns {missing}")
            for row in rows:
                where = f"{file}, line {rows.line_num}"
                films = {}
                for which in (1, 2):
                    name, end, label = (str(row[f"vid{which}_{column}"]) for column in _COLUMNS)
                    if not end.isascii() or not end.isdigit():
                        raise ValueError(f"{where}: vid{which}_end_priming_2: expected a whole number, got {end!r}")
                    films[label] = inside(self.path, name, where), int(end) + 1
                if films.keys() != {"possible", "impossible"}:
                    raise ValueError(
                        f"{where}: vid1_label and vid2_label: expected possible and impossible, got {sorted(films)}"
                    )
                found.append((category, films["possible"], films["impossible"]))
        return found


def _alike(one: list[Path], other: list[Path]) -> int:
    """Return how many frames two films begin with that are the same."""
    for number, (first, second) in enumerate(zip(one, other, strict=False)):
        if first.read_bytes() != second.read_bytes() and not np.array_equal(read_picture(first), read_picture(second)):
            return number
    return min(len(one), len(other))


def _opened(file: Path, size: tuple[int, int]) -> "VideoFrames":
    from ...data import VideoFrames  # which brings in the decoder

    return VideoFrames(file, size=size)


def _film(file: Path, video: "VideoFrames", first: int, root: Path) -> Film:
    """Return a film from one of its frames on."""
    frames = ReadFrames(len(video) - first, file, partial(_later, video, first))
    return Film(file.relative_to(root).as_posix(), frames, video.times[first:])


def _later(video: "VideoFrames", first: int, numbers: NDArray[np.int64]) -> Any:
    return video.read(numbers + first)
