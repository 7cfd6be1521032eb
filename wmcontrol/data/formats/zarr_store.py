"""Zarr stores that are opened only once it is sure that reading them runs nothing and takes no more than they hold.

Which codecs zarr knows depends on what is installed, and some of them run code. So the metadata are read by a schema of
our own before zarr sees them: plain numbers, in one of a few compressions.
"""

import math
import warnings
import zipfile
import zlib
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from ...untrusted import (
    AnyJson,
    Choice,
    Integer,
    ListOf,
    MapOf,
    Nullable,
    Number,
    Record,
    check_claim,
    check_links,
    parse_json,
)
from ..frames import MAX_FRAME
from .reading import import_library

_METADATA = (".zarray", ".zattrs", ".zgroup", ".zmetadata", "zarr.json")
_MAX_METADATA = 2**20  # bytes
_MAX_WHOLE = 2**24  # bytes that arrays which are read whole may claim, however few of them are stored
_INFLATES = 1032  # times, the most that zlib and gzip make of anything
_TYPES = {"i": (1, 2, 4, 8), "u": (1, 2, 4, 8), "f": (2, 4, 8)}
_SHAPE, _CHUNK = ListOf(Integer(low=0, high=2**48), 1, 8), ListOf(Integer(low=1, high=2**32), 1, 8)
_V2 = Record(
    {
        "zarr_format": Integer(2, 2),
        "shape": _SHAPE,
        "chunks": _CHUNK,
        "dtype": Choice(*(f"{order}{kind}{size}" for order in "<>|" for kind in _TYPES for size in _TYPES[kind])),
        "compressor": Nullable(Record({"id": Choice("blosc", "zstd", "lz4", "gzip", "zlib")}, others=AnyJson())),
        "filters": Nullable(ListOf(AnyJson(), 0, 0)),
        "fill_value": Nullable(Number(infinite=True)),
        "order": Choice("C", "F"),
    },
    {"dimension_separator": Choice(".", "/")},
)
_ANY = Record({}, {"shape": _SHAPE}, others=AnyJson())  # of whatever node
_BROKEN = (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, zlib.error, UnicodeError)
_NAMES = {"i": "int", "u": "uint", "f": "float"}
_V3 = Record(
    {
        "zarr_format": Integer(3, 3),
        "node_type": Choice("array"),
        "shape": _SHAPE,
        "data_type": Choice(*(f"{_NAMES[kind]}{8 * size}" for kind in _TYPES for size in _TYPES[kind])),
        "chunk_grid": Record({"name": Choice("regular"), "configuration": Record({"chunk_shape": _CHUNK})}),
        "chunk_key_encoding": Record(
            {"name": Choice("default", "v2")}, {"configuration": Record({}, {"separator": Choice("/", ".")})}
        ),
        "fill_value": Number(infinite=True),
        "codecs": ListOf(
            Record({"name": Choice("bytes", "blosc", "zstd", "gzip")}, {"configuration": MapOf(AnyJson())}), 1, 2
        ),
    },
    {"storage_transformers": ListOf(AnyJson(), 0, 0)},
    others=AnyJson(),
)


@dataclass(frozen=True)
class _Description:
    """What the metadata of an array say."""

    shape: list[int]
    chunk: list[int]
    itemsize: int
    codec: str | None
    fill_value: Any

    @property
    def chunk_bytes(self) -> int:
        return math.prod(self.chunk) * self.itemsize

    @property
    def num_chunks(self) -> int:
        return math.prod(-(-size // step) for size, step in zip(self.shape, self.chunk, strict=True))


def open_group(path: Path, names: Mapping[str, bool]) -> Any:
    """Return a zarr group whose arrays were looked at.

    Chunks that are not there are read as the fill value, as zarr does that writes no chunk of it alone; a warning says
    how many.

    Args:
        path: a folder, or a zip file of one.
        names: of the arrays, and whether each is read whole: if not, then by a few chunks at a time.

    Raises:
        OSError: it is no whole zarr store, or an array is missing.
        ValueError: numbers or codecs that are not read, or sizes that do not fit what is stored; it names the array.
    """
    zarr = import_library("zarr")
    try:
        with zipfile.ZipFile(path) if path.is_file() else nullcontext() as archive:
            version = _checked(path, _Files.of(path, archive), names)
    except _BROKEN as error:
        raise OSError(f"{path}: not a whole zarr store ({error!r}); fetch it again") from error
    try:
        store = zarr.storage.ZipStore(path, mode="r") if path.is_file() else path
        # Consolidated metadata would be read in the place of those that were looked at.
        group = zarr.open_group(store, mode="r", zarr_format=version, use_consolidated=False)
        for name in names:
            group[name]
    except Exception as error:  # each part of zarr has its own
        raise OSError(f"{path}: not a whole zarr store ({error!r}); fetch it again") from error
    return group


def array_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Return the names of all arrays of a store, and the shapes that they claim; nothing else is looked at.

    Raises:
        OSError: it is no whole zarr store.
        ValueError: metadata that are none; it names the file.
    """
    try:
        with zipfile.ZipFile(path) if path.is_file() else nullcontext() as archive:
            return _shapes(path, _Files.of(path, archive))
    except _BROKEN as error:
        raise OSError(f"{path}: not a whole zarr store ({error!r}); fetch it again") from error


def _shapes(path: Path, files: "_Files") -> dict[str, tuple[int, ...]]:
    shapes = {}
    for file, size in files.sizes.items():
        name, _, last = file.rpartition("/")
        if last not in (".zarray", "zarr.json") or not name:
            continue
        _check_size(path / file, size)
        with files.open(file) as opened:
            found = parse_json(opened.read(_MAX_METADATA), _ANY, str(path / file))
        if "shape" in found:
            shapes[name] = tuple(found["shape"])
    return shapes


def _check_size(path: Path, size: int) -> None:
    if size > _MAX_METADATA:
        raise ValueError(f"{path}: expected at most {_MAX_METADATA:,} bytes, got {size:,}")


class _Files(NamedTuple):
    """The files of a store, by their names in it."""

    sizes: Mapping[str, int]  # bytes
    stored: Mapping[str, int]  # bytes, of those that a zip file has packed once more
    open: Callable[[str], IO[bytes]]

    @staticmethod
    def of(path: Path, archive: zipfile.ZipFile | None) -> "_Files":
        """List those of a zip file, or else of a folder."""
        if archive is not None:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            stored = {entry.filename: entry.compress_size for entry in entries}
            return _Files({entry.filename: entry.file_size for entry in entries}, stored, archive.open)
        check_links(path)
        found = [file for file in path.rglob("*") if file.is_file()]
        sizes = {file.relative_to(path).as_posix(): file.stat().st_size for file in found}
        return _Files(sizes, sizes, lambda name: (path / name).open("rb"))


def _checked(path: Path, files: _Files, names: Mapping[str, bool]) -> int:
    """Return the version of zarr's format, once all arrays were looked at."""
    version = 3 if "zarr.json" in files.sizes else 2
    for file, size in files.sizes.items():
        if file.rpartition("/")[2] in _METADATA:
            _check_size(path / file, size)
    for name, whole in names.items():
        metadata = f"{name}/{'zarr.json' if version == 3 else '.zarray'}"
        if metadata not in files.sizes:
            raise FileNotFoundError(f"{path / name} is missing: the layout has it; fetch it again")
        _check(path, _described(path / metadata, files, metadata, version), files, name, whole)
    return version


def _described(path: Path, files: _Files, name: str, version: int) -> _Description:
    with files.open(name) as file:
        found = parse_json(file.read(_MAX_METADATA), _V3 if version == 3 else _V2, str(path))
    if version == 2:
        compressor = found["compressor"]
        itemsize, chunk, codec = int(found["dtype"][2:]), found["chunks"], compressor and compressor["id"]
    else:
        codecs = [entry["name"] for entry in found["codecs"]]
        if codecs[0] != "bytes" or "bytes" in codecs[1:]:
            raise ValueError(f"{path}: codecs: expected bytes, and one compression after it or none, got {codecs}")
        itemsize, chunk = np.dtype(found["data_type"]).itemsize, found["chunk_grid"]["configuration"]["chunk_shape"]
        codec = codecs[1] if len(codecs) == 2 else None
    if len(chunk) != len(found["shape"]):
        raise ValueError(f"{path}: chunks {chunk} have other dimensions than shape {found['shape']}")
    return _Description(found["shape"], chunk, itemsize, codec, found["fill_value"])


def _check(path: Path, described: _Description, files: _Files, name: str, whole: bool) -> None:
    """Compare what an array claims with the chunks that are stored of it."""
    where = path / name
    chunks = {
        file: size
        for file, size in files.stored.items()
        if file.startswith(f"{name}/") and file.rpartition("/")[2] not in _METADATA
    }
    stored = sum(chunks.values())
    check_claim(f"{where}: a chunk", described.chunk_bytes, max(chunks.values(), default=0))
    if whole:
        claimed = math.prod(described.shape) * described.itemsize
        check_claim(str(where), claimed, stored, free=max(_MAX_WHOLE, described.chunk_bytes))
    else:
        frame = math.prod(described.shape[1:]) * described.itemsize
        check_claim(f"{where}: a frame", frame, stored, free=MAX_FRAME)
    missing = described.num_chunks - len(chunks)
    if missing > 0 and (not chunks or described.fill_value is None):
        raise FileNotFoundError(f"{where}: {missing} of {described.num_chunks} chunks are missing; fetch it again")
    if missing > 0:
        warnings.warn(
            f"{where}: {missing} of {described.num_chunks} chunks are not stored, and are read as "
            f"{described.fill_value}; if it was not written so, fetch it again",
            stacklevel=2,
        )
    for file in chunks:
        _check_chunk(path / file, files, file, described)


def _check_chunk(where: Path, files: _Files, name: str, described: _Description) -> None:
    """Refuse a chunk that would become another size than its array's chunks have, as far as its header tells.

    Blosc would read on in memory that is not the chunk's if it were cut short.
    """
    size, expected = files.sizes[name], described.chunk_bytes
    most = expected + expected // 64 + 2**16  # what cannot be compressed takes a little more room
    if size > most:
        raise ValueError(f"{where}: expected at most {most} bytes of a chunk of {expected}, got {size}")
    if described.codec is None:
        return
    with files.open(name) as file:
        if described.codec in ("gzip", "zlib"):
            if size * _INFLATES > 2 * most + 2**26 and not _inflates_to(file, expected):
                raise ValueError(f"{where}: its chunk becomes more than the {expected} bytes that it should have")
            return
        header = file.read(18)
    claimed: int | None
    if described.codec == "blosc":
        claimed, whole = int.from_bytes(header[4:8], "little"), int.from_bytes(header[12:16], "little")
        if len(header) < 16 or whole != size:
            raise OSError(f"{where} is cut short: Blosc's header counts {whole} bytes, it has {size}; fetch it again")
    elif described.codec == "zstd":
        claimed = _zstd_size(header)
    else:
        claimed = int.from_bytes(header[:4], "little")
    if claimed != expected:
        raise OSError(f"{where}: expected a chunk of {expected} bytes, its header says {claimed}; fetch it again")


def _zstd_size(header: bytes) -> int | None:
    """Return how many bytes a frame says to become (RFC 8878, section 3.1.1), or None where it does not."""
    if len(header) < 6 or header[:4] != b"\x28\xb5\x2f\xfd":
        return None
    single, kind = header[4] >> 5 & 1, header[4] >> 6
    start = 5 + (not single) + (0, 1, 2, 4)[header[4] & 3]
    length = (single, 2, 4, 8)[kind]
    value = int.from_bytes(header[start : start + length], "little")
    return value + 256 * (kind == 1) if length else None


def _inflates_to(file: IO[bytes], most: int) -> bool:
    """Say whether zlib or gzip make no more than so many bytes of a file, without keeping them."""
    inflater, made = zlib.decompressobj(zlib.MAX_WBITS | 32), 0
    while block := file.read(2**16):
        while block and made <= most:
            made += len(inflater.decompress(block, 2**20))
            block = inflater.unconsumed_tail
    return made <= most
