"""Folders in which nothing leads elsewhere."""

import os
from collections.abc import Iterator
from pathlib import Path


def check_links(folder: Path, *names: str) -> None:
    """Refuse a folder in which a link leads out of it: what it leads to is nothing that came with the folder.

    The cache of the Hugging Face Hub has its files as links into another folder of the same repository, which stay.

    Args:
        folder: the folder.
        names: of the files that are read; all that is in and below the folder where none is given.

    Raises:
        ValueError: there is one; it names the link and where it leads.
        OSError: there is no such folder.
    """
    real = folder.resolve()
    cached = (parent.parent for parent in (real, *real.parents) if parent.parent.name == "snapshots")
    allowed = [real, *(snapshots.parent / "blobs" for snapshots in cached)]
    for link in map(folder.joinpath, names) if names else _links(folder):
        target = link.resolve()
        if not any(target.is_relative_to(place) for place in allowed):
            raise ValueError(
                f"{link} is a link to {target}, and only what lies in {folder} is read; put the file itself there"
            )


def _links(folder: Path) -> Iterator[Path]:
    """Give all links in a folder and below it."""
    waiting = [os.fspath(folder)]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_symlink():
                    yield Path(entry.path)
                elif entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
