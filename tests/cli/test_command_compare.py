"""``wmcontrol compare``: from keys to a comparison."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import wmcontrol.planners
from wmcontrol.cli.commands import compare
from wmcontrol.cli.configs import CUSTOM, choices_of
from wmcontrol.cli.main import main
from wmcontrol.compare import ENVIRONMENTS
from wmcontrol.evaluation import PROTOCOLS
from wmcontrol.planners import CEM, Planner


@pytest.fixture
def comparison(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that gives the comparison which ``wmcontrol compare`` makes of words; none is made."""
    found: list[Any] = []
    monkeypatch.setattr(compare, "show_comparison", lambda asked, *_, **__: found.append(asked))

    def asked(*words: str) -> Any:
        assert main(["compare", *words]) == 0
        return found.pop()

    return asked


def test_without_keys_it_is_the_papers_table(comparison: Any) -> None:
    usual = comparison()
    assert usual.environments == ENVIRONMENTS
    assert usual.planner == CEM(**PROTOCOLS["paper"].planner, std=2.0)


def test_keys_override_what_is_usual(comparison: Any) -> None:
    words = ["num_steps=7", "protocol=mpc", "num_tasks=9", "context_steps=5", "num_train_trajectories=null"]
    planning = ["planner.num_samples=20", "planner.std=1", "objective.metric=l2"]
    asked = comparison("envs=[pusht]", *planning, *words)
    given, usual = asked.environments["pusht"], ENVIRONMENTS["pusht"]
    assert given.training == replace(usual.training, num_steps=7, warmup_steps=0)
    assert given.planning == replace(usual.planning, metric="l2", standardize=0, context_steps=5, context_frames=2)
    assert (asked.protocol.name, asked.num_tasks, asked.oracle_tasks) == ("mpc", 9, 9)
    assert asked.planner == CEM(**{**PROTOCOLS["mpc"].planner, "num_samples": 20, "std": 1})


def test_the_keys_of_a_protocol_are_the_comparisons(comparison: Any) -> None:
    asked = comparison("envs=[wall]", "horizon=4", "replan_every=10", "budget=15", "goal_offset=20")
    protocol = asked.protocol
    assert (protocol.horizon, protocol.replan_every, protocol.budget, protocol.goal_offset) == (4, 10, 15, 20)


def test_a_metric_is_standardized_where_both_are_given(comparison: Any) -> None:
    asked = comparison("envs=[pusht,wall]", "objective.metric=l2", "objective.standardize=0.5")
    for name in ("pusht", "wall"):
        usual = ENVIRONMENTS[name].planning
        assert asked.environments[name].planning == replace(usual, metric="l2", standardize=0.5)


@pytest.mark.long
def test_planners_and_protocols_of_the_keys_are_all_there_are(comparison: Any) -> None:
    names = set(choices_of("planner")) - {CUSTOM}
    found = {type(comparison("envs=[wall]", f"planner={name}").planner) for name in names}
    kinds = {kind for kind in vars(wmcontrol.planners).values() if isinstance(kind, type) and issubclass(kind, Planner)}
    assert found == kinds - {Planner}
    assert comparison("envs=[wall]", "planner=fast").planner == wmcontrol.planners.fast()
    assert comparison("envs=[wall]", "planner=auto").planner == CEM(std=2.0)
    assert set(choices_of("protocol")) == set(PROTOCOLS)
    for name, protocol in PROTOCOLS.items():
        asked = comparison("envs=[wall]", f"protocol={name}")
        assert asked.protocol == protocol
        assert asked.planner == CEM(**protocol.planner, std=2.0)


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["envs=[wal]"], "wall"),
        (["envs=[]"], "env"),
        (["envs=[wall,wall]"], "env"),
        (["envs=[wall,pusht]", "data.path=nowhere"], "data"),
        (["envs=[wall]", "data.path=nowhere"], "nowhere"),
        (["envs=[wall]", "data.control_rate=10"], "data.control_rate"),
        (["envs=[wall]", "base=nowhere"], "nowhere"),
        (["modes=[full,full]"], "modes"),
        (["envs=[wall]", "num_train_trajectories=[1800]"], "num_train_trajectories"),
        (["planner=cen"], "cem"),
        (["planner.num_sample=3"], "num_sample"),
        (["objective.metrics=l2"], "metrics"),
        (["objective=goal_distance"], "objective"),
        (["engine=mpi"], "engine"),
        (["num_steps=0"], "num_steps"),
        (["jobs=0"], "jobs"),
        (["seed=-1"], "seed"),
    ],
)
def test_mistakes_are_told_before_a_folder_is_made(
    words: list[str], names: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", *words, f"out={tmp_path / 'out'}"]) == 2
    assert names in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
