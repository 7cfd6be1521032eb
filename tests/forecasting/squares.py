"""Videos of a square that moves, with its mask and its depth."""

from typing import Any

import numpy as np

from wmcontrol.forecasting import LabelledVideo, LabelledVideos

SIDE, FRAMES = 16, 12


class Squares(LabelledVideos):
    """A bright square of 4 pixels on grey, that moves by a pixel in every frame, 10 a second.

    Each video begins 100 s after another.
    """

    def __init__(self, kind: Any, count: int = 4, labelled: Any = range(FRAMES)):
        self.kind, self.count, self.labelled = kind, count, np.array([*labelled], np.int64)
        self.class_names = ("ground", "square") if kind == "segmentation" else ()

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> LabelledVideo:
        if not 0 <= index < self.count:
            raise IndexError(index)
        rng = np.random.default_rng(index)
        masks = np.zeros((FRAMES, SIDE, SIDE), bool)
        top = int(rng.integers(SIDE - 4))
        for t, mask in enumerate(masks):
            mask[top : top + 4, t : t + 4] = True
        frames = np.where(masks[..., None], (230, 200, 60), 40).astype(np.uint8)
        labels = masks.astype(np.uint8) if self.kind == "segmentation" else np.where(masks, 2, 6).astype(np.float32)
        return LabelledVideo(f"video {index}", frames, 100 * index + np.arange(FRAMES) / 10, labels, self.labelled)

    def settings(self) -> dict[str, Any]:
        return {"count": self.count, "kind": self.kind, "labelled": self.labelled.tolist()}
