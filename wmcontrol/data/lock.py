"""One process at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold a folder's lock, which the system takes back from a process that dies.

    Raises:
        OSError: another process holds it.
    """
    with locked(folder / "lock", folder):
        yield


@contextmanager
def locked(lock: Path, what: Path) -> Iterator[None]:
    """Hold a lock, a file that stays, for writing what it is there for.

    Raises:
        OSError: another process holds it.
    """
    held = FileLock(lock, timeout=0)
    try:
        held.acquire()
    except Timeout:
        raise OSError(f"another process is writing to {what}; wait for it") from None
    try:
        yield
    finally:
        held.release()
