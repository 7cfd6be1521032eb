"""What tells one state of a data set on disk from another."""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


def fingerprint(layout: str, files: Iterable[Path], settings: Mapping[str, Any]) -> str:
    """Return a digest of files, by name, size and time of change, and of the settings they are read with.

    Names count from the folder that all files have in common, so a set that moves as a whole keeps its digest.

    Args:
        layout: the name of the reader.
        files: all that it reads.
        settings: what else decides what comes out, as JSON can write it.
    """
    paths = sorted(Path(file) for file in files)
    root = os.path.commonpath([path.parent for path in paths]) if paths else ""
    stats = [(path, path.stat()) for path in paths]
    rows = [(path.relative_to(root).as_posix(), stat.st_size, stat.st_mtime_ns) for path, stat in stats]
    return hashlib.sha256(json.dumps([layout, rows, dict(settings)], sort_keys=True).encode()).hexdigest()
