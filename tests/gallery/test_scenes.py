"""The pictures of the scenes are drawn, and copying is measured as it is defined."""

from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

from experiments.gallery.scenes import copying, save_clips, save_pairs
from wmcontrol.scenes import CLASSES, PairDataset, SceneDataset


def test_pictures_are_small_and_not_blank(tmp_path: Path) -> None:
    save_clips(tmp_path / "clips.png", SceneDataset(num_clips=2, num_frames=3), (1,), columns=3)
    save_pairs(tmp_path / "pairs.png", PairDataset(num_pairs=2, image_size=32), (0,), columns=3)
    for name in ("clips.png", "pairs.png"):
        picture = iio.imread(tmp_path / name)
        assert len(np.unique(picture[..., :3].reshape(-1, 3), axis=0)) > 100


def test_copying_is_measured_over_all_frames() -> None:
    clips = SceneDataset(num_clips=3, num_frames=12, image_size=32)
    table = copying(clips)
    assert table.shape == (2, len(CLASSES) + 2)
    now, later = (np.concatenate([clip.classes[part] for clip in clips]) for part in (slice(None, -9), slice(9, None)))
    wall = np.sum((now == 0) & (later == 0)) / np.sum((now == 0) | (later == 0))
    assert table[1, 0] == pytest.approx(wall)
    errors = [np.square(clip.depth[3:].astype(float) - clip.depth[:-3]).mean() for clip in clips]
    assert table[0, -1] == pytest.approx(np.sqrt(np.mean(errors)))
