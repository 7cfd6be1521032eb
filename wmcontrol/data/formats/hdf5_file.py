"""HDF5 files that are opened when they are first read, once in each process."""

import hashlib
import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_SIGNATURE = b"\x89HDF\r\n\x1a\n"


def import_h5py() -> Any:
    """Return the h5py module, or raise an ImportError with the command that installs it."""
    try:
        return importlib.import_module("h5py")
    except ImportError as error:
        command = 'pip install "wmcontrol[data]"'
        raise ImportError(f"HDF5 files need h5py, which is not installed; run: {command}") from error


def is_hdf5(path: Path) -> bool:
    """Say whether there is a file that begins as HDF5 files do; never raises."""
    try:
        with path.open("rb") as file:
            return file.read(len(_SIGNATURE)) == _SIGNATURE
    except OSError:
        return False


def identity(*paths: Path) -> str:
    """Return a digest that changes when one of these files is written again: of their sizes and times."""
    stats = [path.stat() for path in paths]
    return hashlib.sha256(repr([(s.st_size, s.st_mtime_ns) for s in stats]).encode()).hexdigest()


class Hdf5File:
    """An HDF5 file, open for reading while this lives; it travels to other processes closed.

    Raises:
        FileNotFoundError: it is not there.
        OSError: it cannot be read, or is not whole; it names the file.
    """

    def __init__(self, path: Path):
        self.path = path
        self._opened: tuple[int, Any] | None = None
        self.root()  # what cannot be opened is refused at once

    def root(self) -> Any:
        """Return the file's root group in this process."""
        if self._opened is None or self._opened[0] != os.getpid():
            if not self.path.exists():
                raise FileNotFoundError(f"there is no file {self.path}")
            try:
                self._opened = (os.getpid(), import_h5py().File(self.path, "r"))
            except OSError as error:
                raise OSError(f"{self.path} cannot be read as HDF5, is it whole? {error}") from error
        return self._opened[1]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": None}


@contextmanager
def reading(path: Path, record: str) -> Iterator[None]:
    """Name the file and the record in what goes wrong while HDF5 is read."""
    try:
        yield
    except (OSError, RuntimeError) as error:  # h5py raises both for what is broken on disk
        raise OSError(f"{path}, {record}: it cannot be read, is the file whole? {error}") from error
