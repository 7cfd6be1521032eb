"""Columns of parquet files as arrays, no more of a file being read than has the rows asked for."""

from pathlib import Path
from typing import Any

import numpy as np

from ...untrusted import check_claim
from ..trajectory import Floats, Provenance
from .reading import as_floats, import_library


def read_table(path: Path, names: list[str], groups: list[int] | None = None) -> Any:
    """Return columns of a parquet file, or of some of its row groups, as a table."""
    parquet = import_library("pyarrow.parquet")
    try:
        with parquet.ParquetFile(path) as file:
            missing = [name for name in names if name not in file.schema_arrow.names]
            if missing:
                raise ValueError(f"there is no column {missing[0]}, only {file.schema_arrow.names}")
            return file.read(columns=names) if groups is None else file.read_row_groups(groups, columns=names)
    except (OSError, ValueError) as error:  # pyarrow's own errors are ValueErrors
        raise ValueError(f"{path}: {error}; it may be cut short: fetch it again") from error


def read_rows(path: Path, names: list[str], start: int, count: int, provenance: Provenance) -> dict[str, Floats]:
    """Return rows of a data file, each column (count, k); no more row groups are read than have them."""
    parquet = import_library("pyarrow.parquet")
    try:
        metadata = parquet.read_metadata(path)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: {error}; it may be cut short: fetch it again") from error
    ends = np.cumsum([metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)])
    if not len(ends) or start + count > ends[-1]:
        rows = ends[-1] if len(ends) else 0
        raise ValueError(f"{provenance}: it ends with row {start + count - 1}, but the file has {rows} rows")
    # A few bytes can stand for any number of equal rows, and all rows of a group are read.
    groups = [int(metadata.row_group(group).num_rows) for group in range(metadata.num_row_groups)]
    check_claim(str(path), max(groups) * 8 * len(names), path.stat().st_size)
    first, last = np.searchsorted(ends, [start, start + count - 1], side="right").tolist()
    skipped = start - (int(ends[first - 1]) if first else 0)
    table = read_table(path, names, list(range(first, last + 1))).slice(skipped, count)
    return {name: _numbers(table[name].combine_chunks(), f"{provenance}: {name}") for name in names}


def _numbers(column: Any, where: str) -> Floats:
    """Return a column of numbers, or of lists of as many numbers each, as (rows, k)."""
    rows = len(column)
    if hasattr(column, "flatten") and hasattr(column.type, "value_type"):
        column = column.flatten()
    if len(column) % rows:
        raise ValueError(f"{where}: expected as many numbers in each of {rows} rows, got {len(column)} in all")
    return as_floats(column.to_numpy(zero_copy_only=False).reshape(rows, -1), where)
