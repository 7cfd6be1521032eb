"""Noting how long methods take while something runs."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from time import perf_counter
from typing import Any


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
