"""What the readers share: files opened once per process, checks of what is in them, and errors that name the place."""

import hashlib
import importlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..environment import Environment
from ..trajectory import Floats

T = TypeVar("T")
_WHOLE = 256 * 2**20  # bytes of files that are read whole, which takes less than a second
_BLOCK = 2**16  # bytes that are read of others, at their begin, in their middle, and at their end
_MOST_FRAMES = 10**8  # of an episode: 800 MB of times


class PerProcess(Generic[T]):
    """Something that each process opens for itself, when it first needs it: it is neither pickled nor shared.

    Args:
        opener: opens it; it must itself go through pickle, as a ``functools.partial`` does.
    """

    def __init__(self, opener: Callable[[], T]):
        self._opener = opener
        self._held: tuple[int, T] | None = None

    def get(self) -> T:
        """Return it, open in this process."""
        if self._held is None or self._held[0] != os.getpid():
            self._held = (os.getpid(), self._opener())
        return self._held[1]

    def __getstate__(self) -> Callable[[], T]:
        return self._opener

    def __setstate__(self, opener: Callable[[], T]) -> None:
        self._opener = opener
        self._held = None


def import_library(name: str) -> Any:
    """Import a library of the ``data`` extra, or say which command brings it."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        command = 'pip install "wmcontrol[data]"'
        raise ImportError(f"reading this layout needs {error.name}, which is not installed; run: {command}") from error


def check_files(layout: str, files: Iterable[Path]) -> None:
    """Raise a FileNotFoundError that names the first file that is missing in a layout."""
    for file in files:
        if not file.exists():
            raise FileNotFoundError(f"{file} is missing: {layout} has it; fetch the data again, or the file alone")


def checked_lengths(path: Path, lengths: Any) -> NDArray[np.int64]:
    """Return the lengths of episodes, (N,), of which there must be one, and none empty; ``path`` has them."""
    array = np.asarray(lengths)
    if not array.size:
        raise ValueError(f"{path}: there is not a single episode")
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise ValueError(f"{path}: expected one whole number per episode, got {array.dtype} of shape {array.shape}")
    if array.min() < 1:
        raise ValueError(
            f"{path}: episode_{array.argmin()} has {array.min()} frames; every episode must have one or more"
        )
    if array.max() > _MOST_FRAMES:  # a file of some bytes can claim any number, and times are made for all of them
        raise ValueError(
            f"{path}: episode_{array.argmax()} has {array.max()} frames, and {_MOST_FRAMES} can be read; split it"
        )
    return array.astype(np.int64)


def check_rate(given: object) -> None:
    """Raise a ValueError unless a control rate is None or a number above 0."""
    number = isinstance(given, int | float | np.number) and not isinstance(given, bool)
    if given is not None and not (number and 0 < given < np.inf):  # type: ignore[operator]
        raise ValueError(f"control_rate must be above 0 Hz, got {given!r}")


def checked_rate(given: float | None, environment: Environment | None, where: object) -> float:
    """Return actions per second, Hz, of data that do not tell: the environment's where it is known, else those given.

    Raises:
        ValueError: neither says it, or they disagree, or it is not a number above 0; it names ``where``.
    """
    check_rate(given)
    if environment is None and given is None:
        raise ValueError(
            f"{where} does not say how many actions there were per second; give control_rate=…, in Hz, or env_id=… "
            "where it is of one of our environments"
        )
    known = None if environment is None else environment.control_rate
    if environment is not None and given is not None and not np.isclose(given, environment.control_rate):
        raise ValueError(
            f"{where}: {environment.env_id} with {dict(environment.settings)} takes {known:g} actions per second, got "
            f"control_rate={given:g}; give the env_settings that it was made with, or leave one of the two out"
        )
    return float(given if known is None else known)  # type: ignore[arg-type]


def as_floats(values: Any, where: object) -> Floats:
    """Return (T, k) numbers as float64; ``where`` says in errors which they are."""
    array = np.asarray(values)
    if array.dtype.kind not in "fiu" or array.ndim != 2:
        raise ValueError(f"{where}: expected numbers of shape (T, k), got {array.dtype} of shape {array.shape}")
    return array.astype(np.float64)


def fingerprint(layout: str, files: Iterable[Path], settings: Mapping[str, Any]) -> str:
    """Return a digest of files, by name and content, and of the settings they are read with.

    Of files that have more than 256 MiB in all, it is not the whole content: it is their sizes, their times of change
    and three blocks of 64 KiB of each. What was changed elsewhere in them, and had its time set back, is not noticed.

    Names count from the folder that all files have in common, so a set that moves as a whole keeps its digest.

    Args:
        layout: the name of the reader.
        files: all that it reads.
        settings: what else decides what comes out, as JSON can write it.
    """
    paths = sorted(Path(file) for file in files)
    root = os.path.commonpath([path.parent for path in paths]) if paths else ""
    stats = [path.stat() for path in paths]
    whole = sum(stat.st_size for stat in stats) <= _WHOLE
    rows = [
        (path.relative_to(root).as_posix(), stat.st_size, 0 if whole else stat.st_mtime_ns, _digest(path, whole))
        for path, stat in zip(paths, stats, strict=True)
    ]
    return hashlib.sha256(json.dumps([layout, rows, dict(settings)], sort_keys=True).encode()).hexdigest()


def _digest(path: Path, whole: bool) -> str:
    """Return a digest of a file, or of three blocks of it."""
    with path.open("rb") as file:
        if whole:
            return hashlib.file_digest(file, "sha256").hexdigest()
        size, found = path.stat().st_size, hashlib.sha256()
        for start in (0, (size - _BLOCK) // 2, size - _BLOCK):
            file.seek(max(0, start))
            found.update(file.read(_BLOCK))
        return found.hexdigest()
