"""Work in stages, each in a folder of its own that is named by all that decides what is in it.

A stage whose folder has ``stage.json`` is finished and is not done again. One of other settings, or built on other
stages, has another folder.
"""

import hashlib
import json
import logging
import platform
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from .. import __version__
from ..engine import ParallelError, run_parallel
from ..files import atomic_write, exclusive_lock
from ..untrusted import AnyJson, ListOf, MapOf, Number, Record, Text, read_json

FINISHED, _CLOCK = "stage.json", "clock.json"
_ATTEMPTS = ListOf(Record({"seconds": Number(low=0)}, {"core_seconds": Number(low=0)}, others=AnyJson()))
_RECORD = Record(
    {
        "name": Text(),
        "digest": Text(),
        "settings": MapOf(AnyJson()),
        "attempts": _ATTEMPTS,
        "facts": MapOf(AnyJson()),
    }
)
_LOG = logging.getLogger(__name__)
_PATIENCE = 30.0  # seconds
_TICK = 5.0  # seconds of a killed attempt that may go uncounted


@dataclass(frozen=True, eq=False)
class Stage:
    """One step of making something."""

    name: str  # "collect wall"
    settings: Mapping[str, Any]  # all that decides what comes out, but for what it is built on; as JSON has it
    needs: "tuple[Stage, ...]"  # the stages that it is built on
    # Does it in stage.folder(root), or goes on with it, and returns facts about what came out.
    work: "Callable[[Stage, Path], dict[str, Any]]"

    @cached_property
    def digest(self) -> str:
        """What tells this stage from every other: of its settings, its needs, and the version of the package."""
        parts = [self.name, dict(self.settings), [need.digest for need in self.needs], __version__]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]

    def folder(self, root: Path) -> Path:
        """Where it is done."""
        return root / f"{self.name.replace(' ', '_')}-{self.digest}"

    def record(self, root: Path) -> dict[str, Any] | None:
        """What is known of it once it is finished, else None."""
        path = self.folder(root) / FINISHED
        if not path.exists():
            return None
        record: dict[str, Any] = read_json(path, _RECORD, fix=f"remove {path.parent}, and it is made again")
        return record

    def all_needs(self) -> "list[Stage]":
        """It and all it is built on, what is first to be done first."""
        found: dict[str, Stage] = {}
        for need in self.needs:
            found |= {stage.digest: stage for stage in need.all_needs()}
        return [*found.values(), self]


def run_stages(
    wanted: Iterable[Stage], root: Path, *, progress: Callable[[int, int], None] | None = None, **where: Any
) -> None:
    """Do stages and all that they need and that is not finished, so many at once; each when its needs are done.

    Whoever runs the same stages again goes on. One that fails stops nothing but what needs it.

    Args:
        wanted: the last stages.
        root: where they are done; machines of a cluster see it at the same path.
        progress: is told how many stages are done, and of how many.
        where: ``jobs``, ``engine``, ``engine_address`` and ``imports`` of :func:`~wmcontrol.engine.run_parallel`; each
            stage has one thread.

    Raises:
        ValueError: some failed; it names them, and says what went wrong with the first.
    """
    root.mkdir(parents=True, exist_ok=True)
    waiting = unfinished(wanted, root)
    total, done = len(waiting), 0
    first: ParallelError | None = None

    def count(now: int, _: int) -> None:
        if progress is not None:
            progress(done + now, total)

    needs = {digest: {need.digest for need in stage.needs} & waiting.keys() for digest, stage in waiting.items()}
    order = TopologicalSorter(needs)
    order.prepare()
    # In waves: with few workers one of them may wait for the last stage of a wave, with many the longest chain of
    # stages takes as long as it would without.
    while digests := order.get_ready():
        ready = [waiting[digest] for digest in digests]
        _LOG.info("%d to %d of %d: %s", done + 1, done + len(ready), total, ", ".join(stage.name for stage in ready))
        failed: Collection[int] = ()
        try:
            run_parallel(partial(_run_alone, root=root), ready, name=lambda stage: stage.name, progress=count, **where)
        except ParallelError as error:
            first, failed = first or error, error.failed
        done += len(ready)
        for index, stage in enumerate(ready):
            if index not in failed:  # what needs a failed one is never ready
                order.done(stage.digest)
                del waiting[stage.digest]
    if first:
        names = ", ".join(stage.name for stage in waiting.values())
        raise ValueError(f"{len(waiting)} of {total} stages failed, or need one that did ({names}). {first}") from first


def _run_alone(stage: Stage, root: Path) -> None:
    """Do a stage with one thread, so that numbers are those of any machine with however many cores."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        run_stage(stage, root)
    finally:
        torch.set_num_threads(threads)


def unfinished(wanted: Iterable[Stage], root: Path) -> dict[str, Stage]:
    """Return the stages that are to be done, by digest, each after its needs; of finished ones the needs are not."""
    found: dict[str, Stage] = {}
    for stage in wanted:
        if stage.digest not in found and stage.record(root) is None:
            found |= unfinished(stage.needs, root)
            found[stage.digest] = stage
    return found


def run_stage(stage: Stage, root: Path) -> None:
    """Do a stage whose needs are finished, unless it is finished too. Others may do other stages meanwhile."""
    if not root.is_dir():
        raise FileNotFoundError(
            f"{root} is not there on {platform.node()}; give a folder that all machines of the cluster see at one path"
        )
    folder = stage.folder(root)
    folder.mkdir(exist_ok=True)
    # A worker that was lost with its machine, or whose parent was killed, may live for a moment.
    with exclusive_lock(folder, wait=_PATIENCE):
        if stage.record(root) is not None:
            return
        with _clock(folder) as attempts:
            facts = stage.work(stage, root)
        record = {"name": stage.name, "digest": stage.digest, "settings": dict(stage.settings)}
        _write(folder / FINISHED, {**record, "attempts": attempts, "facts": facts})


@contextmanager
def _clock(folder: Path) -> Iterator[list[dict[str, Any]]]:
    """Count the seconds of this attempt beside those of attempts that were killed, on disk while they pass."""
    path = folder / _CLOCK
    attempts: list[dict[str, Any]] = read_json(path, _ATTEMPTS, fix="remove it") if path.exists() else []
    attempt: dict[str, Any] = {"seconds": 0.0, "core_seconds": 0.0, **machine()}
    attempts.append(attempt)
    started, worked, stop = time.monotonic(), time.process_time(), threading.Event()

    def tick() -> None:
        attempt["seconds"] = round(time.monotonic() - started, 1)
        attempt["core_seconds"] = round(time.process_time() - worked, 1)  # of this process, all its threads together
        _write(path, attempts)

    def keep_ticking() -> None:
        while not stop.wait(_TICK):
            tick()

    tick()
    thread = threading.Thread(target=keep_ticking, daemon=True)
    thread.start()
    try:
        yield attempts
    finally:
        stop.set()
        thread.join()
        tick()


def machine() -> dict[str, Any]:
    """What computes here: processor, threads, GPU, and versions."""
    import torch

    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    cpu = named[0] if named else platform.processor() or platform.machine()
    gpu = {"gpu": torch.cuda.get_device_name()} if torch.cuda.is_available() else {}
    return {"cpu": cpu, "threads": torch.get_num_threads(), "torch": torch.__version__, **gpu, "wmcontrol": __version__}


def _write(path: Path, content: object) -> None:
    with atomic_write(path) as file:
        file.write(json.dumps(content, indent=1).encode())
