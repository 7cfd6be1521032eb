"""Rows of parquet files, and no more of a file than has them."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...untrusted import check_claim
from ..frames import Pixels, decoded
from ..trajectory import Floats, Provenance
from .reading import as_floats, import_library

_BATCH = 16  # rows of images that are in memory at once: a few bytes can stand for any number of equal ones


def read_table(path: Path, names: list[str], groups: list[int] | None = None) -> Any:
    """Return columns of a parquet file, or of some of its row groups, as a table."""
    parquet = import_library("pyarrow.parquet")
    try:
        with parquet.ParquetFile(path) as file:
            missing = [name for name in names if name not in file.schema_arrow.names]
            if missing:
                raise ValueError(f"there is no column {missing[0]}, only {file.schema_arrow.names}")
            if groups is None:
                # A few bytes can stand for any number of equal rows.
                check_claim(str(path), file.metadata.num_rows * 8 * len(names), path.stat().st_size)
            return file.read(columns=names) if groups is None else file.read_row_groups(groups, columns=names)
    except (OSError, ValueError) as error:  # pyarrow's own errors are ValueErrors
        raise ValueError(f"{path}: {error}; it may be cut short: fetch it again") from error


def column_names(path: Path) -> tuple[list[str], int]:
    """Return the names of the columns of a parquet file, and how many rows it has.

    Raises:
        ValueError: it is not whole.
    """
    try:
        with import_library("pyarrow.parquet").ParquetFile(path) as file:
            return list(file.schema_arrow.names), int(file.metadata.num_rows)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: {error}; it may be cut short: fetch it again") from error


def read_rows(path: Path, names: list[str], start: int, count: int, provenance: Provenance) -> dict[str, Floats]:
    """Return rows of numbers, each column (count, k); no more row groups are read than have them.

    Raises:
        ValueError: the file is not whole, has fewer rows, or a column is missing or no numbers; it names the record.
    """
    ends = _group_ends(path)
    if not len(ends) or start + count > ends[-1]:
        rows = ends[-1] if len(ends) else 0
        raise ValueError(f"{provenance}: it ends with row {start + count - 1}, but the file has {rows} rows")
    # A few bytes can stand for any number of equal rows, and all rows of a group are read.
    check_claim(str(path), int(np.diff(ends, prepend=0).max()) * 8 * len(names), path.stat().st_size)
    first, last = np.searchsorted(ends, [start, start + count - 1], side="right").tolist()
    skipped = start - (int(ends[first - 1]) if first else 0)
    table = read_table(path, names, list(range(first, last + 1))).slice(skipped, count)
    return {name: _numbers(table[name].combine_chunks(), f"{provenance}: {name}") for name in names}


def read_images(path: Path, name: str, start: int, where: Provenance, rows: NDArray[np.int64]) -> Pixels:
    """Return pictures, (len(rows), height, width, 3), of a column of structs whose ``bytes`` are files of images.

    Args:
        path: the file.
        name: the column.
        start: the row that ``rows`` count from.
        where: what errors name.
        rows: which, in any order.

    Raises:
        ValueError: the file is not whole, there is no such column, or a picture is none.
    """
    found: dict[int, Pixels] = {}
    asked, ends = (start + rows).tolist(), _group_ends(path)
    groups = np.unique(np.searchsorted(ends, asked, side="right")).tolist()
    parquet = import_library("pyarrow.parquet")
    try:
        with parquet.ParquetFile(path) as file:
            for group in groups:
                row = int(ends[group - 1]) if group else 0
                for batch in file.iter_batches(_BATCH, row_groups=[group], columns=[f"{name}.bytes"]):
                    contents = batch.column(0).field("bytes")
                    for wanted in {wanted for wanted in asked if row <= wanted < row + len(batch)}:
                        found[wanted] = decoded(contents[wanted - row].as_py())
                    row += len(batch)
        return np.stack([found[wanted] for wanted in asked]) if asked else np.zeros((0, 1, 1, 3), np.uint8)
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:  # Arrow's own are some of these
        raise ValueError(f"{where}: {name} cannot be read as images: {error}") from error


def _group_ends(path: Path) -> NDArray[np.int64]:
    """Return how many rows the row groups up to each have."""
    try:
        metadata = import_library("pyarrow.parquet").read_metadata(path)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: {error}; it may be cut short: fetch it again") from error
    return np.cumsum([metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)], dtype=np.int64)


def _numbers(column: Any, where: str) -> Floats:
    """Return a column of numbers, or of lists of as many numbers each, as (rows, k)."""
    rows = len(column)
    if hasattr(column, "flatten") and hasattr(column.type, "value_type"):
        column = column.flatten()
    if len(column) % rows or not len(column):
        raise ValueError(f"{where}: expected as many numbers in each of {rows} rows, got {len(column)} in all")
    return as_floats(column.to_numpy(zero_copy_only=False).reshape(rows, -1), where)
