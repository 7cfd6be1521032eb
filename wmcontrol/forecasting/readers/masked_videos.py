"""Videos of one's own with masks beside them."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ...data.formats.video_folder import video_files
from ...untrusted import ListOf, Text, read_json
from ..records import LabelledVideo, LabelledVideos
from .pictures import ReadLabels, check_side, checked_number, read_classes, scaled_size

_CLASSES = "classes.json"


class MaskedVideos(LabelledVideos):
    """A folder of videos, each with a folder of the same name beside it that has masks of some of its frames.

    Of ``street.mp4`` the mask of frame 7, counted from 0, is ``street/7.png`` (or ``000007.png``): the class of each
    pixel, grey or of a palette, 255 where nobody knows. ``classes.json`` is the list of their names.

    Args:
        path: the folder. For example data/streets.
        short_side: that frames and masks are resized to, pixels; by default they stay as they are. For example 448.

    Raises:
        FileNotFoundError: there is no video with masks, or no classes.json.
        ValueError: classes.json is no list of names, or the name of a mask is no number; it is named.
    """

    kind = "segmentation"

    def __init__(self, path: str | Path, *, short_side: int | None = None):
        check_side(short_side)
        self.path, self.short_side = Path(path), short_side
        self.class_names = tuple(read_json(self.path / _CLASSES, ListOf(Text(200), least=1, most=255)))
        self._masks = {file: _masks_of(file) for file in video_files(self.path)}
        self._videos = [file for file, masks in self._masks.items() if masks]
        if not self._videos:
            raise FileNotFoundError(f"{self.path}: no video in it has a folder of masks of its name beside it")
        self._table = np.arange(256).astype(np.uint8)

    def __len__(self) -> int:
        """How many videos have masks."""
        return len(self._videos)

    def __getitem__(self, index: int) -> LabelledVideo:
        """Return one video, none of it decoded but for its first frame.

        Raises:
            ValueError: it is damaged, or a mask is of a frame that it does not have; the file is named.
        """
        from ...data import VideoFrames  # which brings in the decoder

        file = self._videos[checked_number(index, len(self), self.path)]
        video, masks = VideoFrames(file), self._masks[file]
        if max(masks) >= len(video):
            raise ValueError(f"{masks[max(masks)]}: {file} has {len(video)} frames, counted from 0")
        if self.short_side is not None:
            height, width = video.read([0]).shape[1:3]
            video = VideoFrames(file, size=scaled_size((height, width), self.short_side))
        name = file.relative_to(self.path).as_posix()
        labels = ReadLabels(partial(_label, masks, self._table, self.short_side, len(self.class_names)))
        return LabelledVideo(name, video, video.times, labels, np.array(sorted(masks)))

    def settings(self) -> dict[str, Any]:
        """Return path and size."""
        return {"reader": "masked_videos", "path": str(self.path), "short_side": self.short_side}


def _masks_of(video: Path) -> dict[int, Path]:
    found: dict[int, Path] = {}
    for mask in sorted(video.with_suffix("").glob("*.png")):
        if not mask.stem.isascii() or not mask.stem.isdigit():
            raise ValueError(f"{mask}: expected the number of a frame as its name, such as 7.png")
        found[int(mask.stem)] = mask
    return found


def _label(masks: dict[int, Path], table: Any, short_side: int | None, count: int, frame: int) -> Any:
    classes = read_classes(masks[frame], table, short_side)
    if (known := classes[classes != 255]).size and known.max() >= count:
        raise ValueError(f"{masks[frame]}: expected classes from 0 to {count - 1} or 255, got {known.max()}")
    return classes
