"""The file that an evaluation grows in: a line that says what is evaluated, and a line for each task.

A process may die at any moment: a line that was not finished is dropped, and what is missing is done again.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..files import exclusive_lock
from ..runs import OtherRunError, differences
from ..untrusted import AnyJson, Boolean, Integer, Nullable, Number, Record, Text, parse_json

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
    """An evaluation's lines, in memory and in a file, of which so many bytes are whole lines."""

    def __init__(self, path: Path | None, header: Mapping[str, Any], lines: dict[int, dict[str, Any]], size: int = 0):
        self._path, self._size = path, size
        self.header, self.lines = header, lines

    def add(self, new: Iterable[dict[str, Any]] = ()) -> None:
        """Add tasks that are not there yet; they are on disk when this returns, and the header in any case.

        Raises:
            ValueError: a number of a task is none, as a distance that is NaN; it names the task.
            OSError: the disk is full; it names the file.
        """
        missing = [line for line in new if line["task"] not in self.lines]
        self.lines |= {line["task"]: parse_json(as_json(line), _LINE, f"task {line['task']}") for line in missing}
        if self._path is None:
            return
        lines = [self.header, *missing] if self._size == 0 else missing
        text = "".join(as_json(line) + "\n" for line in lines).encode()
        try:
            with self._path.open("ab", buffering=0) as file:
                file.truncate(self._size)  # after it stands half a line of a process that died
                written = 0
                while written < len(text):
                    written += file.write(text[written:])
                os.fsync(file.fileno())
                self._size += written
        except OSError as error:
            told = f"cannot write {self._path}: {error.strerror or error}; what is finished is kept"
            raise OSError(error.errno, told) from error


@contextmanager
def recording(path: str | os.PathLike[str] | None, header: Mapping[str, Any]) -> Iterator[Records]:
    """Hold the file of an evaluation, new or begun, and read what it has; None: nothing is written.

    Raises:
        OSError: another process writes it, or its folder is not there.
        OtherRunError: it is of another evaluation, or of none.
        ValueError: a line of it is broken; it names the file and the line.
    """
    head: dict[str, Any] = parse_json(as_json({"format": FORMAT, **header}), _HEADER, "the evaluation's settings")
    if path is None:
        yield Records(None, head, {})
        return
    path = Path(path)
    # The lock is a file of its own, since a locked one cannot be read on some systems.
    with exclusive_lock(path, path.with_name(f".{path.name}.lock")):
        text = path.read_bytes() if path.exists() else b""
        found, lines, size = parse(path, text)
        if found is None and not f"{as_json(head)}\n".encode().startswith(text):
            raise OtherRunError(f"{path} is not the file of an evaluation; give another one")
        if found is not None and found != head:
            raise OtherRunError(f"{path} is of another evaluation: {differences(found, head)[0]}; give another file")
        yield Records(path, head, lines, size)


def parse(path: Path, text: bytes) -> tuple[dict[str, Any] | None, dict[int, dict[str, Any]], int]:
    """Return the header, or None of an empty file; the lines by task; and how many bytes of the file are whole lines.

    Raises:
        ValueError: a line that is not one of an evaluation's; it names the file, the line and the field.
    """
    head: dict[str, Any] | None = None
    lines: dict[int, dict[str, Any]] = {}
    size = text.rfind(b"\n") + 1
    for number, line in enumerate(text[:size].splitlines(), 1):
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
    return head, lines, size


def as_json(value: Any) -> str:
    """Write settings as JSON, arrays as lists; what JSON cannot write is a TypeError."""

    def plain(other: Any) -> Any:
        if hasattr(other, "tolist"):
            return other.tolist()
        raise TypeError(f"{other!r} cannot be written as JSON; describe it in words or numbers")

    return json.dumps(value, sort_keys=True, default=plain)
