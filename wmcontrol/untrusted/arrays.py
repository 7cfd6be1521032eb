"""NumPy arrays from files of ``numpy.savez``, and what a file may claim to hold."""

import math
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

_FREE = 256 * 2**20  # bytes that anything may claim
_RATIO = 100  # compressed data may become so many times as large beyond that; video frames do not become more


def read_arrays(
    path: Path, known: Mapping[str, tuple[str, int]], needed: Collection[str], *, fix: str = ""
) -> dict[str, NDArray[Any]]:
    """Return the arrays of a file of ``numpy.savez``.

    Compressed ones are refused: this package writes none, and of others a small file could become a large array.

    Args:
        path: the file.
        known: which arrays may be there, each with the kinds of its numbers, as ``"f"`` or ``"iu"``, and how many
            dimensions it has.
        needed: which must be there.
        fix: what the user can do about a broken file; ends the errors.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not whole, or an array is missing, unknown, of another type or dimensions, or not finite; it
            names the file and the array.
    """
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
                    with archive.open(entry) as opened:
                        arrays[name] = _read(opened, entry.file_size, name, *known[name])
        except Exception as error:  # zipfile's, struct's and NumPy's, which share no class
            raise ValueError(f"{path} cannot be read: {error}{fix and '; '}{fix}") from error
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


def _read(file: IO[bytes], size: int, name: str, kinds: str, dimensions: int) -> NDArray[Any]:
    """Read a file in NumPy's format, once it is sure that it is as long as it says."""
    np.lib.format.read_magic(file)
    shape, by_columns, dtype = np.lib.format.read_array_header_1_0(file)
    if dtype.kind not in kinds or len(shape) != dimensions:
        raise ValueError(
            f"{name}: expected {dimensions} dimensions of a type of {list(kinds)}, got {dtype} of shape {shape}"
        )
    held = size - file.tell()
    if math.prod(shape) * dtype.itemsize != held:
        raise ValueError(f"{name}: {dtype} of shape {shape} has not the {held} bytes that are there")
    array = np.frombuffer(bytearray(file.read(held)), dtype).reshape(shape, order="F" if by_columns else "C")
    if dtype.kind == "f" and not np.isfinite(array).all():
        place = np.argwhere(~np.isfinite(array))[0].tolist()
        raise ValueError(f"{name}: expected finite numbers, got {array[tuple(place)]} at {place}")
    return array
