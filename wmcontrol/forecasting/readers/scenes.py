"""The scenes that come with the package, as videos with labels and as pairs of films."""

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from ...checks import check_choice
from ...scenes import PairDataset, PairDataset3D, SceneDataset
from ...scenes.records import SceneKind
from ..protocols import SurpriseProtocol
from ..records import Film, FilmPair, FilmPairs, Kind, LabelledVideo, LabelledVideos
from .pictures import checked_number

_FRAMES = 12  # of a film that are looked at


class SceneClips(LabelledVideos):
    """Clips of :class:`wmcontrol.scenes.SceneDataset` with the classes or the depths of all their pixels.

    Clips of another seed are other clips: train a head on one seed, and forecast those of another.

    Args:
        seed: which clips. For example 1.
        num_clips: how many. For example 200.
        kind: of the labels: segmentation or depth. For example depth.
        image_size: side of the frames, pixels. For example 64.
        num_frames: of a clip. For example 32.
        frame_rate: frames per second. For example 15.

    Raises:
        ValueError: a number that makes no sense; it is named.
    """

    def __init__(
        self,
        seed: int = 0,
        num_clips: int = 200,
        *,
        kind: Kind = "segmentation",
        image_size: int = 64,
        num_frames: int = 32,
        frame_rate: float = 15.0,
    ):
        check_choice("kind", kind, Kind)
        self.kind = kind
        self.dataset = SceneDataset(
            seed, num_clips, image_size=image_size, num_frames=num_frames, frame_rate=frame_rate
        )
        self.class_names = tuple(self.dataset.class_names) if kind == "segmentation" else ()

    def __len__(self) -> int:
        """How many clips there are."""
        return len(self.dataset)

    def __getitem__(self, index: int) -> LabelledVideo:
        """Return one clip, which is drawn when a frame or label of it is first asked for."""
        number = checked_number(index, len(self), "clips")
        drawn = Drawn(lambda: self.dataset[number])
        count = self.dataset.num_frames
        return LabelledVideo(
            f"clip {number}",
            Part(drawn, "frames"),
            np.arange(count) / self.dataset.frame_rate,
            Part(drawn, "classes" if self.kind == "segmentation" else "depth"),
            np.arange(count),
        )

    def settings(self) -> dict[str, Any]:
        """Return the settings of the clips and the kind of labels."""
        return {"reader": "scenes", "kind": self.kind, **self.dataset.settings()}


class ScenePairs(FilmPairs):
    """Pairs of :class:`wmcontrol.scenes.PairDataset`: events out of sight that end as they must, and as they cannot.

    What tells how an event must end is seen in the first third of a film, and the end in the last third. So a window is
    the whole film, a twelfth of it from frame to frame, and what is seen of it ends before the end can be.

    Args:
        seed: which pairs. For example 1.
        num_pairs: how many, best a multiple of ten. For example 500.
        kind: flat, or solid, of :class:`wmcontrol.scenes.PairDataset3D`, which MuJoCo draws. For example solid.
        image_size: side of the frames, pixels, at least 32. For example 64.
        num_frames: of a film. For example 48.
        frame_rate: frames per second. For example 15.

    Raises:
        ValueError: a number that makes no sense; it is named.
    """

    def __init__(
        self,
        seed: int = 0,
        num_pairs: int = 500,
        *,
        kind: SceneKind = "flat",
        image_size: int = 64,
        num_frames: int = 48,
        frame_rate: float = 15.0,
    ):
        check_choice("kind", kind, SceneKind)
        make = PairDataset if kind == "flat" else PairDataset3D
        self.kind = kind
        self.dataset = make(seed, num_pairs, image_size=image_size, num_frames=num_frames, frame_rate=frame_rate)
        step = self.dataset.num_frames // _FRAMES
        self.protocol = SurpriseProtocol(window=_FRAMES, frame_step=step, contexts=(5, 6, 7), stride=1)

    def __len__(self) -> int:
        """How many pairs there are."""
        return len(self.dataset)

    def __getitem__(self, index: int) -> FilmPair:
        """Return one pair, drawn.

        Raises:
            OSError: MuJoCo, which draws solid things, cannot do so here.
        """
        number = checked_number(index, len(self), "pairs")
        pair = self.dataset[number]
        one, other = (
            Film(f"pair {number}, {name}", clip.frames, clip.times)
            for name, clip in (("possible", pair.possible), ("impossible", pair.impossible))
        )
        return FilmPair(pair.category, one, other)

    def settings(self) -> dict[str, Any]:
        """Return the settings of the pairs."""
        return {"reader": "scenes", "kind": self.kind, **self.dataset.settings()}


class Drawn:
    """Something that is made when it is first asked for."""

    def __init__(self, make: Callable[[], Any]):
        self._make = make

    @cached_property
    def whole(self) -> Any:
        """It."""
        return self._make()


class Part:
    """An array of something that is made when it is first indexed."""

    def __init__(self, of: Drawn, name: str):
        self._of, self._name = of, name

    def __getitem__(self, index: Any) -> Any:
        """Return what the array has there."""
        return getattr(self._of.whole, self._name)[index]
