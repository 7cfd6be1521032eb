"""Work in stages, each in a folder of its own that is named by all that decides what is in it.

A stage whose folder has ``stage.json`` is finished and is not done again. One of other settings, or built on other
stages, has another folder.
"""

import hashlib
import json
import platform
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from .. import __version__
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
_TICK = 5.0  # seconds of a killed attempt that may go uncounted


@dataclass(frozen=True, eq=False)
class Stage:
    """One step of making something.

    Args:
        name: "collect wall".
        settings: all that decides what comes out, but for what it is built on; as JSON has it.
        needs: the stages that it is built on.
        work: does it, in ``stage.folder(root)``, or goes on with it; and returns facts about what came out.
    """

    name: str
    settings: Mapping[str, Any]
    needs: "tuple[Stage, ...]"
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
        """What is known of it once it is finished, else None.

        Raises:
            ValueError: the file of it is broken.
        """
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


def run_stage(stage: Stage, root: Path) -> None:
    """Do a stage whose needs are finished, unless it is finished too. Others may do other stages meanwhile."""
    if stage.record(root) is not None:
        return
    folder = stage.folder(root)
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(folder):
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

    found: dict[str, Any] = {"cpu": _cpu(), "threads": torch.get_num_threads(), "torch": torch.__version__}
    if torch.cuda.is_available():
        found["gpu"] = torch.cuda.get_device_name()
    return {**found, "wmcontrol": __version__}


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def _write(path: Path, content: object) -> None:
    with atomic_write(path) as file:
        file.write(json.dumps(content, indent=1).encode())
