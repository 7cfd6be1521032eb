"""Folders to save in, and files that are whole or not there at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import UsageError


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a temporary place beside ``path``, with the same suffix; what is written there gets its name at the end.

    If the writing fails, nothing is left of it and a file that was there before stays as it was.
    """
    temporary = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def folder_to_save_in(path: Path) -> Path:
    """Make a folder, or say why nothing can be saved there, before any work is done."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        trial = path / f".wmcontrol-trial-{os.getpid()}"
        trial.touch()
        trial.unlink()
    except OSError as error:
        raise UsageError(f"cannot save files in {path}: {error.strerror}; choose another folder: out=FOLDER") from None
    return path


def check_device(name: str) -> None:
    """Raise a UsageError unless tensors can be put on a device."""
    import torch

    try:
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"device: {name!r} cannot be used: {str(error).splitlines()[0]}") from None
