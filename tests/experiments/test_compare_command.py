"""``wmcontrol compare``: from keys to a comparison."""

from dataclasses import replace
from pathlib import Path

import pytest

from wmcontrol.compare import ENVIRONMENTS
from wmcontrol.evaluation import PROTOCOLS
from wmcontrol.experiments.cli import main
from wmcontrol.experiments.jobs.compare import Config, comparison
from wmcontrol.experiments.planner_names import PLANNERS
from wmcontrol.experiments.task_keys import PLANNER_NAMES, PROTOCOL_NAMES
from wmcontrol.planners import CEM


def test_without_keys_it_is_the_papers_table() -> None:
    usual = comparison(Config())
    assert usual.environments == ENVIRONMENTS
    assert usual.planner == CEM(**PROTOCOLS["paper"].planner, std=2.0)


def test_keys_override_what_is_usual() -> None:
    words = {"num_steps": 7, "protocol": "mpc", "num_tasks": 9, "context_steps": 5, "num_train_trajectories": None}
    asked = comparison(
        Config(env=["pusht"], planner_settings={"num_samples": 20, "std": 1}, objective={"metric": "l2"}, **words)
    )
    given, usual = asked.environments["pusht"], ENVIRONMENTS["pusht"]
    assert given.training == replace(usual.training, num_steps=7, warmup_steps=0)
    assert given.planning == replace(usual.planning, metric="l2", standardize=0, context_steps=5, context_frames=2)
    assert (asked.protocol.name, asked.num_tasks, asked.oracle_tasks) == ("mpc", 9, 9)
    assert asked.planner == CEM(**{**PROTOCOLS["mpc"].planner, "num_samples": 20, "std": 1})


def test_planners_and_protocols_of_the_keys_are_all_there_are() -> None:
    assert set(PLANNER_NAMES) == set(PLANNERS)
    assert set(PROTOCOL_NAMES) == set(PROTOCOLS)


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["env=wal"], "wall"),
        (["env=[]"], "env"),
        (["env=wall,wall"], "env"),
        (["env=wall,pusht", "data=nowhere"], "data"),
        (["env=wall", "data=nowhere"], "nowhere"),
        (["env=wall", "base=nowhere"], "nowhere"),
        (["modes=full,full"], "modes"),
        (["env=wall", "num_train_trajectories=1800"], "num_train_trajectories"),
        (["planner=cen"], "cem"),
        (["planner_settings={num_sample:3}"], "num_sample"),
        (["objective={metrics:l2}"], "metrics"),
        (["engine=mpi"], "engine"),
        (["num_steps=0"], "num_steps"),
    ],
)
def test_mistakes_are_told_before_a_folder_is_made(
    words: list[str], names: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", *words, f"out={tmp_path / 'out'}"]) in (1, 2)
    assert names in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
