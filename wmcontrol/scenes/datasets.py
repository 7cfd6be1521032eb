"""Clips and pairs by number, each made when it is asked for, of its number and the seed alone."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

import numpy as np

from ..checks import check_number, check_whole
from .drawing import draw
from .events import LEAST_SECONDS, Film, Stage, event_of, joined, part_of
from .flat_stage import FlatStage
from .free import free_scene
from .free_3d import free_scene_3d
from .mujoco_scenes import draw_3d
from .records import CATEGORIES, CLASSES, Clip, Pair
from .scene import Scene
from .solid_stage import SolidStage
from .solids import CLASSES_3D, Scene3D

_MAX_RATE = 240.0  # frames per second, as many as steps of the physics
Item = TypeVar("Item")


class _World(NamedTuple, Generic[Film]):
    """How scenes of a kind are made and drawn."""

    free: Callable[[np.random.Generator, int, float, float], Film]
    stage: Callable[[np.random.Generator, int, float, float], Stage[Any, Film]]
    draw: Callable[[Film, tuple[int, int]], Clip]
    clips_stream: int  # of random numbers of a seed
    pairs_stream: int


_FLAT = _World(free_scene, FlatStage, draw, 0, 1)
_SOLID = _World(free_scene_3d, SolidStage, draw_3d, 2, 3)


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


class _Clips(_Numbered[Clip], Generic[Film]):
    """Clips of scenes of one kind."""

    _counted = "num_clips"
    _world: ClassVar[_World[Any]]

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
        """Return one clip.

        Raises:
            OSError: MuJoCo, which draws solid things, cannot do so here.
        """
        return self._world.draw(self.scene(index), self.size)

    def scene(self, index: int) -> Film:
        """Return what a clip is drawn of: things, where they are and the camera."""
        world, number = self._world, self._number(index)
        rng = np.random.default_rng([self.seed, world.clips_stream, number])
        film: Film
        if rng.uniform() >= self.event_share:
            film = world.free(rng, self.num_frames, self.frame_rate, self._aspect)
            return film
        category, first = str(rng.choice(CATEGORIES)), rng.uniform() < 0.5
        length = max(self.num_frames, _event_frames(self.frame_rate))
        event = event_of(category, world.stage(rng, length, self.frame_rate, self._aspect))
        start = int(rng.integers(0, length - self.num_frames, endpoint=True))
        film = part_of(event.first if first else event.second, slice(start, start + self.num_frames))
        return film._replace(times=np.arange(self.num_frames) / self.frame_rate)

    def settings(self) -> dict[str, Any]:
        """Return what decides which clips these are, as JSON can write it."""
        return {**super().settings(), "event_share": self.event_share}


class SceneDataset(_Clips[Scene]):
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

    _world = _FLAT


class SceneDataset3D(_Clips[Scene3D]):
    """Clips of solid bodies that fall, bounce, collide and hide, moved and drawn by MuJoCo.

    Clip ``i`` is made when it is asked for, of the seed and ``i`` alone. Masks and depths are those of MuJoCo's
    renderer. Frames may differ in digits between graphics drivers, and motions between versions of MuJoCo.

    Args:
        seed: which clips.
        num_clips: how many.
        image_size: of frames, pixels: a side, or height and width.
        num_frames: of a clip.
        frame_rate: frames per second.
        event_share: of the clips, how many are parts of possible films of :class:`PairDataset3D`.

    Attributes:
        class_names: by their numbers in masks.

    Raises:
        ValueError: a number that makes no sense; it is named.
    """

    class_names = CLASSES_3D
    _world = _SOLID


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
    _world: ClassVar[_World[Any]] = _FLAT

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
        """Return one pair.

        Raises:
            OSError: MuJoCo, which draws solid things, cannot do so here.
        """
        number, world = self._number(index), self._world
        category, swapped = self.category(number), number // len(CATEGORIES) % 2 == 1
        rng = np.random.default_rng([self.seed, world.pairs_stream, number // 10, number % len(CATEGORIES)])
        event = event_of(category, world.stage(rng, self.num_frames, self.frame_rate, self._aspect))
        begins, other = event.pair(swapped)
        # Frames before the switch are the same, and are drawn once.
        T, s = self.num_frames, event.switch
        drawn: tuple[Any, ...] = world.draw(joined(begins, part_of(other, slice(s, None))), self.size)
        possible = Clip(*(each[:T] for each in drawn))
        impossible = Clip(*(np.concatenate([each[:s], each[T:]]) for each in drawn))
        differ = (possible.frames != impossible.frames).reshape(T, -1).any(1)
        return Pair(possible, impossible, category, int(differ.argmax()))

    def category(self, index: int) -> str:
        """Return the category of a pair."""
        return CATEGORIES[self._number(index) % len(CATEGORIES)]


class PairDataset3D(PairDataset):
    """Pairs as those of :class:`PairDataset`, of solid bodies, which MuJoCo moves and draws.

    Frames may differ in digits between graphics drivers, and motions between versions of MuJoCo.
    """

    class_names = CLASSES_3D
    _world = _SOLID


def _event_frames(frame_rate: float) -> int:
    """Return how many frames an event takes."""
    return int(np.ceil(LEAST_SECONDS * frame_rate))
