"""Stages side by side, each in a process of its own with one thread."""

import os
import pickle
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO

from .stage_process import OUTPUT
from .stages import Stage

_PAUSE = 0.05  # seconds between two looks at what runs

Running = dict[str, tuple[Stage, "subprocess.Popen[bytes]"]]


def run_stages(wanted: Iterable[Stage], root: Path, jobs: int) -> None:
    """Do stages and all that they need and that is not finished, so many at once; each starts when its needs are done.

    The processes end when this one does, however it goes; whoever runs the same stages again goes on. One that fails
    stops nothing but what needs it.

    Raises:
        ValueError: some failed; it names them, and where the first one's output lies.
    """
    waiting = unfinished(wanted, root)
    running: Running = {}
    failed: dict[str, Stage] = {}
    total, started = len(waiting), 0
    try:
        while waiting or running:
            for stage in list(waiting.values()):
                if any(need.digest in failed for need in stage.needs):
                    failed[stage.digest] = waiting.pop(stage.digest)
                elif len(running) < jobs and not any(n.digest in waiting or n.digest in running for n in stage.needs):
                    started += 1
                    print(f"[{started}/{total}] {stage.name}", flush=True)
                    running[stage.digest] = (waiting.pop(stage.digest), _start(stage, root))
            for digest, (stage, process) in list(running.items()):
                if process.poll() is not None:
                    _close(process.stdin)
                    del running[digest]
                    if process.returncode != 0:
                        failed[digest] = stage
                        print(f"{stage.name} failed", file=sys.stderr, flush=True)
            time.sleep(_PAUSE)
    finally:
        for _, process in running.values():
            process.kill()
            process.wait()
            _close(process.stdin)
    if failed:
        first = next(stage for stage in failed.values() if not any(need.digest in failed for need in stage.needs))
        output = first.folder(root) / OUTPUT
        last = (output.read_text(errors="replace", encoding="utf-8").strip().splitlines() or ["no output"])[-1]
        names = ", ".join(stage.name for stage in failed.values())
        raise ValueError(
            f"{len(failed)} of {total} stages failed, or need one that did ({names}); the others are kept. "
            f"{output} ends: {last}"
        )


def unfinished(wanted: Iterable[Stage], root: Path) -> dict[str, Stage]:
    """Return the stages that are to be done, by digest, each after its needs; of finished ones the needs are not."""
    found: dict[str, Stage] = {}
    for stage in wanted:
        if stage.digest not in found and stage.record(root) is None:
            found |= unfinished(stage.needs, root)
            found[stage.digest] = stage
    return found


def _start(stage: Stage, root: Path) -> "subprocess.Popen[bytes]":
    folder = stage.folder(root)
    folder.mkdir(parents=True, exist_ok=True)
    message = pickle.dumps((stage, root))
    with (folder / OUTPUT).open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.stage_process"],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"},
        )
    assert process.stdin is not None
    with suppress(BrokenPipeError):  # of one that died at once; its exit code and its output say so
        process.stdin.write(len(message).to_bytes(8, "big") + message)
        process.stdin.flush()
    return process


def _close(pipe: IO[bytes] | None) -> None:
    assert pipe is not None
    with suppress(BrokenPipeError):
        pipe.close()
