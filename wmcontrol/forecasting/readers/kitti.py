"""KITTI: drives with depths of a laser scanner."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..protocols import ForecastProtocol
from ..records import LabelledVideo, LabelledVideos
from .pictures import ReadLabels, checked_number, inside, picture_frames, read_labels

_RATE, _SIZE = 10.0, (352, 1216)  # the crop of most evaluations: the lowest rows, the middle columns
_CAMERA = "image_02"


class KITTI(LabelledVideos):
    """Frames of KITTI raw, and the depths of the KITTI depth benchmark; 10 frames a second, cropped to 352 by 1216.

    Frames are ``DATE/DRIVE_sync/image_02/data/NUMBER.png``; depths ``DRIVE_sync/proj_depth/groundtruth/image_02/
    NUMBER.png``, 16 bits, metres times 256, 0 where the scanner saw nothing.

    Args:
        path: the folder of dates. For example data/kitti_raw.
        depth: the folder of drives with depths, such as ``train`` or ``val`` of the benchmark. For example
            data/kitti_depth/val.
        files: a list of frames, each line a picture, its depth (or None) and what else there is, as
            eigen_test_files_with_gt.txt; by default every frame with a depth counts. For example
            eigen_test_files_with_gt.txt.

    Raises:
        FileNotFoundError: a folder or the list is missing, or there are no depths.
        ValueError: the list names what is outside of the folders, or no frame; it is named.
    """

    kind = "depth"
    class_names = ()
    protocol = ForecastProtocol(step=2, target=13)
    crop = (352, 704)

    def __init__(self, path: str | Path, depth: str | Path, *, files: str | Path | None = None):
        self.path, self.depth, self.files = Path(path), Path(depth), None if files is None else Path(files)
        for folder in (self.path, self.depth):
            if not folder.is_dir():
                raise FileNotFoundError(f"{folder}: there is no such folder")
        self._drives = self._found() if self.files is None else self._listed(self.files)
        if not self._drives:
            raise FileNotFoundError(f"{self.depth}: there is no depth in it, …/proj_depth/groundtruth/{_CAMERA}/*.png")

    def __len__(self) -> int:
        """How many drives have depths."""
        return len(self._drives)

    def __getitem__(self, index: int) -> LabelledVideo:
        """Return one drive, none of its frames read.

        Raises:
            FileNotFoundError: it has no frames, or not all of those that have depths; it is named.
        """
        drive, depths = list(self._drives.items())[checked_number(index, len(self), self.path)]
        folder = self.path / drive[:10] / drive / _CAMERA / "data"
        files = sorted(folder.glob("*.png"))
        place = {file.stem: number for number, file in enumerate(files)}
        if missing := sorted(set(depths) - set(place)):
            raise FileNotFoundError(f"{folder / missing[0]}.png is missing: {depths[missing[0]]} is its depth")
        by_frame = {place[stem]: file for stem, file in depths.items()}
        return LabelledVideo(
            drive,
            picture_frames(files, folder, _cropped),
            # Frames that are missing in a drive leave a gap in its numbers.
            np.array([_number(file) for file in files]) / _RATE,
            ReadLabels(partial(_depth, by_frame, drive)),
            np.array(sorted(by_frame)),
        )

    def settings(self) -> dict[str, Any]:
        """Return the folders and the list."""
        return {
            "reader": "kitti",
            "path": str(self.path),
            "depth": str(self.depth),
            "files": None if self.files is None else str(self.files),
        }

    def _found(self) -> dict[str, dict[str, Path]]:
        folders = sorted(self.depth.glob(f"*_sync/proj_depth/groundtruth/{_CAMERA}"))
        return {
            folder.parents[2].name: {file.stem: file for file in sorted(folder.glob("*.png"))} for folder in folders
        }

    def _listed(self, listed: Path) -> dict[str, dict[str, Path]]:
        drives: dict[str, dict[str, Path]] = {}
        for number, line in enumerate(listed.read_text(encoding="utf-8").splitlines(), 1):
            words = line.split()
            if len(words) < 2 or words[1] == "None":
                continue
            inside(self.path, words[0], f"{listed}, line {number}")
            depth = inside(self.depth, words[1], f"{listed}, line {number}")
            drive = Path(words[1]).parts[0]
            drives.setdefault(drive, {})[depth.stem] = depth
        if not drives:
            raise ValueError(f"{listed}: expected lines of a picture and its depth, got none with a depth")
        return drives


def _cropped(picture: NDArray[Any]) -> NDArray[Any]:
    (height, width), (rows, columns) = picture.shape[:2], _SIZE
    if height < rows or width < columns:
        raise ValueError(f"expected pictures of at least {rows} by {columns}, got {height} by {width}")
    left = (width - columns) // 2
    return picture[height - rows :, left : left + columns]


def _depth(files: dict[int, Path], drive: str, frame: int) -> NDArray[np.float32]:
    if frame not in files:
        raise IndexError(f"{drive}: no depth of frame {frame}")
    file = files[frame]
    try:
        return (_cropped(read_labels(file)) / 256).astype(np.float32)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error


def _number(file: Path) -> int:
    if not file.stem.isascii() or not file.stem.isdigit():
        raise ValueError(f"{file}: expected the number of a frame as its name")
    return int(file.stem)
