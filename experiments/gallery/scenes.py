"""Draw clips with masks and depths, and pairs of possible and impossible films; say what copying a frame is worth."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from wmcontrol.forecasting import class_iou, confusion_matrix, mean_iou
from wmcontrol.scenes import CATEGORIES, CLASSES, TEST_SEED, PairDataset, PairDataset3D, SceneDataset, SceneDataset3D

from .sheets import Captioned, Picture, save_sheet

Table = NDArray[np.float64]
# Of each class, in pictures of masks.
COLORS = np.array(
    [
        (95, 95, 105),
        (150, 140, 110),
        (50, 35, 30),
        (225, 225, 225),
        (225, 70, 70),
        (70, 180, 80),
        (70, 110, 230),
        (235, 195, 60),
    ],
    np.uint8,
)
AHEAD = (3, 9)  # frames: 0.2 and 0.6 seconds


def save_clips(path: Path, data: SceneDataset | SceneDataset3D, numbers: Sequence[int], columns: int = 8) -> None:
    """Save a sheet of clips, each with masks and depths under its frames."""
    rows: dict[str, list[Captioned]] = {}
    for number in numbers:
        clip = data[number]
        steps = np.linspace(0, len(clip.times) - 1, columns).round().astype(int)
        nearness = (255 * (25 - clip.depth[steps].clip(6, 25)) / 19).astype(np.uint8)
        depths: list[Picture] = [
            np.asarray(cv2.applyColorMap(each, cv2.COLORMAP_VIRIDIS)[..., ::-1]) for each in nearness
        ]
        rows[f"clip {number}"] = [(f"{clip.times[t]:.1f} s", clip.frames[t]) for t in steps]
        rows[f"classes {number}"] = [("", COLORS[clip.classes[t]]) for t in steps]
        rows[f"depth {number}"] = [("", picture) for picture in depths]
    save_sheet(path, rows, 96)


def save_pairs(path: Path, data: PairDataset, numbers: Sequence[int], columns: int = 9) -> None:
    """Save a sheet of pairs, the possible film above the impossible one."""
    rows: dict[str, list[Captioned]] = {}
    for number in numbers:
        pair = data[number]
        steps = np.linspace(0, len(pair.possible.times) - 1, columns).round().astype(int)
        for name, clip in (("possible", pair.possible), ("impossible", pair.impossible)):
            rows[f"{pair.category}\n{name} {number}"] = [(f"{clip.times[t]:.1f} s", clip.frames[t]) for t in steps]
    save_sheet(path, rows, 96)


def copying(data: SceneDataset | SceneDataset3D) -> Table:
    """Return what a frame is worth when it is taken for the one 3 and 9 frames later.

    Returns:
        IoU of each class, their mean, and the root of the mean squared error of depth, metres: (2, classes + 2).
    """
    counts, errors = np.zeros((len(AHEAD), len(CLASSES), len(CLASSES))), np.zeros(len(AHEAD))
    for clip in data:
        classes, depth = torch.from_numpy(clip.classes), clip.depth.astype(np.float64)
        for row, ahead in enumerate(AHEAD):
            counts[row] += confusion_matrix(classes[:-ahead], classes[ahead:], len(CLASSES))
            errors[row] += np.square(depth[:-ahead] - depth[ahead:]).mean() / len(data)
    return np.column_stack([class_iou(counts), mean_iou(counts), np.sqrt(errors)])


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/pictures"), help="the folder (default: %(default)s)")
    parser.add_argument("--clips", type=int, default=200, help="to measure copying on (default: %(default)s)")
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    save_clips(args.out / "scenes.png", SceneDataset(TEST_SEED, 100, image_size=96, event_share=0.0), (0, 1, 2))
    save_clips(args.out / "scenes_3d.png", SceneDataset3D(TEST_SEED, 100, image_size=96, event_share=0.0), (0, 3))
    for name, pairs in (("scenes_pairs", PairDataset), ("scenes_pairs_3d", PairDataset3D)):
        save_pairs(args.out / f"{name}.png", pairs(TEST_SEED, 500, image_size=96), range(len(CATEGORIES)))
    every = args.clips
    for data in (
        SceneDataset(TEST_SEED, every),
        SceneDataset(TEST_SEED, every, event_share=0.0),
        SceneDataset3D(TEST_SEED, max(1, every // 8)),
    ):
        print(f"{type(data).__name__}, {data.settings()}: {', '.join(data.class_names)}, mean; depth")
        for ahead, (*shares, error) in zip(AHEAD, copying(data).tolist(), strict=True):
            print(f"{ahead / 15:.1f} s: {', '.join(f'{100 * share:.1f}' for share in shares)}; {error:.2f} m")


if __name__ == "__main__":
    main()
