"""``python -m experiments.benchmarks.agents``: planners with small settings, on a few tasks in Wall."""

import json
from pathlib import Path

import pytest
import torch

from experiments.benchmarks import agents
from wmcontrol import CEM, Gradient, RandomShooting
from wmcontrol.evaluation import Evaluation

BASELINES = ["no-op", "random actions"]
SMALL = {
    "cem": CEM(num_samples=12, num_iterations=2),
    "gradient": Gradient(num_samples=2, num_iterations=2),
    "random_shooting": RandomShooting(num_samples=12),
    "cma": agents.PLANNERS["cma"],
}


def test_planners_are_compared_on_the_same_tasks_one_at_a_time_and_a_killed_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.set_num_threads(1)
    monkeypatch.setattr(agents, "PLANNERS", SMALL)
    monkeypatch.setattr(agents, "find_spec", lambda name: None)
    words = ["--num-tasks=2", f"--out={tmp_path}"]
    agents.main(words)
    left_out, *rows, page = capsys.readouterr().out.splitlines()
    names = ["cem", "gradient", "random_shooting"]
    assert 'pip install "wmcontrol[cma]"' in left_out
    assert [row.split(":")[0] for row in rows] == [*names, *BASELINES]
    assert page == str(tmp_path / "report.html")
    assert (tmp_path / "planners.png").stat().st_size > 5000
    judged = [Evaluation.read(file) for file in sorted(tmp_path.glob("*.jsonl"))]
    assert len(judged) == 5
    assert len({json.dumps(e.header["tasks"], sort_keys=True) for e in judged}) == 1
    assert {evaluation.header["batch"] for evaluation in judged} == {1}

    report = (tmp_path / "report.json").read_bytes()
    whole = (tmp_path / "gradient.jsonl").read_bytes()
    first = b"".join(whole.splitlines(keepends=True)[:2])
    (tmp_path / "gradient.jsonl").write_bytes(first + b'{"task": 1, "succ')  # killed there
    (tmp_path / "random_shooting.jsonl").unlink()  # the same seed gives it again
    agents.main(words)
    assert (tmp_path / "gradient.jsonl").read_bytes().startswith(first)
    assert (tmp_path / "report.json").read_bytes() == report


def test_the_papers_settings_are_those_of_cem() -> None:
    assert agents.PLANNERS["cem"] == CEM(num_samples=300, num_elites=10, num_iterations=30, std=2.0)
