"""Arrays that are read by rows, whatever they lie in: HDF5, zarr or npz.

An array's name has its groups before it, as ``"data/demo_0/actions"``.
"""

import math
import re
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from string import digits
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ...untrusted import check_claim
from .hdf5_file import Hdf5Group, is_hdf5, open_hdf5, reading
from .reading import PerProcess
from .zarr_store import array_shapes, open_group

Rows = slice | NDArray[np.int64]
Shape = tuple[int, ...]


class Columns(ABC):
    """The arrays of a file or folder; it goes through pickle, and each process opens it for itself.

    Args:
        path: the file or folder.
    """

    def __init__(self, path: Path):
        self.path = path

    @abstractmethod
    def members(self, group: str) -> dict[str, Shape | None]:
        """Return what is in a group (``""``: the outermost) by name: the shapes of arrays, None for groups."""

    @abstractmethod
    def shape(self, name: str) -> Shape | None:
        """Return the shape of an array, None where there is none of this name."""

    @abstractmethod
    def attribute(self, name: str, group: str = "") -> Any:
        """Return what is noted beside a group, as JSON would have it; None where nothing of this name is."""

    @abstractmethod
    def read(self, name: str, rows: Rows, where: object) -> NDArray[Any]:
        """Read rows of an array; ``where`` is what errors name.

        Raises:
            OSError: it cannot be read.
            ValueError: it claims more than is stored, lies elsewhere, or is no numbers.
        """

    def use(self, names: Iterable[str]) -> None:  # noqa: B027 not all need to
        """Look at these arrays, which are then read."""

    def episodes(self, group: str) -> list[str]:
        """Return the names of the groups in a group, in the order of their numbers.

        Raises:
            ValueError: one that is called alike cannot be opened, as a link; it would be missing without a word.
        """
        members = self.members(group)
        found = [name for name, shape in members.items() if shape is None]
        kinds = {name.rstrip(digits) for name in found}
        self.use(join(group, name) for name in members if name not in found and name.rstrip(digits) in kinds)
        return sorted(found, key=natural)

    def files(self) -> list[Path]:
        """Return all files that it is made of."""
        return [self.path] if self.path.is_file() else [file for file in self.path.rglob("*") if file.is_file()]

    def arrays(self, group: str = "", depth: int = 2) -> dict[str, Shape]:
        """Return the shapes of all arrays in a group, and of those so many groups deeper, by their names in it."""
        found = {}
        for name, shape in self.members(group).items():
            if shape is not None:
                found[name] = shape
            elif depth:
                inner = self.arrays(join(group, name), depth - 1)
                found |= {f"{name}/{member}": shape for member, shape in inner.items()}
        return found


def natural(name: str) -> list[tuple[int, str]]:
    """Return what to sort names by, such that ``demo_2`` comes before ``demo_10``."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]


def join(group: str, name: str) -> str:
    """Return the name of a member of a group."""
    return f"{group}/{name}" if group else name


class _Hdf5(Columns):
    """The arrays of an HDF5 file."""

    def __init__(self, path: Path):
        super().__init__(path)
        self._file = PerProcess(partial(open_hdf5, path))

    def members(self, group: str) -> dict[str, Shape | None]:
        opened, found = self._group(group), {}
        if not isinstance(opened, Hdf5Group):
            raise ValueError(f"{self.path}: {group} must be a group, it is an array")
        for name in opened:
            try:
                member = opened[name]
                found[name] = None if isinstance(member, Hdf5Group) else tuple(member.shape or ())
            except ValueError:  # what is not read stands in nobody's way until it is used
                found[name] = ()
        return found

    def use(self, names: Iterable[str]) -> None:
        for name in names:
            self._file.get().get(name)

    def shape(self, name: str) -> Shape | None:
        member = self._file.get().get(name)
        return None if isinstance(member, Hdf5Group | None) else tuple(member.shape or ())

    def attribute(self, name: str, group: str = "") -> Any:
        value = self._group(group).attrs.get(name)
        value = value.tolist() if isinstance(value, np.ndarray | np.generic) else value
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else value

    def read(self, name: str, rows: Rows, where: object) -> NDArray[Any]:
        array = self._file.get()[name]
        with reading(self.path, f"{where}: {name}"):
            if isinstance(rows, slice):
                return np.asarray(array[rows])
            # Rising numbers, each once, are what HDF5 can pick; a list of them it picks slowly.
            each, places = np.unique(rows, return_inverse=True)
            found = np.stack([array[row] for row in each]) if len(each) else array[:0]
            return np.asarray(found[places])

    def _group(self, name: str) -> Hdf5Group:
        root = self._file.get()
        group: Hdf5Group = root[name] if name else root
        return group


class _Listed(Columns):
    """Arrays whose names and shapes are all known at once."""

    def __init__(self, path: Path, shapes: Mapping[str, Shape]):
        super().__init__(path)
        self._shapes = dict(shapes)

    def members(self, group: str) -> dict[str, Shape | None]:
        found: dict[str, Shape | None] = {}
        for name, shape in self._shapes.items():
            if name.startswith(f"{group}/" if group else ""):
                first, _, rest = name.removeprefix(f"{group}/" if group else "").partition("/")
                found[first] = None if rest else shape
        return found

    def shape(self, name: str) -> Shape | None:
        return self._shapes.get(name)


class _Zarr(_Listed):
    """The arrays of a zarr store, in a folder or a zip file; :meth:`use` looks at those that are then read."""

    def __init__(self, path: Path):
        super().__init__(path, array_shapes(path))
        self._store: PerProcess[Any] = PerProcess(partial(open_group, path, {}))

    def attribute(self, name: str, group: str = "") -> Any:
        root = self._store.get()
        return (root[group] if group else root).attrs.get(name)

    def use(self, names: Iterable[str]) -> None:
        # Frames are read a few chunks at a time, all else whole.
        whole = {name: len(self._shapes.get(name, ())) != 4 for name in names}
        self._store = PerProcess(partial(open_group, self.path, whole))
        self._store.get()

    def read(self, name: str, rows: Rows, where: object) -> NDArray[Any]:
        array = self._store.get()[name]
        try:
            return np.asarray(array[rows] if isinstance(rows, slice) else array.oindex[rows])
        except Exception as error:  # each codec has its own
            raise OSError(f"{where}: {name} cannot be read ({error!r}); fetch the data again") from error


class _Npz(_Listed):
    """The arrays of a file that ``numpy.savez`` or ``savez_compressed`` wrote, each read whole when it is needed."""

    def __init__(self, path: Path):
        self._held: PerProcess[dict[str, NDArray[Any]]] = PerProcess(dict)
        shapes = {}
        with _reading_npz(path, path) as archive:
            for entry in archive.infolist():
                name = entry.filename.removesuffix(".npy")
                with archive.open(entry) as file:
                    shape, _, dtype = _npy_header(file, f"{path}: {name}")
                check_claim(f"{path}: {name}", entry.file_size, entry.compress_size)
                if dtype.kind not in "biufU" or not 0 <= math.prod(shape) * dtype.itemsize < entry.file_size:
                    raise ValueError(f"{path}: {name}: {dtype} of shape {shape} in {entry.file_size} bytes is not read")
                shapes[name] = shape
        super().__init__(path, shapes)

    def attribute(self, name: str, group: str = "") -> Any:
        name = join(group, name)
        return self.read(name, slice(None), self.path).item() if self._shapes.get(name) == () else None

    def read(self, name: str, rows: Rows, where: object) -> NDArray[Any]:
        held = self._held.get()
        if name not in held:
            with _reading_npz(self.path, f"{where}: {name}") as archive, archive.open(f"{name}.npy") as file:
                shape, by_columns, dtype = _npy_header(file, f"{where}: {name}")
                flat = np.frombuffer(file.read(math.prod(shape) * dtype.itemsize), dtype)
                held[name] = flat.reshape(shape, order="F" if by_columns else "C")
        return held[name][rows] if held[name].ndim else held[name]


@contextmanager
def _reading_npz(path: Path, where: object) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:  # damaged, encrypted, or packed otherwise
        raise OSError(f"{where} cannot be read as npz, is the file whole? {error}") from error


def _npy_header(file: IO[bytes], where: str) -> tuple[Shape, bool, np.dtype[Any]]:
    try:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        return read(file)
    except Exception as error:  # what NumPy, tokenize and zipfile make of a header that is none
        raise ValueError(f"{where} is no array of NumPy's: {error}") from error


def open_columns(path: Path) -> Columns:
    """Open an HDF5 file, a zarr store or an npz file, by what it begins with."""
    if is_hdf5(path):
        return _Hdf5(path)
    return _Npz(path) if is_npz(path) else _Zarr(path)


def is_npz(path: Path) -> bool:
    """Say whether there is a zip file of NumPy's arrays alone; never raises."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
        return bool(names) and all(name.endswith(".npy") for name in names)
    except (OSError, zipfile.BadZipFile, NotImplementedError):  # the last, of a version that zipfile cannot read
        return False
