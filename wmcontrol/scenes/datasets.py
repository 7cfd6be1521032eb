"""Clips and pairs by number, each made when it is asked for, of its number and the seed alone."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..checks import check_number, check_whole
from .drawing import draw
from .free import free_scene
from .records import CLASSES, Clip
from .scene import Scene

_CLIPS, _PAIRS = 0, 1  # which of the streams of random numbers of a seed
_MAX_RATE = 240.0  # frames per second, as many as steps of the physics


class SceneDataset:
    """Clips of bodies that move, in two dimensions.

    Clip ``i`` is made when it is asked for, of the seed and ``i`` alone.

    Args:
        seed: which clips.
        num_clips: how many.
        image_size: of frames, pixels: a side, or height and width.
        num_frames: of a clip.
        frame_rate: frames per second.

    Attributes:
        class_names: by their numbers in masks.

    Raises:
        ValueError: a number that makes no sense; it is named.
    """

    class_names = CLASSES

    def __init__(
        self,
        seed: int = 0,
        num_clips: int = 10_000,
        *,
        image_size: int | tuple[int, int] = 64,
        num_frames: int = 32,
        frame_rate: float = 15.0,
    ):
        check_whole("seed", seed, 0)
        check_whole("num_clips", num_clips)
        self.seed, self.num_clips = seed, num_clips
        self.size, self.num_frames, self.frame_rate = _checked(image_size, num_frames, frame_rate)

    def __len__(self) -> int:
        return self.num_clips

    def __getitem__(self, index: int) -> Clip:
        """Return one clip."""
        return draw(self.scene(index), self.size)

    def __iter__(self) -> Iterator[Clip]:
        """Go through all of them."""
        return (self[i] for i in range(len(self)))

    def scene(self, index: int) -> Scene:
        """Return what a clip is drawn of: things, where they are and the camera."""
        rng = np.random.default_rng([self.seed, _CLIPS, _number(index, len(self))])
        return free_scene(rng, self.num_frames, self.frame_rate, self.size[1] / self.size[0])

    def settings(self) -> dict[str, Any]:
        """Return what decides which clips these are, as JSON can write it."""
        names = ("seed", "num_clips", "size", "num_frames", "frame_rate")
        return {name: getattr(self, name) for name in names}


def _checked(
    image_size: int | tuple[int, int], num_frames: int, frame_rate: float
) -> tuple[tuple[int, int], int, float]:
    sides = (image_size, image_size) if isinstance(image_size, int | np.integer) else tuple(image_size)
    if len(sides) != 2:
        raise ValueError(f"image_size must be a side, or a height and a width, got {image_size!r}")
    for side in sides:
        check_whole("image_size", side, 8)
    check_whole("num_frames", num_frames, 2)
    check_number("frame_rate", frame_rate, f"(0, {_MAX_RATE}]")
    return (int(sides[0]), int(sides[1])), int(num_frames), float(frame_rate)


def _number(index: int, count: int) -> int:
    """Return a number from 0 up; those below 0 count from the end."""
    number = range(count)[index]
    return int(number)
