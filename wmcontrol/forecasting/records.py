"""Videos of which some frames have labels, and pairs of films of which one cannot be."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .protocols import ForecastProtocol, SurpriseProtocol
from .tiles import Size

Kind = Literal["segmentation", "depth"]


class LabelledVideo(NamedTuple):
    """A video, and labels of some of its frames.

    Attributes:
        name: what errors and results call it.
        frames: (T, height, width, 3) uint8, RGB: an array, or what reads the frames that are indexed.
        times: (T,) seconds, rising.
        labels: as ``frames``, (T, height, width) of the same size: uint8 classes, 255 where nobody knows; or float32
            depths in metres, 0 where nobody knows.
            None of a video without labels.
        labelled: (L,) the numbers of the frames that have labels, rising; of a video without, of those to forecast.
    """

    name: str
    frames: Any
    times: NDArray[np.float64]
    labels: Any
    labelled: NDArray[np.int64]


class LabelledVideos(ABC):
    """Videos with labels of one kind; those of a reader read nothing before a frame is asked for.

    Attributes:
        kind: of the labels; None where there are none, and only tokens can be forecast.
        class_names: of the C classes, in the order of their numbers; none of depths.
        protocol: that forecasts of them are measured by.
        crop: height and width of the crops that heads are trained on, pixels; None: whole frames.
    """

    kind: Kind | None
    class_names: tuple[str, ...]
    protocol: ForecastProtocol = ForecastProtocol()
    crop: Size | None = None

    @abstractmethod
    def __len__(self) -> int:
        """How many there are."""

    @abstractmethod
    def __getitem__(self, index: int) -> LabelledVideo:
        """Return one of them.

        Raises:
            IndexError: there is none of this number.
        """

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Return what decides which videos these are, as JSON can write it."""

    def __iter__(self) -> Iterator[LabelledVideo]:
        """Go through all of them."""
        return (self[i] for i in range(len(self)))


class Film(NamedTuple):
    """A film.

    Attributes:
        name: what errors and results call it.
        frames: (T, height, width, 3) uint8, RGB: an array, or what reads the frames that are indexed.
        times: (T,) seconds, rising.
    """

    name: str
    frames: Any
    times: NDArray[np.float64]


class FilmPair(NamedTuple):
    """Two films that are alike but for what cannot happen in one of them.

    Attributes:
        category: what the other breaks, such as "permanence".
        possible: the film in which all is as it should be.
        impossible: the other one.
    """

    category: str
    possible: Film
    impossible: Film


class FilmPairs(ABC):
    """Pairs of films; those of a reader read nothing before a frame is asked for.

    Attributes:
        protocol: that surprise is measured by.
    """

    protocol: SurpriseProtocol = SurpriseProtocol()

    @abstractmethod
    def __len__(self) -> int:
        """How many there are."""

    @abstractmethod
    def __getitem__(self, index: int) -> FilmPair:
        """Return one of them.

        Raises:
            IndexError: there is none of this number.
        """

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Return what decides which pairs these are, as JSON can write it."""

    def __iter__(self) -> Iterator[FilmPair]:
        """Go through all of them."""
        return (self[i] for i in range(len(self)))
