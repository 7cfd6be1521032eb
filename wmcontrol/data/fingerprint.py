"""What tells one state of a data set on disk from another."""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

_WHOLE = 256 * 2**20  # bytes of files that are read whole, which takes less than a second
_BLOCK = 2**16  # bytes that are read of others, at their begin, in their middle, and at their end


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
