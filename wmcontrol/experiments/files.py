"""Folders to save in, and files that are whole or not there at all."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import UsageError


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a temporary place beside ``path``, with the same suffix; what is written there gets its name at the end.

    If the writing fails, nothing is left of it and a file that was there before stays as it was. Of a process that was
    killed the temporary file is left; who writes the same file again takes its place.

    Raises:
        OSError: the disk is full, or the folder may not be written to; it names the file.
    """
    temporary = path.with_name(f".partial-{path.name}")
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise OSError(error.errno or errno.EIO, f"cannot write {path}: {error.strerror or error}") from error
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
        torch.empty(1, dtype=torch.float32, device=name)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"device: {name!r} cannot be used: {str(error).splitlines()[0]}") from None
