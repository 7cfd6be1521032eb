"""HDF5 files, of which what is in them is looked at before it is opened.

Nothing is read that lies in another file, and no array that claims more than what is stored of it can be.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ...untrusted import check_claim
from ..frames import MAX_FRAME
from .reading import import_library

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_MAX_WHOLE = 2**24  # bytes that an array which is read whole may claim, however few of them are stored
_MAX_DEPTH = 32  # groups inside one another; a file can have a group in itself


def is_hdf5(path: Path) -> bool:
    """Say whether there is a file that begins as HDF5 files do; never raises."""
    try:
        with path.open("rb") as file:
            return file.read(len(_SIGNATURE)) == _SIGNATURE
    except OSError:
        return False


class _Attributes(Mapping[str, Any]):
    """What is noted beside a group, each read when it is asked for."""

    def __init__(self, attributes: Any, path: Path, where: str):
        self._attributes, self._path, self._where = attributes, path, where

    def __getitem__(self, name: str) -> Any:
        with reading(self._path, f"attribute {name} of {self._where}"):
            if name not in self._attributes:
                raise KeyError(name)
            try:
                return self._attributes[name]
            except (KeyError, TypeError, ValueError) as error:  # what h5py makes of types that there are not
                raise OSError(str(error)) from error

    def __iter__(self) -> Iterator[str]:
        return iter(_names(self._attributes, self._path, f"attributes of {self._where}"))

    def __len__(self) -> int:
        return len(self._attributes)


class Hdf5Group(Mapping[str, Any]):
    """A group of a file; each of its members, a group or h5py's data set, is looked at when it is asked for.

    Names may be of several, as ``"a/b"``. What lies in another file, or claims to be more than what is stored, is a
    ValueError that names it, also when it is only asked whether it is there; what cannot be read is an OSError.

    Args:
        group: h5py's.
        path: of the file.
        name: of the group in it.
    """

    def __init__(self, group: Any, path: Path, name: str = ""):
        self._group, self._path, self._name = group, path, name
        self._checked: dict[str, Any] = {}  # data sets: to count what is stored of one, HDF5 looks at all its chunks

    @property
    def attrs(self) -> Mapping[str, Any]:
        """Return the attributes; what is wrong with one is told when it is read."""
        return _Attributes(self._group.attrs, self._path, self._name or "the file")

    def __iter__(self) -> Iterator[str]:
        return iter(_names(self._group, self._path, self._name or "all names"))

    def __len__(self) -> int:
        return len(self._group)

    def __getitem__(self, name: str) -> Any:
        first, _, rest = name.strip("/").partition("/")
        if first not in self._checked:
            member = self._open(first)
            if isinstance(member, Hdf5Group):
                return member[rest] if rest else member
            self._checked[first] = member
        if rest:
            raise KeyError(name)
        return self._checked[first]

    def _open(self, name: str) -> Any:
        h5py, whole = import_library("h5py"), f"{self._name}/{name}".strip("/")
        if whole.count("/") >= _MAX_DEPTH:
            raise ValueError(f"{self._path}: {whole} is nested more than {_MAX_DEPTH} deep")
        with reading(self._path, whole):
            link = self._group.get(name, getlink=True)
            if link is None:
                if name in list(self):
                    raise OSError("it is listed, and not there")
                raise KeyError(name)
            if not isinstance(link, h5py.HardLink):
                target = f"{getattr(link, 'filename', '')}:{link.path}"
                raise ValueError(
                    f"{self._path}: {whole} is a link to {target}, and only what lies in the file is read; copy it "
                    "there, as h5copy does"
                )
            try:
                member = self._group[name]
                if isinstance(member, h5py.Dataset):
                    member.dtype  # noqa: B018 the first time, it is made
            except (KeyError, TypeError, ValueError) as error:  # what h5py makes of broken objects and their types
                raise OSError(str(error)) from error
            if isinstance(member, h5py.Group):
                return Hdf5Group(member, self._path, whole)
            if not isinstance(member, h5py.Dataset):
                raise ValueError(f"{self._path}: {whole} is neither a group nor a data set")
            _check(member, self._path, whole)
            return member


def _names(group: Any, path: Path, record: str) -> list[str]:
    """Return the names of members or attributes."""
    with reading(path, record):
        names = list(group)
        if broken := [name for name in names if not isinstance(name, str)]:
            raise OSError(f"a name is no text: {broken[0]!r}")
        return names


def _check(dataset: Any, path: Path, name: str) -> None:
    """Refuse a data set whose numbers lie in other files, or that claims more of them than are stored."""
    where = f"{path}: {name}"
    if dataset.external or dataset.is_virtual:
        kind = "has its numbers in other files" if dataset.external else "is made of other data sets"
        raise ValueError(f"{where} {kind}, and only what lies in the file is read; copy it there, as h5repack does")
    if dataset.dtype.kind == "O" and import_library("h5py").check_vlen_dtype(dataset.dtype) is None:
        raise ValueError(f"{where} holds {dataset.dtype}, expected numbers or files of images")
    stored, claimed = dataset.id.get_storage_size(), dataset.size * dataset.dtype.itemsize if dataset.shape else 0
    if claimed and not stored:
        raise ValueError(f"{where}: of shape {dataset.shape} nothing is stored; the file was never written to its end")
    if stored > path.stat().st_size:
        raise ValueError(f"{where}: the file cannot hold the {stored:,} bytes that it claims; fetch it again")
    if dataset.chunks:
        size = int(np.prod(dataset.chunks, dtype=object)) * dataset.dtype.itemsize
        check_claim(f"{where}: a chunk", size, stored)
        _check_chunks(dataset, where, size)
    if dataset.ndim == 4:  # frames, which are read one by one
        check_claim(f"{where}: a frame", claimed // max(1, len(dataset)), stored, free=MAX_FRAME)
    else:
        check_claim(where, claimed, stored, free=_MAX_WHOLE)


def _check_chunks(dataset: Any, where: str, size: int) -> None:
    """Refuse chunks of which more is stored than of what cannot be compressed: HDF5 inflates all that is there."""
    most = size + size // 64 + 2**16
    if dataset.id.get_storage_size() <= most or not dataset.id.get_create_plist().get_nfilters():
        return
    largest = 0

    def look(chunk: Any) -> None:
        nonlocal largest
        largest = max(largest, chunk.size)

    dataset.id.chunk_iter(look)
    if largest > most:
        raise ValueError(f"{where}: expected at most {most:,} bytes stored of a chunk of {size:,}, got {largest:,}")


def open_hdf5(path: Path) -> Hdf5Group:
    """Open a file for reading, as long as its root group, which this returns, lives.

    Raises:
        FileNotFoundError: it is not there.
        OSError: it cannot be read, or is not whole; it names the file.
    """
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        return Hdf5Group(import_library("h5py").File(path, "r"), path)
    except OSError as error:
        raise OSError(f"{path} cannot be read as HDF5, is it whole? {error}") from error


@contextmanager
def reading(path: Path, record: str) -> Iterator[None]:
    """Name the file and the record in what goes wrong while HDF5 is read."""
    try:
        yield
    # h5py raises all of these for what is broken on disk; a UnicodeDecodeError is a ValueError.
    except (OSError, RuntimeError, UnicodeDecodeError) as error:
        raise OSError(f"{path}, {record}: it cannot be read, is the file whole? {error}") from error
