"""The lines of an evaluation's file: each number is what it must be, or the file, the line and the field are named."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from naming import naming

from wmcontrol.evaluation import Evaluation
from wmcontrol.evaluation.records import recording

HEADER = {"format": 2, "tasks": {"num_tasks": 2}, "protocol": {"budget": 5}}
LINE = {
    "success_end": True,
    "success_any": True,
    "first_success": 3,
    "start_distance": 2.0,
    "distance": 0.5,
    "decisions": 1,
    "seconds": 0.1,
    "memory": 100,
    "source": "here",
}


def write(path: Path, *lines: object) -> Path:
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return path


def test_what_was_written_comes_back(tmp_path: Path) -> None:
    with recording(tmp_path / "a.jsonl", {"tasks": {"num_tasks": 2}, "protocol": {"budget": 5}}) as records:
        records.add([{"task": i, **LINE} for i in range(2)])
    found = Evaluation.read(tmp_path / "a.jsonl")
    assert found.successes() == [True, True]
    assert found.distances.tolist() == [0.5, 0.5]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"distance": math.nan}, "distance"),
        ({"distance": math.inf}, "distance"),
        ({"distance": -1}, "distance"),
        ({"distance": "0.5"}, "distance"),
        ({"start_distance": None}, "start_distance"),
        ({"success_end": "false"}, "success_end"),
        ({"success_any": 1}, "success_any"),
        ({"first_success": 0}, "first_success"),
        ({"first_success": 1.5}, "first_success"),
        ({"decisions": -1}, "decisions"),
        ({"seconds": "fast"}, "seconds"),
        ({"memory": 10**400}, "memory"),
        ({"task": True}, "task"),
        ({"task": -1}, "task"),
        ({"note": [math.nan]}, r"note\[0\]"),
        ({"note": "x" * 2**21}, "1,048,576 bytes"),
    ],
)
def test_a_number_that_cannot_be_is_named(change: dict[str, Any], field: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", HEADER, {"task": 0, **LINE}, {"task": 1, **LINE, **change})
    with pytest.raises(ValueError, match=rf"a\.jsonl, line 3: .*{field}"):
        Evaluation.read(path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"first_success": None}, "first_success"),
        ({"success_any": False, "first_success": None}, "first_success"),
        ({"task": 0}, "task 0"),
    ],
)
def test_lines_that_contradict_are_named(change: dict[str, Any], says: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", HEADER, {"task": 0, **LINE}, {"task": 1, **LINE, **change})
    with pytest.raises(ValueError, match=rf"a\.jsonl, line 3: .*{says}"):
        Evaluation.read(path)


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ({"format": 3}, "line 1: format"),
        ({"format": 1}, "line 1: format 1"),
        ({"format": "1"}, "line 1: format"),
        ([], r"a\.jsonl.*line 1"),
        ("[" * 100_000, r"a\.jsonl.*line 1"),
        ({"format": 2}, naming("line 1", "'protocol'", "'tasks'")),
        (HEADER | {"tasks": {"num_tasks": "2"}}, r"line 1: tasks\.num_tasks"),
        (HEADER | {"tasks": {"num_tasks": 10**15}}, naming(2, 1000000000000000)),
        (HEADER | {"protocol": {}}, naming("line 1", "protocol", "'budget'")),
    ],
)
def test_a_header_that_cannot_be_is_named(header: object, says: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", header, *({"task": i, **LINE} for i in range(2)))
    with pytest.raises(ValueError, match=says):
        Evaluation.read(path)


def test_a_distance_that_is_none_is_not_written_and_its_task_is_named(tmp_path: Path) -> None:
    lines = [{"task": 0, **LINE}, {"task": 1, **LINE, "distance": math.nan}]
    with (
        recording(tmp_path / "a.jsonl", HEADER) as records,
        pytest.raises(ValueError, match=naming("task 1", "distance", "nan")),
    ):
        records.add(lines)
    assert records.lines == {}
    assert not (tmp_path / "a.jsonl").exists()
