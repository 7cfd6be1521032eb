"""Where results lie and what is written beside them."""

import platform
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from naming import naming

import wmcontrol
from wmcontrol.experiments.errors import UsageError
from wmcontrol.experiments.keys import key
from wmcontrol.experiments.overrides import read_overrides
from wmcontrol.experiments.record import RECORD, read_record, results_folder, write_record


@dataclass
class Config:
    env: list[str] = key("where", default=["wall"], example="wall")
    seed: int = key("which", default=0, example="1")
    task_seed: int = key("which tasks", default=7, example="1")
    seeds_total: int = key("not a seed", default=3, example="1")
    rate: float = key("how fast", default=1e-4, example="1")
    text: str = key("words", default="", example="x")
    data: list[Path] = key("from", default=[], example="x")
    out: Path | None = key("where to", default=None, example="x")
    settings: dict[str, Any] = key("more", default={}, example="{a:1}")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def config(*words: str) -> Config:
    (combination,) = read_overrides(Config, words)
    made = combination.config
    assert isinstance(made, Config)
    return made


def test_the_record_holds_configuration_seeds_and_versions(tmp_path: Path) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    words = ["env=wall,pusht", "seed=4", "data=a,b/c", "out=x/${seed}", "settings={a:[1,null],b:{c:true}}"]
    write_record(tmp_path, "evaluate", config(*words))
    record = read_record(tmp_path)
    assert before <= datetime.fromisoformat(record.pop("started")) <= datetime.now(UTC)
    assert record == {
        "job": "evaluate",
        "config": {
            "env": ["wall", "pusht"],
            "seed": 4,
            "task_seed": 7,
            "seeds_total": 3,
            "rate": 1e-4,
            "text": "",
            "data": ["a", "b/c"],
            "out": "x/4",
            "settings": {"a": [1, None], "b": {"c": True}},
        },
        "seeds": {"seed": 4, "task_seed": 7},
        "versions": {
            "wmcontrol": wmcontrol.__version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "gymnasium": gymnasium.__version__,
            "python": platform.python_version(),
        },
    }
    assert [p.name for p in tmp_path.iterdir()] == [RECORD]


def test_results_without_a_place_get_a_new_folder_each_named_after_the_time() -> None:
    folders = [results_folder("show episodes", config()) for _ in range(3)]
    assert len(set(folders)) == 3
    for folder in folders:
        assert folder.parent == Path("outputs/show_episodes")
        assert re.fullmatch(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d(_\d)?", folder.name)
        assert read_record(folder)["job"] == "show episodes"


def test_a_run_with_the_same_configuration_goes_on_in_its_folder(tmp_path: Path) -> None:
    out = tmp_path / "mine"
    assert results_folder("evaluate", config("seed=1"), out) == out
    (out / "results.jsonl").write_text("{}")
    first = (out / RECORD).read_bytes()
    assert results_folder("evaluate", config("seed=1"), out) == out
    # Moved, it is still the same run.
    moved = out.rename(tmp_path / "moved")
    results_folder("evaluate", replace(config("seed=1"), out=moved), moved)
    assert (moved / RECORD).read_bytes() == first
    assert (moved / "results.jsonl").read_text() == "{}"


@pytest.mark.parametrize("text", ["1e3", "yes", "'quoted'", "a: b", "${seed}", "???", "é\n", "null", "12"])
def test_odd_words_come_back_as_they_were(text: str, tmp_path: Path) -> None:
    made = replace(config(), text=text)
    results_folder("evaluate", made, tmp_path)
    assert read_record(tmp_path)["config"]["text"] == text
    results_folder("evaluate", made, tmp_path)


def test_results_of_something_else_are_not_mixed_with(tmp_path: Path) -> None:
    results_folder("evaluate", config("seed=1"), tmp_path)
    (tmp_path / "result").touch()
    with pytest.raises(UsageError, match=naming("seed", 1, 2, "out=FOLDER")):
        results_folder("evaluate", config("seed=2"), tmp_path)
    with pytest.raises(UsageError, match="evaluate"):
        results_folder("compare", config("seed=1"), tmp_path)


def test_a_run_that_failed_before_it_left_anything_claims_nothing(tmp_path: Path) -> None:
    results_folder("evaluate", config("seed=1"), tmp_path)
    results_folder("evaluate", config("seed=2"), tmp_path)
    assert read_record(tmp_path)["config"]["seed"] == 2


ALIASES = "a0: &a0 [1]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12))
BROKEN = ("", "job: [", "- 1\n", "job: demo\n", "job: demo\nconfig: 3\n", "\x00\xff", "job: .nan\nconfig: {a: 1}\n")


@pytest.mark.parametrize(
    "content", [*BROKEN, f"job: demo\nconfig: {'[' * 3000}", f"job: demo\nconfig:\n  b: 1\n{ALIASES}", "#" * 2**21]
)
def test_a_record_that_is_broken_is_named(content: str, tmp_path: Path) -> None:
    (tmp_path / RECORD).write_bytes(content.encode("latin-1"))
    (tmp_path / "result").touch()
    with pytest.raises(ValueError, match=r"run\.yaml"):
        results_folder("evaluate", config(), tmp_path)


def test_a_place_that_cannot_be_written_is_a_mistake_of_the_users(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="out=FOLDER"):
        results_folder("evaluate", config(), tmp_path / "file" / "x")
