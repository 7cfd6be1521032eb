"""Clips that ``wmcontrol scenes`` saved, as videos with labels."""

from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...checks import check_choice
from ...data.formats.columns import is_npz, open_columns
from ...data.formats.video_folder import video_files
from ...runs import read_run
from ...scenes import SceneDataset, SceneDataset3D
from ..records import Kind, LabelledVideo, LabelledVideos
from .pictures import checked_number
from .scenes import Drawn, Part

_SETS: dict[str, type[SceneDataset | SceneDataset3D]] = {each.__name__: each for each in (SceneDataset, SceneDataset3D)}


class SavedScenes(LabelledVideos):
    """A set of clips that ``wmcontrol scenes`` saved, with the classes or the depths of all their pixels.

    Args:
        path: the folder of the set. For example data/scenes/test.
        kind: of the labels: segmentation or depth. For example depth.

    Raises:
        FileNotFoundError: there is no clip, or no run.json beside the folder.
        ValueError: run.json is of no such set; it is named.
    """

    def __init__(self, path: str | Path, *, kind: Kind = "segmentation"):
        check_choice("kind", kind, Kind)
        self.path, self.kind = Path(path), kind
        told = read_run(self.path.parent)["settings"].get(self.path.name)
        made = _SETS.get(str(told.get("type"))) if isinstance(told, dict) else None
        if made is None:
            raise ValueError(f"{self.path.parent / 'run.json'}: it has no clips {self.path.name!r}, but {told!r}")
        self.class_names = tuple(made.class_names) if kind == "segmentation" else ()
        self._files = video_files(self.path)
        if not self._files:
            raise FileNotFoundError(f"{self.path}: there is no clip in it")

    def __len__(self) -> int:
        """How many clips there are."""
        return len(self._files)

    def __getitem__(self, index: int) -> LabelledVideo:
        """Return one clip, whose labels are read when the first of them is asked for.

        Raises:
            ValueError: the film is damaged; it is named. So are labels, once they are asked for.
        """
        from ...data import VideoFrames  # which brings in the decoder

        file = self._files[checked_number(index, len(self), self.path)]
        video = VideoFrames(file)
        labels = Drawn(partial(_read, self.path / "labels" / f"{file.stem}.npz", len(video)))
        part = Part(labels, "classes" if self.kind == "segmentation" else "depth")
        return LabelledVideo(file.stem, video, video.times, part, np.arange(len(video)))

    def settings(self) -> dict[str, Any]:
        """Return path and kind of labels."""
        return {"reader": "saved_scenes", "kind": self.kind, "path": str(self.path)}


class _Labels(NamedTuple):
    classes: NDArray[np.uint8]
    depth: NDArray[np.float32]


def _read(path: Path, count: int) -> _Labels:
    """Return the labels of a clip of so many frames."""
    if path.exists() and not is_npz(path):
        raise ValueError(f"{path} is no npz file with the labels of a clip; save the scenes again")
    columns = open_columns(path)
    missing = [name for name in _Labels._fields if len(columns.shape(name) or ()) != 3]
    if missing:
        raise ValueError(f"{path}: expected arrays (T, height, width) {list(_Labels._fields)}; {missing} are none")
    found = _Labels(*(columns.read(name, slice(None), path) for name in _Labels._fields))
    if any(len(labels) != count for labels in found):
        raise ValueError(f"{path}: expected labels of {count} frames, as the film has, got {len(found.classes)}")
    return found
