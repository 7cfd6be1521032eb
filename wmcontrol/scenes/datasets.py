"""Clips and pairs by number, each made when it is asked for, of its number and the seed alone."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np

from ..checks import check_number, check_whole
from .drawing import draw
from .events import LEAST_SECONDS, event_of
from .free import free_scene
from .mujoco_scenes import CLASSES_3D, Scene3D, draw_3d, scene_3d
from .records import CATEGORIES, CLASSES, Clip, Pair
from .scene import Scene

_CLIPS, _PAIRS, _SOLID_CLIPS = 0, 1, 2  # which of the streams of random numbers of a seed
_MAX_RATE = 240.0  # frames per second, as many as steps of the physics
Item = TypeVar("Item")


class _Numbered(ABC, Generic[Item]):
    """Things by number, each drawn when it is asked for, of its number and the seed alone."""

    _counted: ClassVar[str]  # what a setting calls their number
    _least_side: ClassVar[int] = 8  # of frames, pixels
    class_names: ClassVar[tuple[str, ...]] = CLASSES

    def __init__(self, seed: int, count: int, image_size: int | tuple[int, int], num_frames: int, frame_rate: float):
        check_whole("seed", seed, 0)
        check_whole(self._counted, count)
        sides = (image_size, image_size) if isinstance(image_size, int | np.integer) else tuple(image_size)
        if len(sides) != 2:
            raise ValueError(f"image_size must be a side, or a height and a width, got {image_size!r}")
        for side in sides:
            check_whole("image_size", side, self._least_side)
        check_whole("num_frames", num_frames, 2)
        check_number("frame_rate", frame_rate, f"(0, {_MAX_RATE}]")
        self.seed, self._count = seed, count
        self.size = (int(sides[0]), int(sides[1]))
        self.num_frames, self.frame_rate = int(num_frames), float(frame_rate)

    def __len__(self) -> int:
        return self._count

    @abstractmethod
    def __getitem__(self, index: int) -> Item:
        """Return one; numbers below 0 count from the end."""

    def __iter__(self) -> Iterator[Item]:
        """Go through all of them."""
        return (self[i] for i in range(len(self)))

    def settings(self) -> dict[str, Any]:
        """Return what decides which these are, as JSON can write it."""
        names = ("seed", "size", "num_frames", "frame_rate")
        return {self._counted: len(self), **{name: getattr(self, name) for name in names}}

    def _number(self, index: int) -> int:
        """Return a number from 0 up."""
        return int(range(len(self))[index])

    @property
    def _aspect(self) -> float:
        """Width of frames over height."""
        return self.size[1] / self.size[0]


class SceneDataset(_Numbered[Clip]):
    """Clips of flat bodies that fall, bounce, collide and hide.

    Clip ``i`` is made when it is asked for, of the seed and ``i`` alone.

    Args:
        seed: which clips.
        num_clips: how many.
        image_size: of frames, pixels: a side, or height and width.
        num_frames: of a clip.
        frame_rate: frames per second.
        event_share: of the clips, how many are parts of possible films of :class:`PairDataset`.

    Attributes:
        class_names: by their numbers in masks.

    Raises:
        ValueError: a number that makes no sense; it is named.
    """

    _counted = "num_clips"

    def __init__(
        self,
        seed: int = 0,
        num_clips: int = 10_000,
        *,
        image_size: int | tuple[int, int] = 64,
        num_frames: int = 32,
        frame_rate: float = 15.0,
        event_share: float = 0.25,
    ):
        super().__init__(seed, num_clips, image_size, num_frames, frame_rate)
        check_number("event_share", event_share, "[0, 1]")
        self.event_share = event_share

    def __getitem__(self, index: int) -> Clip:
        """Return one clip."""
        return draw(self.scene(index), self.size)

    def scene(self, index: int) -> Scene:
        """Return what a clip is drawn of: things, where they are and the camera."""
        rng = np.random.default_rng([self.seed, _CLIPS, self._number(index)])
        if rng.uniform() >= self.event_share:
            return free_scene(rng, self.num_frames, self.frame_rate, self._aspect)
        category, first = str(rng.choice(CATEGORIES)), rng.uniform() < 0.5
        length = max(self.num_frames, _event_frames(self.frame_rate))
        event = event_of(category, rng, length, self.frame_rate, self._aspect)
        film = event.first if first else event.second
        start = int(rng.integers(0, length - self.num_frames, endpoint=True))
        part = slice(start, start + self.num_frames)
        return film._replace(
            poses=film.poses[part],
            visible=film.visible[part],
            camera=film.camera[part],
            times=film.times[: self.num_frames],
        )

    def settings(self) -> dict[str, Any]:
        """Return what decides which clips these are, as JSON can write it."""
        return {**super().settings(), "event_share": self.event_share}


class SceneDataset3D(_Numbered[Clip]):
    """Clips of solid bodies that fall, bounce, collide and hide, moved and drawn by MuJoCo.

    Clip ``i`` is made when it is asked for, of the seed and ``i`` alone. Masks and depths are those of MuJoCo's
    renderer. Frames may differ in digits between graphics drivers, and motions between versions of MuJoCo.

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

    _counted = "num_clips"
    class_names = CLASSES_3D

    def __init__(
        self,
        seed: int = 0,
        num_clips: int = 1_000,
        *,
        image_size: int | tuple[int, int] = 64,
        num_frames: int = 32,
        frame_rate: float = 15.0,
    ):
        super().__init__(seed, num_clips, image_size, num_frames, frame_rate)

    def __getitem__(self, index: int) -> Clip:
        """Return one clip.

        Raises:
            OSError: MuJoCo cannot draw here.
        """
        return draw_3d(self.scene(index), self.size)

    def scene(self, index: int) -> Scene3D:
        """Return what a clip is drawn of: things, where they are and the camera."""
        rng = np.random.default_rng([self.seed, _SOLID_CLIPS, self._number(index)])
        return scene_3d(rng, self.num_frames, self.frame_rate, self._aspect)


class PairDataset(_Numbered[Pair]):
    """Pairs of films that begin alike, of which one goes on as it cannot, see :mod:`wmcontrol.scenes.events`.

    Pair ``i`` is made when it is asked for, of the seed and ``i`` alone. Categories take turns. Of ten pairs that
    follow each other, the second five are of the same five events as the first: their possible films are the others.
    Beginnings and ends of the ten impossible films are those of the possible ones, so what adds up over frames, such as
    how much they change, does not tell which are possible.

    Args:
        seed: which pairs.
        num_pairs: how many, best a multiple of ten.
        image_size: of frames, pixels: a side, or height and width; at least 32.
        num_frames: of a film.
        frame_rate: frames per second.

    Attributes:
        class_names: by their numbers in masks.

    Raises:
        ValueError: a number that makes no sense, or films of less than three seconds; it is named.
    """

    _counted = "num_pairs"
    _least_side = 32

    def __init__(
        self,
        seed: int = 0,
        num_pairs: int = 500,
        *,
        image_size: int | tuple[int, int] = 64,
        num_frames: int = 48,
        frame_rate: float = 15.0,
    ):
        super().__init__(seed, num_pairs, image_size, num_frames, frame_rate)
        least = _event_frames(self.frame_rate)
        if self.num_frames < least:
            raise ValueError(f"num_frames: events take {LEAST_SECONDS:g} s, {least} frames here, got {num_frames}")

    def __getitem__(self, index: int) -> Pair:
        """Return one pair."""
        number = self._number(index)
        event, swapped = number // 10, number // len(CATEGORIES) % 2 == 1
        category = self.category(number)
        rng = np.random.default_rng([self.seed, _PAIRS, event, number % len(CATEGORIES)])
        made = event_of(category, rng, self.num_frames, self.frame_rate, self._aspect)
        possible, impossible = (draw(scene, self.size) for scene in made.pair(swapped))
        differ = (possible.frames != impossible.frames).reshape(self.num_frames, -1).any(1)
        return Pair(possible, impossible, category, int(differ.argmax()))

    def category(self, index: int) -> str:
        """Return the category of a pair."""
        return CATEGORIES[self._number(index) % len(CATEGORIES)]


def _event_frames(frame_rate: float) -> int:
    """Return how many frames an event takes."""
    return int(np.ceil(LEAST_SECONDS * frame_rate))
