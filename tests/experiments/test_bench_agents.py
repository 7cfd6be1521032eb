"""``wmcontrol bench agents``: planners with small settings, on a few tasks in Wall."""

import importlib.util
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from naming import naming

from wmcontrol.evaluation import Evaluation
from wmcontrol.experiments import bench_agents
from wmcontrol.experiments.cli import main
from wmcontrol.experiments.planner_names import PLANNERS, make_planner
from wmcontrol.planners import CEM, Gradient, Hybrid, Planner

BENCH = ["bench", "agents", "model=wall", "env=wall", "num_tasks=2"]
FLOOR = ["no-op", "random actions"]


def small_planner(name: str, settings: Mapping[str, Any]) -> Planner:
    """Make a planner that takes a moment."""
    if name == "hybrid":
        sampling, local = CEM(num_samples=12, num_iterations=1), Gradient(num_samples=2, num_iterations=2)
        return Hybrid(sampling=sampling, refinement=local)
    few = {} if name == "random_shooting" else {"num_iterations": 2}
    elites = {"num_elites": 5} if name == "icem" else {}
    return make_planner(name, {**settings, "num_samples": 12, **few, **elites})


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    monkeypatch.setattr(bench_agents, "make_planner", small_planner)


def agents_of(out: Path) -> list[str]:
    return [row["agent"] for row in json.loads((out / "report.json").read_text())["rows"]]


@pytest.mark.usefixtures("quick")
def test_planners_are_compared_on_the_same_tasks_one_at_a_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = [*BENCH, "planners=cem,gradient,random_shooting", f"out={out}"]
    assert main(words) == 0
    *rows, page = capsys.readouterr().out.splitlines()
    names = ["cem", "gradient", "random_shooting"]
    assert [row.split(":")[0] for row in rows] == [*names, *FLOOR]
    assert page == str(out / "report.html")
    assert agents_of(out) == [*names, *FLOOR]
    assert (out / "planners.png").stat().st_size > 5000
    judged = {name: Evaluation.read(out / f"{name}.jsonl") for name in [*names, "no-op", "random_actions"]}
    assert len({json.dumps(e.header["tasks"], sort_keys=True) for e in judged.values()}) == 1
    assert {evaluation.header["batch"] for evaluation in judged.values()} == {1}
    assert judged["cem"].header["about"]["agent"]["planner"]["num_elites"] == 10  # the paper's
    assert judged["gradient"].header["about"]["agent"]["planner"]["type"] == "Gradient"

    report = (out / "report.json").read_bytes()
    whole = (out / "gradient.jsonl").read_bytes()
    first = b"".join(whole.splitlines(keepends=True)[:2])
    (out / "gradient.jsonl").write_bytes(first + b'{"task": 1, "succ')  # killed there
    (out / "random_shooting.jsonl").unlink()  # the same seed gives it again
    (out / "report.json").unlink()
    assert main(words) == 0
    assert (out / "gradient.jsonl").read_bytes().startswith(first)
    assert (out / "report.json").read_bytes() == report


@pytest.mark.usefixtures("quick")
def test_all_planners_that_can_run_are_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["bench", "agents", "model=wall", "env=wall", "num_tasks=1", f"out={tmp_path / 'out'}"]
    monkeypatch.setattr(bench_agents, "find_spec", lambda name: None)
    assert main(words) == 0
    assert capsys.readouterr().out.startswith("cma is left out, since it is not installed")
    assert agents_of(tmp_path / "out") == [name for name in PLANNERS if name != "cma"] + FLOOR
    assert main([*BENCH, "planners=cem,cma", f"out={tmp_path / 'other'}"]) == 2
    assert 'pip install "wmcontrol[cma]"' in capsys.readouterr().err


@pytest.mark.usefixtures("quick")
def test_cma_is_among_them_where_it_is_installed(tmp_path: Path) -> None:
    if importlib.util.find_spec("cma") is None:
        pytest.skip("cma is not installed")
    assert bench_agents._planners(None) == list(PLANNERS)
    assert main([*BENCH, "planners=cma", f"out={tmp_path / 'out'}"]) == 0
    assert agents_of(tmp_path / "out") == ["cma", *FLOOR]


def test_each_planner_has_its_default_settings() -> None:
    protocol = bench_agents.PROTOCOLS["paper"]
    assert make_planner("cem", protocol.planner) == PLANNERS["cem"](num_samples=300, num_elites=10, num_iterations=30)
    for name in PLANNERS:
        assert make_planner(name, {}) == PLANNERS[name]()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["env=wall"], "model"),
        (["model=wall"], "env"),
        (["model=wall", "env=wall", "data=x"], naming("env", "data")),
        (["model=base", "env=wall"], naming("model", "base")),
        (["model=pusht", "env=wall"], naming("model", "pusht", "Wall")),
        (["model=wall", "env=wall", "planners=cem,sem"], naming("planners", "'sem'", "'cem'")),
        (["model=wall", "env=wall", "planners=cem,cem"], naming("planners", "cem, cem")),
        (["model=wall", "env=wall", "planners=[]"], "planners"),
        (["model=wall", "data=nowhere"], naming("data", "nowhere")),
        (["model=wall", "env=wall", "device=tpu9"], naming("device", "'tpu9'")),
    ],
)
def test_mistakes_are_told_in_a_line_before_work_starts(
    words: list[str], expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["bench", "agents", *words, f"out={out}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(expected, line)
    assert not out.exists()
