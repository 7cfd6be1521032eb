"""Videos without labels, of which only tokens are forecast."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ...checks import check_whole
from ...data.formats.video_folder import VideoFolder
from ...data.frames import ImageSize, ReadFrames
from ..records import LabelledVideo, LabelledVideos
from .pictures import checked_number


class PlainVideos(LabelledVideos):
    """All videos below a folder, each cut into clips of equal length; what is left at its end is not used.

    Args:
        path: the folder. For example data/videos.
        image_size: side of the frames, pixels, which are shrunk so that they just cover it and cut in the middle. For
            example 64.
        clip_frames: frames of a clip; intervals are over clips. For example 40.

    Raises:
        FileNotFoundError: there is no video.
        ValueError: more than 5 % of the videos are damaged, or none has as many frames as a clip.
    """

    kind = None
    class_names = ()

    def __init__(self, path: str | Path, *, image_size: ImageSize = 64, clip_frames: int = 40):
        check_whole("clip_frames", clip_frames, 2)
        self.clip_frames = clip_frames
        self._folder = VideoFolder(path, image_size=image_size)
        self._clips = [
            (index, start)
            for index, length in enumerate(self._folder.lengths.tolist())
            for start in range(0, length - clip_frames + 1, clip_frames)
        ]
        if not self._clips:
            longest = self._folder.lengths.max()
            raise ValueError(f"{path}: its longest video has {longest} frames, a clip has clip_frames={clip_frames}")

    def __len__(self) -> int:
        """How many clips there are."""
        return len(self._clips)

    def __getitem__(self, index: int) -> LabelledVideo:
        """Return one clip, none of it decoded."""
        number, start = self._clips[checked_number(index, len(self), self._folder.path)]
        film = self._folder.trajectory(number)
        frames, times = film.frames, film.times
        assert frames is not None
        assert times is not None
        name = f"{self._folder.videos[number].path.relative_to(self._folder.path).as_posix()}, from frame {start}"
        count = self.clip_frames
        clip = ReadFrames(count, name, partial(_later, frames, start))
        return LabelledVideo(name, clip, times[start : start + count], None, np.arange(count))

    def settings(self) -> dict[str, Any]:
        """Return path, size and length."""
        size = list(self._folder.size)
        return {
            "reader": "plain_videos",
            "path": str(self._folder.path),
            "size": size,
            "clip_frames": self.clip_frames,
        }


def _later(frames: Any, start: int, numbers: Any) -> Any:
    return frames.read(numbers + start)
