"""Frames that are read when they are asked for: from memory, by a reader, in another size."""

import io
import operator
import re
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, overload

import numpy as np
from numpy.typing import NDArray

from ..untrusted import check_claim

Pixels = NDArray[np.uint8]
MAX_FRAME = 3 * 2**24  # bytes that a frame may take, of however few it is made
ImageSize = int | tuple[int, int]  # the side of a square, or height and width; pixels
_MAX_SIDE = 2**14  # pixels; OpenCV draws no larger pictures


class Frames(Protocol):
    """Frames that are read, decoded or drawn only when they are asked for.

    They are indexed as an array (T, height, width, 3) is: ``frames[3]``, ``frames[-1]``, ``frames[2:5]``,
    ``frames[[0, 7]]``. ``np.asarray(frames)`` reads them all.
    """

    @abstractmethod
    def __len__(self) -> int:
        """How many there are."""

    @abstractmethod
    def read(self, indices: Sequence[int] | NDArray[np.integer[Any]]) -> Pixels:
        """Return the frames with these indices, in this order, (len(indices), height, width, 3) uint8."""

    def __getitem__(self, index: Any) -> Pixels:
        """Read one frame, (height, width, 3), or several by a slice or their numbers, (n, height, width, 3).

        Raises:
            IndexError: no such frame.
            TypeError: it is neither a whole number, a slice nor several numbers.
        """
        found = indexed(index, len(self))
        return self.read([found])[0] if isinstance(found, int) else self.read(found)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Read all frames, (T, height, width, 3)."""
        if copy is False:
            raise ValueError("frames are read, which makes an array; they cannot be had without a copy")
        return np.asarray(self.read(np.arange(len(self))), dtype)


@dataclass(frozen=True, eq=False)
class ArrayFrames(Frames):
    """Frames that are in memory, or in an array that reads what is indexed: (T, height, width, 3) uint8."""

    array: Any = field(repr=False)

    def __len__(self) -> int:
        return len(self.array)

    def read(self, indices: Sequence[int] | NDArray[np.integer[Any]]) -> Pixels:
        """Return the frames with these indices, (len(indices), height, width, 3)."""
        return np.asarray(self.array[checked_indices(indices, len(self.array))])


@dataclass(frozen=True, eq=False)
class ReadFrames(Frames):
    """The frames of one trajectory, which a function of its reader reads.

    Args:
        length: how many there are.
        where: what errors name.
        pick: from numbers of frames (n,), sorted or not, to the frames (n, height, width, 3); it goes through pickle.
    """

    length: int
    where: object
    pick: Callable[[NDArray[np.int64]], Any]

    def __len__(self) -> int:
        return self.length

    def read(self, indices: Sequence[int] | NDArray[np.integer[Any]]) -> Pixels:
        """Return the frames with these indices, (len(indices), height, width, 3)."""
        return as_pixels(self.pick(checked_indices(indices, self.length, self.where)), self.where)


@dataclass(frozen=True, eq=False)
class ResizedFrames(Frames):
    """Frames that are shrunk (or enlarged) so that they just cover a size; what stands over is cut, alike on each side.

    Shrinking averages over areas, enlarging is bilinear. Square frames in a square size lose nothing at their edges.
    """

    frames: Frames
    size: tuple[int, int]  # height and width, pixels

    def __len__(self) -> int:
        return len(self.frames)

    def read(self, indices: Sequence[int] | NDArray[np.integer]) -> Pixels:
        """Return the frames with these indices, (len(indices), *size, 3)."""
        frames = self.frames.read(indices)
        if frames.shape[1:3] == self.size:
            return frames
        import cv2  # drawing and resizing alone need it

        (height, width), (rows, columns) = frames.shape[1:3], self.size
        scale = max(rows / height, columns / width)
        tall, wide = max(rows, round(height * scale)), max(columns, round(width * scale))
        top, left = (tall - rows) // 2, (wide - columns) // 2
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        found = np.empty((len(frames), rows, columns, 3), np.uint8)
        for place, frame in zip(found, frames, strict=True):
            whole = cv2.resize(np.ascontiguousarray(frame), (wide, tall), interpolation=how)
            place[:] = whole[top : top + rows, left : left + columns]
        return found


def height_and_width(image_size: ImageSize) -> tuple[int, int]:
    """Return a size as height and width.

    Raises:
        ValueError: it is neither a whole number from 1 to 16,384 nor two of them.
    """
    size = (image_size, image_size) if isinstance(image_size, int | np.integer) else image_size
    if (
        not isinstance(size, Sequence)
        or len(size) != 2
        or not all(
            isinstance(side, int | np.integer) and not isinstance(side, bool) and 1 <= side <= _MAX_SIDE
            for side in size
        )
    ):
        raise ValueError(
            f"image_size must be a side, or a height and a width, each from 1 to {_MAX_SIDE}; got {image_size!r}"
        )
    return int(size[0]), int(size[1])


def checked_size(image_size: ImageSize | None) -> tuple[int, int] | None:
    """Return a size as height and width, or None where none is asked for."""
    return None if image_size is None else height_and_width(image_size)


def side_of(image_size: ImageSize | None) -> int:
    """Return the side of frames that are drawn, 64 unless it is given.

    Raises:
        ValueError: as :func:`height_and_width`, or they differ.
    """
    height, width = height_and_width(64 if image_size is None else image_size)
    if height != width:
        raise ValueError(f"image_size: frames that are drawn are square, so give one side; got {image_size!r}")
    return height


@overload
def resized(frames: Frames, image_size: ImageSize | None) -> Frames: ...
@overload
def resized(frames: Frames | None, image_size: ImageSize | None) -> Frames | None: ...
def resized(frames: Frames | None, image_size: ImageSize | None) -> Frames | None:
    """Return frames in a size; as they are where no size is asked for."""
    if frames is None or image_size is None:
        return frames
    return ResizedFrames(frames, height_and_width(image_size))


def pick_camera(images: Iterable[str], camera: str | None, where: object) -> str | None:
    """Return which images are the frames, None where there are none.

    Args:
        images: the names of all.
        camera: which are meant: a name, or its last part, with or without ``_image`` or ``_rgb``; None where there is
            one.
        where: what errors name.

    Raises:
        ValueError: there are none of this name, or none is named and there are several.
    """
    names = sorted(images)
    if camera is None and len(names) > 1:
        raise ValueError(f"{where} has images of {len(names)} cameras; give camera=, one of {names}")
    if camera is None:
        return names[0] if names else None
    fitting = [name for name in names if name == camera] or [name for name in names if camera in _spellings(name)]
    if len(fitting) != 1:
        raise ValueError(f"{where} has no images {camera!r}; camera= must be one of {names}")
    return fitting[0]


def _spellings(name: str) -> set[str]:
    last = re.split("[./]", name)[-1]
    return {last, last.removesuffix("_image"), last.removesuffix("_rgb")}


def indexed(index: Any, count: int) -> int | NDArray[np.int64]:
    """Return what an index of a sequence of ``count`` means: a number from 0 up, or several (n,).

    Args:
        index: a whole number, a slice, or whole numbers or a mask of booleans (count,). Numbers below 0 count from the
            end.
        count: how many there are.

    Raises:
        IndexError: there is no such item.
        TypeError: it is none of these.
    """
    numbers = np.arange(count)
    if isinstance(index, slice):
        return numbers[index]
    several = np.asarray(index)
    if several.ndim == 1:
        if several.size and several.dtype.kind not in "iub":
            raise TypeError(f"items are chosen by whole numbers, got {several.dtype}")
        chosen: NDArray[np.int64] = numbers[several] if several.size else numbers[:0]
        return chosen
    number: int = operator.index(index)
    if not -count <= number < count:
        raise IndexError(f"there are {count}, counted from 0; got number {number}")
    return number % count


def checked_indices(
    indices: Sequence[int] | NDArray[np.integer[Any]], count: int, where: object = ""
) -> NDArray[np.int64]:
    """Return the numbers of frames as an array; ``where`` is what errors name.

    Raises:
        TypeError: they are not whole numbers.
        IndexError: there is no such frame; none is counted from the end.
    """
    asked, named = np.asarray(indices).reshape(-1), where and f"{where}: "
    if asked.size and asked.dtype.kind not in "iu":
        raise TypeError(f"{named}frames are read by whole numbers, got {asked.dtype}")
    if asked.size and (asked.min() < 0 or asked.max() >= count):
        raise IndexError(f"{named}there are {count} frames, got numbers from {asked.min()} to {asked.max()}")
    return asked.astype(np.int64)


def decoded(content: Any) -> Pixels:
    """Return the picture in the bytes of a JPEG, PNG or WebP file, (height, width, 3).

    Raises:
        OSError: it is damaged, another file, or too large.
    """
    from PIL import Image  # of the data extra

    try:
        # Of the other formats that PIL knows, some run programs.
        stored = bytes(content)
        with Image.open(io.BytesIO(stored), formats=("JPEG", "PNG", "WEBP")) as image:
            width, height = image.size
            check_claim(f"its {height} by {width} pixels", 3 * height * width, len(stored), free=MAX_FRAME)
            return np.asarray(image.convert("RGB"))
    except Exception as error:  # PIL has errors of many kinds, for files that are too large among them
        raise OSError(f"a picture is damaged, or no JPEG, PNG or WebP file: {error}") from error


def as_pixels(values: Any, where: object) -> Pixels:
    """Return (n, height, width, 3) whole numbers from 0 to 255 as uint8; anything else is refused, not rounded."""
    array = np.asarray(values)
    if array.ndim != 4 or array.shape[-1] != 3 or array.dtype.kind not in "fiu":
        raise ValueError(
            f"{where}: expected frames (n, height, width, 3) of numbers, got {array.dtype} of shape {array.shape}"
        )
    if array.dtype == np.uint8:
        return array
    if array.size and not (array.min() >= 0 and array.max() <= 255 and (array == np.round(array)).all()):
        raise ValueError(
            f"{where}: pixels must be whole numbers from 0 to 255, got {array.dtype} from {array.min()} to "
            f"{array.max()}; convert the frames to uint8"
        )
    return array.astype(np.uint8)
