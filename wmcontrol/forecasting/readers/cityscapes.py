"""Cityscapes: snippets of 30 frames of which one is labelled."""

from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..records import LabelledVideo, LabelledVideos
from .pictures import ReadLabels, check_side, checked_number, picture_frames, read_classes, scaled, subfolders, tiled

# The classes that count, in the order of their train ids, and their numbers in labelIds files.
CLASSES = {
    "road": 7,
    "sidewalk": 8,
    "building": 11,
    "wall": 12,
    "fence": 13,
    "pole": 17,
    "traffic light": 19,
    "traffic sign": 20,
    "vegetation": 21,
    "terrain": 22,
    "sky": 23,
    "person": 24,
    "rider": 25,
    "car": 26,
    "truck": 27,
    "bus": 28,
    "train": 31,
    "motorcycle": 32,
    "bicycle": 33,
}
_FRAMES, _LABELLED, _RATE = 30, 19, 16.0
_LABELS = "_gtFine_labelIds.png"


class Cityscapes(LabelledVideos):
    """``leftImg8bit_sequence`` and ``gtFine`` of the Cityscapes data set; frame 19 of each snippet of 30 is labelled.

    A snippet is found by its label file, ``gtFine/SPLIT/CITY/CITY_SEQUENCE_FRAME_gtFine_labelIds.png``. Frames are
    ``leftImg8bit_sequence/SPLIT/CITY/CITY_SEQUENCE_FRAME_leftImg8bit.png``, 16 a second. The 19 classes are those of
    the benchmark; all others are 255.

    Args:
        path: the folder that holds both. For example data/cityscapes.
        split: train or val; test has no labels. For example val.
        short_side: that frames and labels are resized to, pixels; the paper's is 448. None leaves them. For example
            448.

    Raises:
        FileNotFoundError: a folder is missing, or there are no labels.
        ValueError: the name of a label file is none of Cityscapes'; it is named.
    """

    kind = "segmentation"
    class_names = tuple(CLASSES)

    def __init__(self, path: str | Path, *, split: Literal["train", "val"] = "val", short_side: int | None = 448):
        check_side(short_side)
        self.path, self.split, self.short_side = Path(path), split, short_side
        self.crop, self.protocol = tiled(short_side)
        cities = subfolders(self.path / "gtFine" / split, "gtFine_trainvaltest.zip has it")
        subfolders(self.path / "leftImg8bit_sequence" / split, "leftImg8bit_sequence_trainvaltest.zip has it")
        self._labels = sorted(file for city in cities for file in city.glob(f"*{_LABELS}"))
        if not self._labels:
            raise FileNotFoundError(f"{self.path / 'gtFine' / split}: there is no file …{_LABELS} in its folders")
        self._table = np.full(256, 255, np.uint8)
        self._table[list(CLASSES.values())] = np.arange(len(CLASSES))

    def __len__(self) -> int:
        """How many snippets there are."""
        return len(self._labels)

    def __getitem__(self, index: int) -> LabelledVideo:
        """Return one snippet, none of its frames read."""
        file = self._labels[checked_number(index, len(self), self.path)]
        name = file.name.removesuffix(_LABELS)
        parts = name.rsplit("_", 2)
        if len(parts) != 3 or not parts[2].isascii() or not parts[2].isdigit() or int(parts[2]) < _LABELLED:
            raise ValueError(f"{file}: expected CITY_SEQUENCE_FRAME{_LABELS}, FRAME from {_LABELLED} up")
        folder = self.path / "leftImg8bit_sequence" / self.split / file.parent.name
        first = int(parts[2]) - _LABELLED
        files = [
            folder / f"{parts[0]}_{parts[1]}_{number:0{len(parts[2])}}_leftImg8bit.png"
            for number in range(first, first + _FRAMES)
        ]
        return LabelledVideo(
            name,
            picture_frames(files, name, partial(scaled, short_side=self.short_side)),
            np.arange(_FRAMES) / _RATE,
            ReadLabels(partial(_label, file, self._table, self.short_side)),
            np.array([_LABELLED]),
        )

    def settings(self) -> dict[str, Any]:
        """Return path, split and size."""
        return {
            "reader": "cityscapes",
            "path": str(self.path),
            "split": self.split,
            "short_side": self.short_side,
        }


def _label(file: Path, table: Any, short_side: int | None, frame: int) -> Any:
    checked_number(frame - _LABELLED, 1, f"{file}: labels of frame {_LABELLED} alone")
    return read_classes(file, table, short_side)
