"""What a folder of results is of."""

import json
import platform
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

import wmcontrol
from wmcontrol.runs import RECORD, open_run, read_run

SETTINGS = {
    "env": ["wall", "pusht"],
    "task_seed": 7,
    "seeds_total": 3,
    "rate": 1e-4,
    "data": [Path("a"), Path("b/c")],
    "more": MappingProxyType({"seed": 4, "shape": (2, None, True), "none": {}}),
}


def begun(folder: Path, **changes: Any) -> Path:
    """Make a folder of results, and something in it."""
    with open_run(folder, "evaluate", SETTINGS | changes) as inside:
        (inside / "result").touch()
    return folder


def test_the_record_holds_settings_seeds_and_versions(tmp_path: Path) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    with open_run(tmp_path / "new" / "run", "evaluate", SETTINGS) as folder:
        record = read_run(folder)
    assert before <= datetime.fromisoformat(record.pop("started")) <= datetime.now(UTC)
    assert record == {
        "kind": "evaluate",
        "settings": {
            "env": ["wall", "pusht"],
            "task_seed": 7,
            "seeds_total": 3,
            "rate": 1e-4,
            "data": ["a", str(Path("b/c"))],
            "more": {"seed": 4, "shape": [2, None, True], "none": {}},
        },
        "seeds": {"task_seed": 7, "more.seed": 4},
        "versions": {
            "wmcontrol": wmcontrol.__version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "gymnasium": gymnasium.__version__,
            "python": platform.python_version(),
        },
    }


def test_the_same_settings_go_on_in_their_folder_wherever_it_is(tmp_path: Path) -> None:
    moved = begun(tmp_path / "run").rename(tmp_path / "moved")
    first = (moved / RECORD).read_bytes()
    begun(moved)
    assert (moved / RECORD).read_bytes() == first


@pytest.mark.parametrize("text", ["1e3", "yes", "null", "12", "'quoted'", "a: b", "???", "${seed}", "é\n"])
def test_odd_words_come_back_as_they_were(text: str, tmp_path: Path) -> None:
    assert read_run(begun(tmp_path, text=text))["settings"]["text"] == text
    begun(tmp_path, text=text)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"rate": 1}, ["rate", "0.0001 there", "1 here"]),
        ({"more": {"seed": 5, "shape": [2, None, True], "none": {}}}, ["more.seed", "4 there", "5 here"]),
        ({"added": None}, ["added"]),
    ],
)
def test_other_settings_are_refused_by_name(changes: dict[str, Any], named: list[str], tmp_path: Path) -> None:
    begun(tmp_path)
    before = (tmp_path / RECORD).read_bytes()
    with (
        pytest.raises(ValueError, match="other settings") as caught,
        open_run(tmp_path, "evaluate", SETTINGS | changes),
    ):
        pytest.fail("it began")
    for part in [*named, str(tmp_path)]:
        assert part in str(caught.value)
    assert "env" not in str(caught.value)
    assert (tmp_path / RECORD).read_bytes() == before


def test_results_of_another_kind_are_refused(tmp_path: Path) -> None:
    begun(tmp_path)
    with pytest.raises(ValueError, match=r"evaluate.*compare"), open_run(tmp_path, "compare", SETTINGS):
        pytest.fail("it began")


def test_a_run_that_failed_before_it_left_anything_claims_nothing(tmp_path: Path) -> None:
    for rate in (1, 2):
        with open_run(tmp_path, "evaluate", {"rate": rate}):
            pass
    assert read_run(tmp_path)["settings"] == {"rate": 2}


def test_one_run_at_a_time(tmp_path: Path) -> None:
    with open_run(tmp_path, "evaluate", SETTINGS):
        with pytest.raises(OSError, match="another process") as caught, open_run(tmp_path, "evaluate", SETTINGS):
            pytest.fail("two hold it")
        assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"kind": 1}',
        '{"kind": "evaluate"}',
        '{"kind": "evaluate", "settings": 3}',
        '{"kind": "evaluate", "settings": ' + "[" * 3000,
        '{"kind": NaN, "settings": {}}',
        "\x00\xff",
        "[" * 3000,
        "#" * 2**21,
    ],
)
def test_a_record_that_is_broken_is_named(content: str, tmp_path: Path) -> None:
    begun(tmp_path)
    (tmp_path / RECORD).write_bytes(content.encode("latin-1"))
    with pytest.raises(ValueError, match=RECORD), open_run(tmp_path, "evaluate", SETTINGS):
        pytest.fail("it began")


def test_what_cannot_be_compared_or_kept_is_refused_before_a_folder_is_made(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="object"), open_run(tmp_path / "run", "evaluate", {"odd": object()}):
        pytest.fail("it began")
    with pytest.raises(ValueError, match="JSON"), open_run(tmp_path / "run", "evaluate", {"odd": float("nan")}):
        pytest.fail("it began")
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"), open_run(tmp_path / "file" / "run", "evaluate", SETTINGS):
        pytest.fail("it began")


def test_a_run_that_begins_leaves_its_record_whole(tmp_path: Path) -> None:
    begun(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["result", RECORD]
    json.loads((tmp_path / RECORD).read_text())
