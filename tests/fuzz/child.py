"""One case in a process of its own: limits, what it opened, what it ran, and how it ended."""

import ctypes
import json
import os
import resource
import select
import shutil
import signal
import sys
import time
import traceback
import types
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOM = 512 << 20  # bytes of memory that a case may take, beside what it has when it begins
CPU_SECONDS, WALL_SECONDS = 20, 90
_NO_ROOM = ("memoryerror", "unable to allocate", "can't allocate", "cannot allocate", "bad_alloc", "not enough memory")
_RUNS = ("os.system", "subprocess.Popen", "os.exec", "os.posix_spawn", "os.fork", "os.startfile", "socket.connect")
_OPENED = 0x20 | 0x100 | 0x2  # inotify's: opened, created, modified
_IS_FOLDER = 0x40000000


_RAN: list[str] = []


def run(*_: Any) -> None:
    """Be what hostile pickles name: ``fuzz_payload.run``."""
    _RAN.append("fuzz_payload.run was called")


run.__module__ = "fuzz_payload"
sys.modules["fuzz_payload"] = types.ModuleType("fuzz_payload")
sys.modules["fuzz_payload"].run = run  # type: ignore[attr-defined]


class WrongError(Exception):
    """What was read makes no sense."""


class ForeignError(Exception):
    """Something that no file should bring about was tried."""


@dataclass
class Result:
    """How a case ended."""

    number: int
    target: str
    change: str
    outcome: str
    said: str = ""
    where: str = ""
    megabytes: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Task:
    """What a case does.

    Attributes:
        change: in words, what was changed.
        run: does it.
        names: an error must have one of these words ...
        fields: ... and one of these, where there are any.
        must_refuse: whether it would be wrong to succeed.
    """

    change: str
    run: Callable[[], Any]
    names: tuple[str, ...]
    fields: tuple[str, ...] = ()
    must_refuse: bool = False


def run_case(number: int, target: str, prepare: Callable[[], Task], outside: Path) -> Result:
    """Run a case in a process of its own."""
    begin = time.monotonic()
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _child(number, target, prepare, outside, writing)
    os.close(writing)
    said, ended = b"", False
    while not ended:
        left = begin + WALL_SECONDS - time.monotonic()
        ready, _, _ = select.select([reading], [], [], max(0.0, left))
        if not ready:
            break
        block = os.read(reading, 1 << 16)
        said += block
        ended = not block
    os.close(reading)
    if not ended:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    lines = [json.loads(line) for line in said.decode().splitlines()]
    result = Result(number, target, lines[0]["change"] if lines else "?", "crash")
    if lines and "outcome" in lines[-1]:
        result = Result(**lines[-1])
    elif not ended or (os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGALRM)):
        result.outcome = "hang"
    else:
        result.said = f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"exit {os.WEXITSTATUS(status)}"
    result.seconds = round(time.monotonic() - begin, 2)
    return result


def _child(number: int, target: str, prepare: Callable[[], Task], outside: Path, writing: int) -> None:
    code = 1
    try:
        os.setsid()
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(null, stream)
        warnings.simplefilter("ignore")
        task = prepare()
        os.write(writing, json.dumps({"change": task.change}).encode() + b"\n")
        result = _judged(number, target, task, outside)
        os.write(writing, json.dumps(asdict(result)).encode() + b"\n")
        code = 0
    except BaseException:
        said = traceback.format_exc()[-2000:]
        failed = Result(number, target, "the fuzzer itself", "crash", said)
        os.write(writing, json.dumps(asdict(failed)).encode() + b"\n")
    finally:
        os._exit(code)


def _judged(number: int, target: str, task: Task, outside: Path) -> Result:
    watched = _watch(outside)
    seen: list[tuple[str, str]] = []  # what must not happen: the outcome, and what it was
    active = [True]

    def audit(event: str, args: tuple[Any, ...]) -> None:
        if active[0] and event in _RUNS:
            seen.append(("code", f"{event} {args!r}"[:200]))
            raise ForeignError(event)

    sys.addaudithook(audit)
    _limit()
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    error: BaseException | None = None
    try:
        task.run()
    except BaseException as raised:
        error = raised
    active[0] = False
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - resident
    resource.setrlimit(resource.RLIMIT_DATA, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    outcome, said = _outcome(error, task)
    if most * 1024 > ROOM:
        outcome = "memory"
    seen += [("code", said) for said in _RAN]
    opened = _opened(watched)
    if opened:
        seen.append(("foreign", opened))
    if seen:
        outcome, said = seen[0][0], f"{seen[0][1]}: {said}"
    return Result(number, target, task.change, outcome, said[:1500], _place(error), most // 1024)


def _outcome(error: BaseException | None, task: Task) -> tuple[str, str]:
    if error is None:
        return ("wrong", "it was accepted") if task.must_refuse else ("ok", "")
    said = f"{type(error).__name__}: {error}"
    whole, chained = "", error
    for _ in range(10):
        if chained is None:
            break
        whole += f"{type(chained).__name__}: {chained} ".lower()
        chained = chained.__cause__ or chained.__context__
    if any(word in whole for word in _NO_ROOM):
        return "memory", said
    if isinstance(error, WrongError):
        return "wrong", said
    if not isinstance(error, (ValueError, TypeError, OSError)) or isinstance(error, UnicodeError):
        return "raw", said
    text = str(error)
    if not any(name in text for name in task.names):
        return "unnamed", said
    words = [word for field in task.fields for word in (field, *field.split("_")) if word == field or len(word) > 4]
    if words and not any(word in text for word in words):
        return "unnamed", f"(not one of {task.fields}) {said}"
    return "clear", said


def _place(error: BaseException | None) -> str:
    """Return where in the package an error came from."""
    if error is None:
        return ""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "wmcontrol" in f.filename]
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""


def _limit() -> None:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmData"):
            used = int(line.split()[1]) * 1024
    resource.setrlimit(resource.RLIMIT_DATA, (used + ROOM, resource.RLIM_INFINITY))
    spent = int(time.process_time()) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (spent + CPU_SECONDS, spent + CPU_SECONDS + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 30, 1 << 30))


def _watch(outside: Path) -> int:
    """Have the kernel note what is opened in a folder, by whatever library."""
    libc = ctypes.CDLL(None, use_errno=True)
    watched = int(libc.inotify_init1(os.O_NONBLOCK))
    if watched < 0 or libc.inotify_add_watch(watched, os.fsencode(outside), _OPENED) < 0:
        raise OSError(ctypes.get_errno(), "inotify")
    return watched


def _opened(watched: int) -> str:
    try:
        events = os.read(watched, 1 << 16)
    except BlockingIOError:
        return ""
    at = 0
    while at < len(events):
        mask, length = (int.from_bytes(events[at + i : at + i + 4], "little") for i in (4, 12))
        name = events[at + 16 : at + 16 + length].rstrip(b"\0").decode()
        at += 16 + length
        if not mask & _IS_FOLDER:
            return f"{name} was opened"
    return ""


def fresh(folder: Path) -> Path:
    """Return an empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
