"""What a data set on disk is told by: names, sizes and times of its files, and the settings it is read with."""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


def fingerprint(layout: str, files: Iterable[Path], settings: Mapping[str, Any]) -> str:
    """Return a digest that changes when a file is added, removed, renamed or written, or a setting is changed.

    Contents are not read: a file that is written anew has another time of change. Names count from the files' common
    folder, so that a data set may be moved as a whole.

    Args:
        layout: the name of the reader.
        files: all files that are read.
        settings: what the reader was given beside the path, as JSON can write it.

    Raises:
        OSError: a file is gone.
    """
    paths = sorted({os.path.abspath(file) for file in files})
    root = os.path.commonpath([os.path.dirname(path) for path in paths]) if paths else ""
    digest = hashlib.sha256(json.dumps([layout, dict(settings)], sort_keys=True).encode())
    for path in paths:
        status = os.stat(path)
        digest.update(f"{os.path.relpath(path, root)}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()
