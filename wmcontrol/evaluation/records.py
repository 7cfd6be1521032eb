"""The file that an evaluation grows in: a line that says what is judged, and a line for each task.

A process may die at any moment: a line that was not finished is dropped, and what is missing is done again.
"""

import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from .tasks import as_json

FORMAT = 1


class Records:
    """An evaluation's lines, in memory and in a file that is open for more of them."""

    def __init__(self, file: IO[bytes] | None, header: Mapping[str, Any], lines: dict[int, dict[str, Any]]):
        self._file = file
        self.header = header
        self.lines = lines

    def add(self, new: Iterable[dict[str, Any]]) -> None:
        """Add tasks that are not there yet; they are on disk when this returns."""
        missing = [line for line in new if line["task"] not in self.lines]
        for line in missing:
            self.lines[line["task"]] = json.loads(as_json(line))  # as it would be read again
        if self._file is not None and missing:
            self._file.write("".join(as_json(line) + "\n" for line in missing).encode())
            self._file.flush()
            os.fsync(self._file.fileno())


@contextmanager
def recording(path: str | os.PathLike[str] | None, header: Mapping[str, Any]) -> Iterator[Records]:
    """Open the file of an evaluation, new or begun; None: nothing is written.

    Raises:
        OSError: it cannot be written, or another process writes it.
        ValueError: it is of another evaluation, or is none; it names the file and the line.
    """
    head = json.loads(as_json({"format": FORMAT, **header}))
    if path is None:
        yield Records(None, head, {})
        return
    path = Path(path)
    with path.open("a+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OSError(f"another process is writing {path}; wait for it") from None
        file.seek(0)
        text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        found, lines = parse(path, whole)
        first = as_json(head).encode() + b"\n"
        if found is None and not first.startswith(text):
            raise ValueError(f"{path} is not the file of an evaluation; give another one")
        if found not in (None, head):
            raise ValueError(f"{path} is of another evaluation: {_first_difference(found, head)}; give another file")
        file.truncate(len(whole))
        if found is None:
            file.write(first)
            file.flush()
        yield Records(file, head, lines)


def parse(path: Path, text: bytes) -> tuple[dict[str, Any] | None, dict[int, dict[str, Any]]]:
    """Return the header, or None of an empty file, and the lines by task.

    Raises:
        ValueError: a line that is not one of an evaluation's; it names the file and the line.
    """
    head: dict[str, Any] | None = None
    lines: dict[int, dict[str, Any]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        try:
            value = json.loads(line)
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: this is no JSON: {error}") from None
        key = "format" if head is None else "task"
        if not isinstance(value, dict) or not isinstance(value.get(key), int):
            raise ValueError(f'{path}, line {number}: an evaluation\'s line has a number under "{key}"')
        if head is not None:
            lines[value["task"]] = value
        elif value["format"] != FORMAT:
            raise ValueError(f"{path}, line {number}: this is of format {value['format']}, known is {FORMAT}")
        else:
            head = value
    return head, lines


def _first_difference(found: Mapping[str, Any], asked: Mapping[str, Any], path: str = "") -> str:
    for key in sorted({*found, *asked}):
        old, new = found.get(key), asked.get(key)
        if old != new:
            if isinstance(old, dict) and isinstance(new, dict):
                return _first_difference(old, new, f"{path}{key}.")
            return f"{path}{key} is {old!r} there and {new!r} here"
    return "it differs"
