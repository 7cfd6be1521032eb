"""Measuring in a process of its own, so that threads, caches and peak memory are its own too."""

import multiprocessing
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


def in_process(function: Callable[..., T], *arguments: object) -> T:
    """Call a function in a new process and return what it returns."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def peak_memory() -> int:
    """Return this process's peak memory so far, bytes."""
    status = Path("/proc/self/status")
    if status.exists():
        # Linux hands what getrusage says down to new programs: a small one that a large one starts would look large.
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return 1024 * int(line.split()[1])
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
