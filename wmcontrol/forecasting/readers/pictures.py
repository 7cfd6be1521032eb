"""Pictures and labels in files, read when they are asked for and resized on the way.

Names that stand in files never lead outside of their folder.
"""

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...checks import check_whole
from ...data.formats.reading import import_library
from ...data.frames import MAX_FRAME, Pixels, ReadFrames, decoded
from ...untrusted import check_claim
from ..protocols import ForecastProtocol
from ..tiles import Size


@dataclass(frozen=True, eq=False)
class ReadLabels:
    """Labels of frames, each read when it is indexed: (height, width).

    Args:
        read: from the number of a frame to its labels; it goes through pickle.
    """

    read: Callable[[int], NDArray[Any]]

    def __getitem__(self, frame: int) -> NDArray[Any]:
        """Return the labels of one frame."""
        return self.read(int(frame))


def picture_frames(
    files: Sequence[Path], where: object, prepare: Callable[[NDArray[Any]], NDArray[Any]] | None = None
) -> ReadFrames:
    """Return pictures in files as the frames of a video, each changed by ``prepare`` when it is read."""
    return ReadFrames(len(files), where, partial(_read_all, tuple(files), where, prepare))


def read_picture(path: Path) -> Pixels:
    """Return a picture of a JPEG, PNG or WebP file, (height, width, 3).

    Raises:
        OSError: it is missing or damaged; it is named.
    """
    content = path.read_bytes()
    try:
        return decoded(content)
    except OSError as error:
        raise OSError(f"{path}: {error}") from error


@contextmanager
def _whole(path: Path) -> Iterator[None]:
    """Name the file in what PIL raises, which has errors of many kinds."""
    try:
        yield
    except Exception as error:
        raise OSError(f"{path}: it is damaged, or no PNG file: {error}") from error


def read_labels(path: Path) -> NDArray[Any]:
    """Return the numbers in a PNG file that has one for each pixel, grey or of a palette, (height, width).

    Raises:
        OSError: it is missing or damaged; it is named.
        ValueError: it has colours, or many more pixels than its size can honestly hold.
    """
    image_module = import_library("PIL.Image")
    content = path.read_bytes()
    with _whole(path):
        image = image_module.open(io.BytesIO(content), formats=("PNG",))  # reads the header alone
    width, height = image.size
    check_claim(f"{path}: its {height} by {width} pixels", 4 * height * width, len(content), free=MAX_FRAME)
    with _whole(path), image:
        mode, values = image.mode, np.array(image)
    if mode not in ("L", "P", "I", "I;16"):
        raise ValueError(f"{path}: expected one number for each pixel, grey or of a palette, got a picture of {mode}")
    return values


def read_classes(path: Path, table: NDArray[np.uint8], short_side: int | None) -> NDArray[np.uint8]:
    """Return the classes (height, width) of a file of numbers, each looked up in a table of 256, and resized."""
    numbers = read_labels(path)
    if numbers.size and not 0 <= numbers.min() <= numbers.max() <= 255:
        raise ValueError(f"{path}: expected numbers up to 255, got {numbers.min()} to {numbers.max()}")
    return scaled(table[numbers], short_side, labels=True)


def scaled(picture: NDArray[Any], short_side: int | None, *, labels: bool = False) -> NDArray[Any]:
    """Resize a picture so that its shorter side has a length; labels are not mixed, each pixel takes the nearest."""
    size = scaled_size((picture.shape[0], picture.shape[1]), short_side)
    if size == picture.shape[:2]:
        return picture
    import cv2  # resizing alone needs it

    shrinks = size[0] < picture.shape[0]
    how = cv2.INTER_NEAREST if labels else cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    found: NDArray[Any] = cv2.resize(np.ascontiguousarray(picture), size[::-1], interpolation=how)
    return found


def scaled_size(size: Size, short_side: int | None) -> Size:
    """Return a size whose shorter side has a length; as it is where none is asked for."""
    if short_side is None:
        return size
    scale = short_side / min(size)
    return round(size[0] * scale), round(size[1] * scale)


def tiled(short_side: int | None) -> tuple[Size, ForecastProtocol]:
    """Return the paper's crops and protocol for segmentation: tiles of 448 pixels, 300 apart, as large for any side."""
    side = 448 if short_side is None else short_side
    return (side, side), ForecastProtocol(tile=(side, side), tile_stride=max(1, round(side * 300 / 448)))


def check_side(short_side: int | None) -> None:
    """Raise a ValueError unless a side is None or a whole number of pixels."""
    if short_side is not None:
        check_whole("short_side", short_side)


def inside(folder: Path, name: str, where: object) -> Path:
    """Return the path of a name that stands in a file, in a folder.

    Raises:
        ValueError: it leads outside; it names ``where``.
    """
    parts = PurePosixPath(name).parts
    if not parts or ".." in parts or PurePosixPath(name).is_absolute() or PureWindowsPath(name).drive or "\0" in name:
        raise ValueError(f"{where}: expected a path inside {folder}, got {name!r}")
    return folder / name


def subfolders(folder: Path, what: str) -> list[Path]:
    """Return the folders in a folder, in the order of their names; those that begin with a dot are the system's.

    Raises:
        FileNotFoundError: there is no such folder, or none in it; ``what`` says what it has.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is missing: {what}")
    found = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not found:
        raise FileNotFoundError(f"{folder}: there is no folder in it; {what}")
    return found


def checked_number(index: int, count: int, where: object) -> int:
    """Return an index that counts from 0, or an IndexError that names ``where``."""
    if not 0 <= index < count:
        raise IndexError(f"{where}: there are {count}, counted from 0; got number {index}")
    return index


def _read_all(
    files: tuple[Path, ...],
    where: object,
    prepare: Callable[[NDArray[Any]], NDArray[Any]] | None,
    numbers: NDArray[np.int64],
) -> NDArray[Any]:
    pictures = []
    for i in numbers:
        picture: NDArray[Any] = read_picture(files[i])
        try:
            pictures.append(picture if prepare is None else prepare(picture))
        except ValueError as error:
            raise ValueError(f"{files[i]}: {error}") from error
    if len({picture.shape for picture in pictures}) > 1:
        raise ValueError(f"{where}: its pictures differ in size: {sorted({each.shape for each in pictures})}")
    return np.stack(pictures) if pictures else np.zeros((0, 1, 1, 3), np.uint8)
