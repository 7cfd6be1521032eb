"""One function on many items: in processes of this machine through joblib, or on a Ray cluster."""

import os
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

ENGINES = ("processes", "ray")
_LOSSES = 3  # workers that are lost over an item before it counts as failed
_LOOK = 0.2  # seconds between two looks at whether the parent lives


class ParallelError(ValueError):
    """Some items failed; the others are done.

    Attributes:
        failed: what went wrong, by the index of the item.
    """

    def __init__(self, message: str, failed: Mapping[int, str]) -> None:
        super().__init__(message)
        self.failed = failed

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.failed)


@dataclass(frozen=True)
class _Outcome:
    index: int
    result: Any = None
    error: str = ""  # of an item that failed
    trace: str = ""


def run_parallel(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    jobs: int | None = None,
    engine: str = "processes",
    engine_address: str | None = None,
    imports: Sequence[str] = (),
    name: Callable[[Item], str] = str,
    progress: Callable[[int, int], None] | None = None,
    on_result: Callable[[int, Result], None] | None = None,
) -> list[Result]:
    """Call a function on every item, several at once, and return what it returns, in the order of the items.

    An item that fails stops no other. When a worker or a machine is lost, its items run again on another, so the
    function must bear being called again on an item that it had begun. Worker processes end with this process, however
    it ends; Ctrl-C ends them too.

    Args:
        function: what to do; it and the items are pickled.
        items: what to do it with.
        jobs: items at once; by default the cores of this machine, or of the cluster. With 1 and ``"processes"`` the
            function is called in this process.
        engine: ``"processes"`` (joblib's, with one thread each) or ``"ray"`` (Ray's tasks, one core each).
        engine_address: of the Ray cluster, as ``ray.init`` takes it; by default ``RAY_ADDRESS``, or the cluster that
            this machine belongs to.
        imports: modules that a worker imports before its first item, which register what the items name.
        name: what an item is called in errors.
        progress: called with the number of items that are done, and of all.
        on_result: called with the index of an item and what the function returned, as soon as it is done.

    Raises:
        ParallelError: items failed; it names them.
        ValueError: no such engine, or ``jobs`` is below 1.
        ImportError: Ray is not installed.
        ConnectionError: there is no such cluster.
    """
    if engine not in ENGINES:
        raise ValueError(f"engine: expected one of {', '.join(ENGINES)}; got {engine!r}")
    if jobs is not None and jobs < 1:
        raise ValueError(f"jobs: expected a whole number from 1 up, got {jobs}")
    todo = list(items)
    if not todo:
        return []
    run = _in_processes if engine == "processes" else partial(_on_ray, address=engine_address)
    found: dict[int, _Outcome] = {}
    if imports:  # also by a worker that was begun before this process looked where they are
        function = partial(_imported, function, tuple(imports), tuple(sys.path))
    for outcome in run(function, todo, jobs):
        found[outcome.index] = outcome
        if on_result and not outcome.error:
            on_result(outcome.index, outcome.result)
        if progress:
            progress(len(found), len(todo))
    failed = {index: found[index].error for index in range(len(todo)) if found[index].error}
    if failed:
        each = "; ".join(f"{name(todo[index])}: {error}" for index, error in failed.items())
        error = ParallelError(f"{len(failed)} of {len(todo)} failed, the others are kept. {each}", failed)
        for index in failed:
            error.add_note(f"{name(todo[index])}:\n{found[index].trace}")
        raise error
    return [found[index].result for index in range(len(todo))]


def _attempt(function: Callable[[Any], Any], index: int, item: Any) -> _Outcome:
    try:
        return _Outcome(index, function(item))
    except Exception as error:  # in words: not every exception can be pickled
        return _Outcome(index, error=_said(error), trace=traceback.format_exc())


def _imported(function: Callable[[Any], Any], modules: Sequence[str], paths: Sequence[str], item: Any) -> Any:
    sys.path += [path for path in paths if path not in sys.path]
    for module in modules:
        import_module(module)
    return function(item)


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _in_processes(function: Callable[[Any], Any], items: Sequence[Any], jobs: int | None) -> Iterator[_Outcome]:
    import joblib

    # One is no pool; and an item that kills its process must not kill this one.
    wanted = 1 if jobs == 1 else max(2, min(jobs or joblib.cpu_count(), len(items)))
    pool = {"inner_max_num_threads": 1, "initializer": _end_with, "initargs": (os.getpid(),)}
    waiting, losses = dict(enumerate(items)), Counter[int]()
    while waiting:
        # With a worker all that runs beside it is lost. An item that was there twice is run alone, to tell which it is.
        batch = {index: item for index, item in waiting.items() if losses[index] < _LOSSES - 1}
        batch = batch or dict([next(iter(waiting.items()))])
        try:
            with (
                joblib.parallel_config("loky", **pool),
                _unordered(partial(_attempt, function), batch, wanted) as outcomes,
            ):
                for outcome in outcomes:
                    del batch[outcome.index], waiting[outcome.index]
                    yield outcome
        except BrokenProcessPool:
            for index in [*batch][:wanted]:
                losses[index] += 1
                if losses[index] == _LOSSES:
                    del waiting[index]
                    yield _Outcome(index, error=f"its process died {_LOSSES} times; was it killed for want of memory?")


@contextmanager
def _unordered(attempt: Callable[..., _Outcome], waiting: Mapping[int, Any], jobs: int) -> Iterator[Iterator[_Outcome]]:
    import joblib

    calls = [joblib.delayed(attempt)(index, item) for index, item in waiting.items()]
    parallel = joblib.Parallel(jobs, return_as="generator_unordered", batch_size=1, pre_dispatch="n_jobs")
    with closing(parallel(calls)) as outcomes:
        yield outcomes


def _end_with(parent: int) -> None:
    """End this process soon after its parent has ended, in the middle of an item or not."""

    def look() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK)
        os._exit(1)

    threading.Thread(target=look, daemon=True).start()


def _on_ray(
    function: Callable[[Any], Any], items: Sequence[Any], jobs: int | None, *, address: str | None
) -> Iterator[_Outcome]:
    """Yield outcomes of Ray tasks, each waited for by a thread of joblib's.

    ``ray.util.joblib`` deals items out to a fixed pool of actors, the next to the next whether it is busy or not: of
    items that take 8, 1, 1, 1, 1, 1, 1, 1 and 1 seconds two actors make 14 seconds, and tasks 8. An item whose actor is
    lost fails there; tasks run again on another machine.
    """
    try:
        import ray
    except ImportError as error:
        raise ImportError('engine=ray needs Ray; run: pip install "wmcontrol[ray]"') from error
    import joblib

    if not ray.is_initialized():
        ray.init(address=address or "auto")
    task = ray.remote(num_cpus=1, max_retries=_LOSSES - 1)(_attempt)
    running: set[Any] = set()

    def wait(index: int, item: Any) -> _Outcome:
        reference = task.remote(function, index, item)
        running.add(reference)
        try:
            outcome: _Outcome = ray.get(reference)
            return outcome
        except ray.exceptions.RayError as error:
            return _Outcome(index, error=_said(error), trace=traceback.format_exc())
        finally:
            running.discard(reference)

    cores: float = ray.cluster_resources().get("CPU", 1)  # type: ignore[no-untyped-call]
    wanted = min(jobs or int(cores), len(items))
    try:
        with joblib.parallel_config("threading"), _unordered(wait, dict(enumerate(items)), wanted) as outcomes:
            yield from outcomes
    finally:
        for reference in [*running]:  # after Ctrl-C
            ray.cancel(reference, force=True)
