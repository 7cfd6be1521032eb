"""Timing: ways to do a thing are measured in turns, so that another program beside them slows all alike."""

from collections.abc import Callable, Mapping
from statistics import median
from time import perf_counter
from typing import Any, TypeVar

import torch

Name = TypeVar("Name")


def in_turns(ways: Mapping[Name, Callable[[], Any]], rounds: int) -> dict[Name, list[float]]:
    """Return the seconds that each way took in each round, after one that does not count."""
    for work in ways.values():
        work()
    taken: dict[Name, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, work in ways.items():
            taken[name].append(seconds(work))
    return taken


def seconds(work: Callable[[], Any]) -> float:
    """Return how long something takes, on a GPU until it is done there."""
    start = perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return perf_counter() - start


def ratio(slow: list[float], fast: list[float]) -> float:
    """Return how many times as fast: the median over rounds."""
    return median(a / b for a, b in zip(slow, fast, strict=True))


def product_rate(dtype: torch.dtype, lasting: float, device: torch.device | None = None) -> float:
    """Return the best floating-point operations per second in products of large matrices, in so many seconds."""
    best, end = 0.0, perf_counter() + lasting
    sizes = (512, 1024, 2048) if device is None or device.type == "cpu" else (4096, 8192)
    pairs = [torch.randn(2, n, n, dtype=torch.float32, device=device).to(dtype) for n in sizes]
    while perf_counter() < end or not best:
        for n, (a, b) in zip(sizes, pairs, strict=True):
            best = max(best, 2 * n**3 / seconds(lambda a=a, b=b: a @ b))  # type: ignore[misc]
    return best
