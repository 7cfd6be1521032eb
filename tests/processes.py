"""Data sets that other processes read."""

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any


def read_elsewhere(read: Callable[[int], Any], indices: Sequence[int]) -> dict[str, list[Any]]:
    """Return what ``read(index)`` gives in a spawned process, and in forks of a process that has read already.

    That process is a spawned one too: a fork of this one, which runs threads of the test runner, may hang.
    """
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn) as executor:
        spawned = executor.submit(_read, read, indices).result(120)
        forked = executor.submit(_read_in_forks, read, indices).result(120)
    return {"spawn": spawned, "fork": forked}


def _read(read: Callable[[int], Any], indices: Sequence[int]) -> list[Any]:
    return [read(index) for index in indices]


def _read_in_forks(read: Callable[[int], Any], indices: Sequence[int]) -> list[Any]:
    read(indices[0])  # files are open by now, and memory is filled
    with multiprocessing.get_context("fork").Pool(2) as pool:
        return pool.map_async(read, indices).get(60)
