"""VSPW: videos in the wild in which every frame is labelled."""

from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ...untrusted import AnyJson, MapOf, read_json
from ..records import LabelledVideo, LabelledVideos
from .pictures import ReadLabels, check_side, checked_number, inside, picture_frames, read_classes, scaled, tiled

_RATE, _CLASSES = 15.0, 124
_NAMES = "label_num_dic_final.json"


class VSPW(LabelledVideos):
    """``VSPW_480p``: pictures in ``data/VIDEO/origin`` and classes in ``data/VIDEO/mask``, 15 frames a second.

    In masks 0 ("others") and 255 count nowhere, and 1 to 124 are the classes, which count from 0 here.

    Args:
        path: the folder, with ``train.txt``, ``val.txt`` and ``label_num_dic_final.json``. For example VSPW_480p.
        split: train or val. For example val.
        short_side: that frames and labels are resized to, pixels; the paper's is 448. None leaves them. For example
            448.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: a list names what is outside of the folder, or the names of the classes are not 1 to 124.
    """

    kind = "segmentation"

    def __init__(self, path: str | Path, *, split: Literal["train", "val"] = "val", short_side: int | None = 448):
        check_side(short_side)
        self.path, self.split, self.short_side = Path(path), split, short_side
        self.crop, self.protocol = tiled(short_side)
        listed = self.path / f"{split}.txt"
        names = [line.strip() for line in listed.read_text(encoding="utf-8").splitlines()]
        self._folders = [inside(self.path / "data", name, listed) for name in names if name]
        if not self._folders:
            raise ValueError(f"{listed}: it names no video")
        self.class_names = _class_names(self.path / _NAMES)
        self._table = np.arange(-1, 255).astype(np.uint8)  # 0 becomes 255
        self._table[_CLASSES + 1 :] = 255

    def __len__(self) -> int:
        """How many videos there are."""
        return len(self._folders)

    def __getitem__(self, index: int) -> LabelledVideo:
        """Return one video, none of its frames read.

        Raises:
            FileNotFoundError: it has no pictures; it is named.
        """
        folder = self._folders[checked_number(index, len(self), self.path)]
        files = sorted((folder / "origin").glob("*.jpg"))
        if not files:
            raise FileNotFoundError(f"{folder / 'origin'}: there are no pictures (*.jpg)")
        masks = [folder / "mask" / f"{file.stem}.png" for file in files]
        return LabelledVideo(
            folder.name,
            picture_frames(files, folder, partial(scaled, short_side=self.short_side)),
            np.arange(len(files)) / _RATE,
            ReadLabels(partial(_label, tuple(masks), self._table, self.short_side)),
            np.flatnonzero([mask.exists() for mask in masks]),
        )

    def settings(self) -> dict[str, Any]:
        """Return path, split and size."""
        return {"reader": "vspw", "path": str(self.path), "split": self.split, "short_side": self.short_side}


def _label(masks: tuple[Path, ...], table: Any, short_side: int | None, frame: int) -> Any:
    return read_classes(masks[checked_number(frame, len(masks), masks[0].parent)], table, short_side)


def _class_names(file: Path) -> tuple[str, ...]:
    """Return the names of the classes 1 to 124; files write their numbers as numbers or as texts."""
    found: dict[int, str] = {}
    for name, value in read_json(file, MapOf(AnyJson())).items():
        if not str(value).isascii() or not str(value).isdigit():
            raise ValueError(f"{file}: {name}: expected the number of a class, got {value!r}")
        found[int(value)] = name
    missing = sorted({*range(1, _CLASSES + 1)} - found.keys())
    if missing:
        raise ValueError(f"{file}: expected names of the classes 1 to {_CLASSES}, got none of {missing[:5]}")
    return tuple(found[number] for number in range(1, _CLASSES + 1))
