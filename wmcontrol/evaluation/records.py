"""The file that an evaluation grows in: a line that says what is evaluated, and a line for each task.

A process may die at any moment: a line that was not finished is dropped, and what is missing is done again.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from ..files import exclusive_lock
from ..runs import OtherRunError, differences
from ..untrusted import AnyJson, Boolean, Integer, Nullable, Number, Record, Text, parse_json
from .tasks import as_json

FORMAT = 2
_MAX_LINE = 2**20  # bytes
_HEADER = Record({"format": Integer(1, FORMAT)}, others=AnyJson())
_DISTANCE = Number(low=0)
_LINE = Record(
    {
        "task": Integer(low=0),
        "success_end": Boolean(),
        "success_any": Boolean(),
        "first_success": Nullable(Integer(low=1)),
        "start_distance": _DISTANCE,
        "distance": _DISTANCE,
        "decisions": Integer(low=0),
        "seconds": Number(low=0),
        "memory": Integer(low=0),
    },
    {"angle": _DISTANCE, "source": Text()},
    others=AnyJson(),
)


class Records:
    """An evaluation's lines, in memory and in a file that is open for more of them."""

    def __init__(self, file: IO[bytes] | None, header: Mapping[str, Any], lines: dict[int, dict[str, Any]]):
        self._file = file
        self.header = header
        self.lines = lines

    def add(self, new: Iterable[dict[str, Any]]) -> None:
        """Add tasks that are not there yet; they are on disk when this returns.

        Raises:
            ValueError: a number of a task is none, as a distance that is NaN; it names the task.
            OSError: the disk is full; it names the file.
        """
        missing = [line for line in new if line["task"] not in self.lines]
        self.lines |= {line["task"]: parse_json(as_json(line), _LINE, f"task {line['task']}") for line in missing}
        if self._file is not None and missing:
            _append(self._file, "".join(as_json(line) + "\n" for line in missing).encode())


def _append(file: IO[bytes], lines: bytes) -> None:
    """Write lines, which are on disk when this returns."""
    rest = memoryview(lines)
    try:
        while rest:  # past the buffer, which would try again when the file is closed
            rest = rest[os.write(file.fileno(), rest) :]
        os.fsync(file.fileno())
    except OSError as error:
        told = f"cannot write {file.name}: {error.strerror or error}; what is finished is kept"
        raise OSError(error.errno, told) from error


@contextmanager
def recording(path: str | os.PathLike[str] | None, header: Mapping[str, Any]) -> Iterator[Records]:
    """Open the file of an evaluation, new or begun; None: nothing is written.

    Raises:
        OSError: it cannot be written, or another process writes it.
        OtherRunError: it is of another evaluation, or of none.
        ValueError: a line of it is broken; it names the file and the line.
    """
    head = _head(header)
    if path is None:
        yield Records(None, head, {})
        return
    path = Path(path)
    # The lock is a file of its own, since a locked one cannot be read on some systems.
    with path.open("a+b") as file, exclusive_lock(path, path.with_name(f".{path.name}.lock")):
        file.seek(0)
        size, lines = _begun(path, file.read(), head)
        file.truncate(size)
        if not size:
            _append(file, f"{as_json(head)}\n".encode())
        yield Records(file, head, lines)


def check_begun(path: Path, header: Mapping[str, Any]) -> None:
    """Refuse a file that is of another evaluation, before any work is done.

    Raises:
        OtherRunError: it names the file and what differs.
    """
    if path.exists():
        _begun(path, path.read_bytes(), _head(header))


def _head(header: Mapping[str, Any]) -> dict[str, Any]:
    head: dict[str, Any] = parse_json(as_json({"format": FORMAT, **header}), _HEADER, "the evaluation's settings")
    return head


def _begun(path: Path, text: bytes, head: Mapping[str, Any]) -> tuple[int, dict[int, dict[str, Any]]]:
    """Return how many bytes of a file are whole lines, and those of tasks."""
    whole = text[: text.rfind(b"\n") + 1]
    found, lines = parse(path, whole)
    if found is None and not f"{as_json(head)}\n".encode().startswith(text):
        raise OtherRunError(f"{path} is not the file of an evaluation; give another one")
    if found is not None and found != head:
        raise OtherRunError(f"{path} is of another evaluation: {differences(found, head)[0]}; give another file")
    return len(whole), lines


def parse(path: Path, text: bytes) -> tuple[dict[str, Any] | None, dict[int, dict[str, Any]]]:
    """Return the header, or None of an empty file, and the lines by task.

    Raises:
        ValueError: a line that is not one of an evaluation's; it names the file, the line and the field.
    """
    head: dict[str, Any] | None = None
    lines: dict[int, dict[str, Any]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        where = f"{path}, line {number}"
        if head is None:
            head = parse_json(line, _HEADER, where)
            if head["format"] != FORMAT:
                raise ValueError(
                    f"{where}: format {head['format']} is that of an earlier wmcontrol, which named settings "
                    "otherwise; evaluate again, into another file"
                )
            continue
        value = parse_json(line, _LINE, where, max_bytes=_MAX_LINE)
        if value["success_any"] != (value["first_success"] is not None) or value["success_end"] > value["success_any"]:
            raise ValueError(f"{where}: success_end, success_any and first_success contradict one another")
        if value["task"] in lines:
            raise ValueError(f"{where}: task {value['task']} stands in an earlier line too")
        lines[value["task"]] = value
    return head, lines
