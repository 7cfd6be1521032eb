"""Clips are a function of the seed and their number."""

import hashlib
import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from wmcontrol.scenes import CLASSES, Clip, SceneDataset


def digest(clip: Any) -> str:
    return hashlib.sha256(b"".join(array.tobytes() for array in clip)).hexdigest()


def test_a_clip_has_the_arrays_that_it_says() -> None:
    clip = SceneDataset(num_clips=2, image_size=(48, 64), num_frames=10, frame_rate=20.0)[1]
    assert isinstance(clip, Clip)
    assert (clip.frames.shape, clip.frames.dtype) == ((10, 48, 64, 3), np.uint8)
    for labels, dtype in ((clip.classes, np.uint8), (clip.instances, np.uint8), (clip.depth, np.float32)):
        assert (labels.shape, labels.dtype) == ((10, 48, 64), dtype)
    np.testing.assert_allclose(clip.times, np.arange(10) / 20)
    assert clip.times.dtype == np.float64
    assert clip.classes.max() < len(CLASSES)
    assert np.isfinite(clip.depth).all()
    assert (clip.depth > 0).all()


def test_clips_are_the_same_in_any_order_and_in_any_process() -> None:
    data = SceneDataset(seed=5, num_clips=1000, num_frames=8)
    there = {i: digest(data[i]) for i in (700, 3)}
    again = SceneDataset(seed=5, num_clips=701, num_frames=8)
    assert digest(again[-1]) == there[700]
    code = "import hashlib; from wmcontrol.scenes import SceneDataset; clip = SceneDataset(seed=5, num_frames=8)[3]; "
    code += "print(hashlib.sha256(b''.join(array.tobytes() for array in clip)).hexdigest())"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert other.stdout.strip() == there[3]


def test_another_seed_and_another_number_are_another_clip() -> None:
    clips = [SceneDataset(seed=seed, num_clips=9, num_frames=4)[i] for seed, i in ((0, 0), (0, 1), (1, 0))]
    assert len({digest(clip) for clip in clips}) == 3


def test_a_data_set_ends_and_knows_its_length() -> None:
    data = SceneDataset(num_clips=3, image_size=16, num_frames=2)
    assert len(data) == 3
    assert len([*data]) == 3
    with pytest.raises(IndexError):
        data[3]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", -1),
        ("num_clips", 0),
        ("image_size", 4),
        ("image_size", (64, 64, 3)),
        ("num_frames", 1),
        ("frame_rate", 0),
    ],
)
def test_numbers_that_make_no_sense_are_named(name: str, value: Any) -> None:
    with pytest.raises(
        ValueError, match=f"{name}.*{re.escape(str(value) if isinstance(value, tuple) else repr(value))}"
    ):
        SceneDataset(**{name: value})


def test_copying_the_last_frame_does_not_do() -> None:
    clips = [*SceneDataset(seed=0, num_clips=24, num_frames=16)]
    shares = {}
    for ahead in (3, 9):  # 0.2 and 0.6 seconds
        last, future = (np.stack([clip.classes[t] for clip in clips]) for t in (4, 4 + ahead))
        both = [np.sum((last == c) & (future == c)) / np.sum((last == c) | (future == c)) for c in range(len(CLASSES))]
        shares[ahead] = np.array(both)
    bodies = slice(CLASSES.index("disc"), None)
    assert shares[3].mean() < 0.7
    assert shares[9].mean() < 0.5
    assert shares[9][bodies].mean() < 0.25
