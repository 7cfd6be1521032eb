"""Measuring in a process of its own, so that threads, caches and peak memory are its own too."""

import multiprocessing
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def in_process(function: Callable[..., T], *arguments: object) -> T:
    """Call a function in a new process and return what it returns."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)
