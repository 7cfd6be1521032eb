"""A folder of videos without actions."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ...untrusted import check_links
from ..clips import too_many_damaged
from ..dataset import TrajectoryDataset, checked_index
from ..frames import ImageSize, height_and_width
from ..trajectory import Provenance, Trajectory
from .reading import fingerprint

if TYPE_CHECKING:
    from ..video import VideoFrames

SUFFIXES = (".avi", ".mkv", ".mov", ".mp4", ".webm")


class SkippedVideo(NamedTuple):
    """A file that cannot be read, and why."""

    path: Path
    reason: str


def recognises(path: Path) -> bool:
    """Tell whether this is a folder with a video somewhere below it; other layouts hold videos too: ask them first."""
    return path.is_dir() and any(_is_video(file) for file in path.rglob("*"))


def _is_video(path: Path) -> bool:
    # What begins with a dot is a system's own, as macOS's "._film.mp4".
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()


def video_files(path: Path) -> list[Path]:
    """Return all videos below a folder, in the order of their names."""
    if not path.is_dir():
        raise FileNotFoundError(f"{path}: there is no such folder of videos")
    check_links(path)
    files = [file for file in path.rglob("*") if _is_video(file)]
    return sorted(files, key=lambda file: file.relative_to(path).as_posix())


class VideoFolder(TrajectoryDataset):
    """All videos below a folder, one trajectory each, in the order of their names; times are those in the files.

    Opening reads the times of all frames (about 3 ms for 1,200 frames), decodes nothing, and leaves out damaged files.

    Attributes:
        skipped: the files left out, each with the reason.

    Args:
        path: the folder.
        image_size: of the frames, pixels: one side, or height and width. They are shrunk so that they just cover it,
            and cut in the middle.
        progress: called with how many files are done, and how many there are.

    Raises:
        FileNotFoundError: no such folder, or no video below it.
        ValueError: more than 5 % of the files are damaged; it names the first of them.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        image_size: ImageSize = 64,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self.path = Path(path)
        self.size = height_and_width(image_size)
        self.control_rate: float | None = None
        self.env_id = None
        self.action_bounds = None
        self.videos: list[VideoFrames] = []
        self.skipped: list[SkippedVideo] = []
        files = video_files(self.path)
        if not files:
            raise FileNotFoundError(f"{self.path}: there is no video ({', '.join(SUFFIXES)}) in or below this folder")
        with ThreadPoolExecutor(cpu_count()) as pool:
            for done, found in enumerate(pool.map(self._open, files), 1):
                if isinstance(found, SkippedVideo):
                    self.skipped.append(found)
                else:
                    self.videos.append(found)
                if progress is not None:
                    progress(done, len(files))
        if too_many := too_many_damaged([reason for _, reason in self.skipped], len(files), "videos"):
            raise ValueError(f"{self.path}: {too_many}")
        self.lengths = np.array([len(video) for video in self.videos], dtype=np.int64)

    def trajectory(self, index: int) -> Trajectory:
        """Return one video, none of it decoded."""
        video = self.videos[checked_index(index, len(self), self.path)]
        record = video.path.relative_to(self.path).as_posix()
        return Trajectory(times=video.times, frames=video, provenance=Provenance("video folder", self.path, record))

    def fingerprint(self) -> str:
        """Return a digest of the files' names and contents, and of the size of the frames."""
        return fingerprint("video folder", video_files(self.path), {"size": json.dumps(self.size)})

    def _open(self, file: Path) -> "VideoFrames | SkippedVideo":
        from ..video import VideoFrames  # which brings in the decoder

        try:
            return VideoFrames(file, size=self.size)
        except (ValueError, OSError) as error:
            return SkippedVideo(file, str(error))
