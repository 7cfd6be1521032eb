"""The rows of tasks that are far."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from naming import naming

from experiments import far
from wmcontrol import WorldModel


@pytest.mark.parametrize(
    ("number", "title", "names"),
    [
        (0, "Wall, opposite rooms", ["no-op", "random actions"]),
        (2, "Wall, goal of another episode", ["no-op", "random actions"]),
        (1, "Wall, another layout each time", ["prior alone"]),
    ],
)
def test_each_agent_gets_a_row_of_a_family(
    number: int, title: str, names: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(far, "make_model", lambda name, out, agent: WorldModel.load("wall"))
    short = {name: replace(family, budget=5) for name, family in far.FAMILIES.items()}
    monkeypatch.setattr(far, "FAMILIES", short)
    few = replace(far.WORLDS["wall"], data=replace(far.WORLDS["wall"].data, num_unseen=4))
    monkeypatch.setitem(far.WORLDS, "wall", few)
    agents = "prior" if len(names) == 1 else "baselines"
    far.main([str(number), "--agents", agents, "--num-tasks", "3", "--out", str(tmp_path)])
    rows = capsys.readouterr().out.splitlines()[2:]
    assert [row.split(" | ")[:3] for row in rows] == [[f"| {title}", name, "3"] for name in names]


def test_sac_learns_once_for_a_family(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    pytest.importorskip("stable_baselines3")
    monkeypatch.setattr(far, "make_model", lambda *_: pytest.fail("no model is needed"))
    short = {name: replace(family, budget=5) for name, family in far.FAMILIES.items()}
    monkeypatch.setattr(far, "FAMILIES", short)
    words = ["0", "--agents", "sac", "--num-tasks", "2", "--out", str(tmp_path), "--sac-seconds", "0.5"]
    far.main(words)
    first = capsys.readouterr().out.splitlines()[2:]
    assert len(first) == 1
    assert int(first[0].split(" true states, ")[1].split(" steps")[0].replace(",", "")) > 50
    far.main(words)
    assert capsys.readouterr().out.splitlines()[2:] == first
    far.main([*words[:-1], "1"])  # longer
    assert capsys.readouterr().out.splitlines()[2:] != first


def test_worlds_of_families_are_there_and_models_of_them_are_made_of_random_walks_or_packaged() -> None:
    assert {family.world for family in far.FAMILIES.values()} == far.WORLDS.keys()
    others = {name for name, world in far.WORLDS.items() if not world.packaged and world.data.policy != "random"}
    assert others == {"large_waypoint"}
    # Only the trajectories differ, so that the rows show what these give.
    large = far.WORLDS["large"]
    assert far.WORLDS["large_waypoint"] == replace(large, data=replace(large.data, policy="waypoint"))
    assert far.WORLDS["large_hold"] == replace(large, hold=5)
    assert far.WORLDS["large_hold"].policy().about["hold"] == 5  # type: ignore[attr-defined]


@pytest.mark.parametrize("recorded", [False, True])
def test_a_seed_draws_other_tasks(recorded: bool, tmp_path: Path) -> None:
    world = replace(far.WORLDS["wall"], data=replace(far.WORLDS["wall"].data, num_unseen=4))
    family, model = far.Family(world="wall", recorded=recorded), WorldModel.load("wall")
    first, again, other = (far._tasks(family, world, model, 3, tmp_path, seed).tasks for seed in (0, 0, 1))
    told = [[(task.source, task.seed) for task in tasks] for tasks in (first, again, other)]
    assert told[0] == told[1]
    assert not set(told[0]) & set(told[2])


@pytest.mark.parametrize(("name", "agent"), [("wall", "hierarchical"), ("pusht", "subgoals"), ("pointmaze", "flat")])
def test_packaged_models_with_what_an_agent_needs_are_taken_as_they_are(name: str, agent: str, tmp_path: Path) -> None:
    model, packaged = far.make_model(name, tmp_path, agent), WorldModel.load(name, dtype=torch.float32)
    assert list(tmp_path.iterdir()) == []
    assert model.heads().keys() == packaged.heads().keys()
    for key, weight in packaged.state_dict().items():
        assert torch.equal(model.state_dict()[key], weight)


def test_an_environment_that_is_missing_is_told_before_work_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(far, "make_rows", lambda *_: pytest.fail("work began"))
    monkeypatch.setitem(far.WORLDS, "ogbench", far.World(data=far._walks("no_such_maze:examples/Maze-v0", 1, 10)))
    with pytest.raises(SystemExit):
        far.main(["0", "10", "--out", str(tmp_path)])
    assert re.search(naming("no_such_maze", "PYTHONPATH=examples/environments"), capsys.readouterr().err)


@pytest.mark.parametrize(
    ("words", "facts"),
    [
        (["99"], (0, 12, 99)),
        (["-1"], (0, 12, -1)),
        (["0", "--num-tasks", "0"], ("num-tasks", 0)),
        (["0", "--sac-seconds", "-1"], ("sac-seconds", -1.0)),
        (["0", "--seed", "-1"], ("seed", -1)),
        (["0", "--agents", "best"], ("best", "hierarchical")),
    ],
)
def test_a_wrong_line_names_what_is_wrong(
    words: list[str], facts: tuple[object, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        far.main([*words, "--out", str(tmp_path / "out")])
    assert ended.value.code == 2
    assert re.search(naming(*facts), capsys.readouterr().err)
    assert not (tmp_path / "out").exists()
