"""Frames in another size than they were kept in."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
from numpy.typing import NDArray

from .trajectory import Frames, Pixels

ImageSize = int | tuple[int, int]  # the side of a square, or height and width; pixels
_MAX_SIDE = 2**14  # pixels; OpenCV draws no larger pictures


@dataclass(frozen=True, eq=False)
class ResizedFrames:
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
