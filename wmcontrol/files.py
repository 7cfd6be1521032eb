"""Files that are whole or not there at all, and folders that one process at a time writes in."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from filelock import FileLock, Timeout


@contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """Open a file that gets its name only when all of it is on disk; if the writing fails, nothing is left of it.

    Raises:
        OSError: the disk is full or the folder read-only; it names the file.
    """
    temporary = path.with_name(f"{path.name}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise OSError(error.errno or errno.EIO, f"cannot write {path}: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make sure that the names in a folder are on disk, where the system can."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def exclusive_lock(what: Path, lock: Path | None = None, wait: float = 0) -> Iterator[None]:
    """Hold the lock of a folder or a file for writing; the system takes it back from a process that dies.

    Args:
        what: a folder that exists, or a file.
        lock: the lock file, which goes with its holder; by default ``lock`` in the folder ``what``.
        wait: for so many seconds, if another process holds it.

    Raises:
        OSError: another process holds it.
    """
    lock = lock or what / "lock"
    held = FileLock(lock, timeout=wait)
    try:
        _acquire(held, lock)
    except Timeout:
        raise OSError(f"another process is writing to {what}; wait for it") from None
    try:
        yield
    finally:
        try:
            if os.name == "posix":  # elsewhere filelock does it, which cannot take away a file that another has open
                lock.unlink(missing_ok=True)
        finally:
            held.release()


def _acquire(held: FileLock, lock: Path) -> None:
    """Acquire the lock of the file that has its name; again where the file was taken away meanwhile."""
    while True:
        with lock.open("ab") as file:  # open until they are compared, so that no other file gets its number
            held.acquire()
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(file.fileno()), lock.stat()):
                    return
            held.release()
