"""NumPy arrays by a declared schema, from files of ``numpy.savez``, and what a file may claim to hold."""

import math
import zipfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

_FREE = 256 * 2**20  # bytes that anything may claim
_RATIO = 100  # compressed data may become so many times as large beyond that; video frames do not become more
_KINDS = {"b": "booleans", "i": "whole numbers", "u": "whole numbers from 0 up", "f": "floating point numbers"}


@dataclass(frozen=True)
class Array:
    """What an array must be.

    Args:
        dtypes: kinds of NumPy's dtypes, such as ``"f"`` or ``"iu"``, or one dtype by name, such as ``"uint8"``.
        shape: a number for each dimension; a letter stands for one size, the same wherever it stands.
    """

    dtypes: str
    shape: tuple[str | int, ...]

    def fits(self, dtype: np.dtype[Any]) -> bool:
        """Say whether an array of these numbers is one."""
        return dtype.kind in "biuf" and (dtype.kind in self.dtypes or dtype.name == self.dtypes)


def read_arrays(
    path: Path,
    needed: Mapping[str, Array],
    optional: Mapping[str, Array] | None = None,
    *,
    sizes: Mapping[str, int] | None = None,
    only: Collection[str] | None = None,
    fix: str = "",
) -> dict[str, NDArray[Any]]:
    """Return the arrays of a file of ``numpy.savez``.

    Compressed ones are refused: this package writes none, and of others a small file could become a large array.

    Args:
        path: the file.
        needed: arrays that must be there.
        optional: arrays that may be there.
        sizes: what letters stand for in shapes, where it is known.
        only: which are read; None: all.
        fix: what the user can do about a broken file; ends the errors.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not whole, or an array is missing, unknown, of another type or shape, or not finite; it names
            the file and the array.
    """
    known, letters, ending = {**needed, **(optional or {})}, dict(sizes or {}), fix and f"; {fix}"
    arrays = {}
    with path.open("rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                entries = stored_entries(archive, path.stat().st_size)
                found = {name.removesuffix(".npy"): entry for name, entry in entries.items()}
                missing, unknown = sorted(set(needed) - set(found)), sorted(set(found) - set(known))
                if missing or unknown:
                    raise ValueError(f"missing arrays {missing}, unknown arrays {unknown}; expected {list(known)}")
                for name, entry in found.items():
                    if only is not None and name not in only:
                        continue
                    with archive.open(entry) as opened:
                        arrays[name] = _read(opened, entry.file_size, name, known[name], letters)
        except Exception as error:  # zipfile's, struct's and NumPy's, which share no class
            raise ValueError(f"{path} cannot be read: {error}{ending}") from error
    return arrays


def stored_entries(archive: zipfile.ZipFile, file_size: int) -> dict[str, zipfile.ZipInfo]:
    """Return the entries of a zip file by name.

    Raises:
        ValueError: two have one name, one is compressed, or they are larger than the file that holds them.
    """
    entries = archive.infolist()
    if len({entry.filename for entry in entries}) < len(entries):
        raise ValueError("two entries of the zip file have one name")
    packed = next((entry for entry in entries if entry.compress_type != zipfile.ZIP_STORED), None)
    if packed is not None:
        raise ValueError(f"entry {packed.filename} is compressed, which nothing that writes such files does")
    total = sum(entry.file_size for entry in entries)
    if total > file_size:
        raise ValueError(f"its entries must fit into its {file_size} bytes, they claim {total}")
    return {entry.filename: entry for entry in entries}


def check_claim(where: str, claimed: int, stored: int, *, free: int = _FREE) -> None:
    """Refuse compressed data that claim to become much larger than what is stored of them can honestly hold.

    Args:
        where: what errors name.
        claimed: bytes in memory.
        stored: bytes in the file.
        free: bytes that may be claimed whatever is stored.

    Raises:
        ValueError: they claim more than that, and more than 100 times what is stored.
    """
    if claimed > max(free, _RATIO * stored):
        raise ValueError(
            f"{where}: expected at most {_RATIO} times as many bytes as the {stored:,} that are stored, it claims "
            f"{claimed:,}; the file is damaged, or made to fill the memory"
        )


def _read(file: IO[bytes], size: int, name: str, schema: Array, letters: dict[str, int]) -> NDArray[Any]:
    """Read a file in NumPy's format, once it is sure that it is as long as it says."""
    version = np.lib.format.read_magic(file)
    read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in read_header:
        raise ValueError(f"{name} has version {version} of NumPy's format; known are 1.0 and 2.0")
    shape, by_columns, dtype = read_header[version](file)
    expected = f"{_KINDS.get(schema.dtypes[:1], schema.dtypes)} {schema.shape}"
    if not schema.fits(dtype) or len(shape) != len(schema.shape):
        raise ValueError(f"{name}: expected {expected}, got {dtype} of shape {shape}")
    for given, asked in zip(shape, schema.shape, strict=True):
        wanted = letters.setdefault(asked, given) if isinstance(asked, str) else asked
        if given != wanted:
            raise ValueError(f"{name}: expected {expected} with {asked} = {wanted}, got shape {shape}")
    held = size - file.tell()
    if math.prod(shape) * dtype.itemsize != held:
        raise ValueError(f"{name}: {dtype} of shape {shape} has not the {held} bytes that are there")
    flat = np.frombuffer(bytearray(file.read(held)), dtype)
    array = flat.reshape(shape, order="F" if by_columns else "C")
    if dtype.kind == "f" and not np.isfinite(array).all():
        place = np.argwhere(~np.isfinite(array))[0].tolist()
        raise ValueError(f"{name}: expected finite numbers, got {array[tuple(place)]} at {place}")
    return array
