"""Timing: ways to do a thing are measured in turns, so that another program beside them slows all alike."""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from statistics import median
from time import perf_counter
from typing import Any, TypeVar

import torch

from wmcontrol import WorldModel

T = TypeVar("T")
Name = TypeVar("Name")


def seconds(work: Callable[[], Any]) -> float:
    """Return how long something takes, on a GPU until it is done there."""
    start = perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return perf_counter() - start


def mean_seconds(work: Callable[[int], object], lasting: float) -> float:
    """Return the mean time of work that is done for so many seconds, at least once; it is told how often before."""
    start, count = perf_counter(), 0
    while not count or perf_counter() - start < lasting:
        work(count)
        count += 1
    return (perf_counter() - start) / count


def in_turns(ways: Mapping[Name, Callable[[], Any]], rounds: int) -> dict[Name, list[float]]:
    """Return the seconds that each way took in each round, after one that does not count."""
    for work in ways.values():
        work()
    taken: dict[Name, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, work in ways.items():
            taken[name].append(seconds(work))
    return taken


def ratio(slow: list[float], fast: list[float]) -> float:
    """Return how many times as fast: the median over rounds."""
    return median(a / b for a, b in zip(slow, fast, strict=True))


def product_rate(dtype: torch.dtype, lasting: float, device: torch.device | None = None) -> float:
    """Return the best floating-point operations per second in products of large matrices, in so many seconds."""
    best, end = 0.0, perf_counter() + lasting
    sizes = (512, 1024, 2048) if device is None or device.type == "cpu" else (4096, 8192)
    pairs = [torch.randn(2, n, n, device=device).to(dtype) for n in sizes]
    while perf_counter() < end or not best:
        for n, (a, b) in zip(sizes, pairs, strict=True):
            best = max(best, 2 * n**3 / seconds(lambda a=a, b=b: a @ b))  # type: ignore[misc]
    return best


def fast_dtype(device: torch.device) -> torch.dtype:
    """Return bfloat16 where the library takes it to be fast, else float32."""
    return WorldModel.load("wall", device=device, dtype="auto").dtype


def name_of(dtype: torch.dtype) -> str:
    """Return "float32" for ``torch.float32``."""
    return str(dtype).removeprefix("torch.")


def in_process(function: Callable[..., T], *arguments: object) -> T:
    """Call a function in a new process, whose threads, caches and peak memory are its own, and return what it does."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


@contextmanager
def one_core() -> Iterator[None]:
    """Keep this process, and the threads that it starts, on one core, where the system can."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


@contextmanager
def watching(methods: Mapping[str, tuple[type, str]]) -> Iterator[dict[str, float]]:
    """Sum up the seconds of every call of some methods, by the names given; of those that others call, twice."""
    noted = dict.fromkeys(methods, 0.0)
    originals = {name: getattr(owner, method) for name, (owner, method) in methods.items()}
    for name, (owner, method) in methods.items():
        setattr(owner, method, _timed(originals[name], noted, name))
    try:
        yield noted
    finally:
        for name, (owner, method) in methods.items():
            setattr(owner, method, originals[name])


def _timed(original: Any, noted: dict[str, float], name: str) -> Any:
    @wraps(original)
    def timed(*args: Any, **kwargs: Any) -> Any:
        start = perf_counter()
        try:
            return original(*args, **kwargs)
        finally:
            noted[name] += perf_counter() - start

    return timed
