"""Stages side by side: in order, once each, and those that fail stop only what needs them."""

import multiprocessing
import os
import time
from pathlib import Path

import pytest
import toy_stages

from wmcontrol.compare import stages
from wmcontrol.compare.stages import Stage, run_stage, run_stages, unfinished
from wmcontrol.files import exclusive_lock


def toy(name: str, *needs: Stage, work: object = toy_stages.write) -> Stage:
    return Stage(name, {}, needs, work)


@pytest.mark.parametrize("jobs", [1, 2])
def test_each_stage_is_done_once_after_what_it_needs(jobs: int, tmp_path: Path) -> None:
    first = toy("first")
    left, right = toy("left", first), toy("right", first)
    last = toy("last", left, right)
    told: list[tuple[int, int]] = []
    run_stages([last, left], tmp_path, jobs=jobs, progress=lambda *numbers: told.append(numbers))
    assert (last.folder(tmp_path) / "text").read_text() == "last(left(first()) right(first()))"
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    attempt = last.record(tmp_path)["attempts"][0]
    assert attempt["threads"] == 1
    assert attempt["core_seconds"] >= 0
    run_stages([last, left], tmp_path, jobs=jobs, progress=lambda *numbers: told.append(numbers))
    assert len(told) == 4


def test_what_finished_stages_were_made_of_may_be_gone(tmp_path: Path) -> None:
    first = toy("first")
    middle = toy("middle", first)
    middle.folder(tmp_path).mkdir()
    (middle.folder(tmp_path) / "stage.json").write_text(
        '{"name": "middle", "digest": "", "settings": {}, "attempts": [], "facts": {}}'
    )
    assert [stage.name for stage in unfinished([toy("last", middle)], tmp_path).values()] == ["last"]
    assert [stage.name for stage in unfinished([toy("other", first)], tmp_path).values()] == ["first", "other"]


def test_a_stage_that_fails_is_named_and_stops_only_what_needs_it(tmp_path: Path) -> None:
    broken, good = toy("broken well", work=toy_stages.fail), toy("good")
    after = toy("after", broken)
    with pytest.raises(ValueError, match=r"2 of 3 .*broken well, after.*broken well: ValueError: the well is dry"):
        run_stages([after, good], tmp_path, jobs=2)
    assert good.record(tmp_path) is not None
    assert not after.folder(tmp_path).exists()


def test_a_folder_that_a_machine_does_not_see_is_named(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="elsewhere"):
        run_stage(toy("first"), tmp_path / "elsewhere")


def _hold(folder: Path, seconds: float) -> None:
    with exclusive_lock(folder):
        (folder / "held").touch()
        time.sleep(seconds)


@pytest.mark.parametrize(("seconds", "patience"), [(1, 60), (60, 0.1)])
def test_a_stage_waits_a_while_for_whoever_still_does_it(
    seconds: float, patience: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages, "_PATIENCE", patience)
    stage = toy("first")
    folder = stage.folder(tmp_path)
    folder.mkdir()
    other = multiprocessing.get_context("spawn").Process(target=_hold, args=(folder, seconds))
    other.start()
    while not (folder / "held").exists():
        time.sleep(0.05)
    try:
        if patience > seconds:
            run_stage(stage, tmp_path)
            assert stage.record(tmp_path) is not None
        else:
            with pytest.raises(OSError, match=os.path.basename(folder)):
                run_stage(stage, tmp_path)
    finally:
        other.kill()
        other.join()
