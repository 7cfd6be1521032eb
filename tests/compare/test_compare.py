"""A whole comparison, from nothing to the report, with sizes of a moment."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import small_compare
import torch
from tracked import Told

from wmcontrol import WorldModel
from wmcontrol.cli.main import main
from wmcontrol.compare import compare
from wmcontrol.compare.plan import TASKS
from wmcontrol.evaluation import Evaluation

AGENTS = ["scratch", "full", "full with a prior", "prior alone", "best proposal"]
AGENTS += ["no-op", "random actions", "true simulator"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("demo")
    assert small_compare.run(out) == 0
    return out


def test_the_report_has_models_floor_and_ceiling_and_the_files_that_it_says(made: Path) -> None:
    found = json.loads((made / "report.json").read_text())
    assert [row["agent"] for row in found["rows"]] == AGENTS
    assert [row["num_train_trajectories"] for row in found["rows"]] == [27, 27, *6 * [None]]
    assert {row["env"] for row in found["rows"]} == {"Wall"}
    (pair,) = found["differences"]
    assert {pair["first"], pair["second"]} == {"full", "scratch"}
    assert (made / "report.html").stat().st_size > 10_000
    assert (made / "wall.mp4").stat().st_size > 1_000
    text = (made / "report.md").read_text()
    for words in ("27 of 30 episodes of 50 frames", "5 more (seed 1), which no model was trained on", "of one core"):
        assert words in text


def test_all_have_the_same_tasks_and_the_simulator_the_first_of_them(made: Path) -> None:
    files = {path.parent.name.split("_", 2)[2].rpartition("-")[0]: path for path in made.glob(f"stages/*/{TASKS}")}
    found = {agent: Evaluation.read(path) for agent, path in files.items()}
    others = [agent.replace(" ", "_") for agent in AGENTS[2:]]
    assert sorted(found) == sorted(["scratch_27_seed_0", "full_27_seed_0", *others])
    sources = {agent: [record["source"] for record in evaluation.records] for agent, evaluation in found.items()}
    assert len(sources["full_27_seed_0"]) == 4
    simulated = sources.pop("true_simulator")
    assert all(each == sources["full_27_seed_0"] for each in sources.values())
    assert simulated == sources["full_27_seed_0"][:2]
    types = {agent: evaluation.header["about"].get("dtype") for agent, evaluation in found.items()}
    assert types == {agent: None if agent in ("no-op", "random_actions") else "float32" for agent in found}
    proposed = found["full_with_a_prior"].header["about"]
    assert proposed["planning"]["num_proposals"] == 64
    assert proposed["planner"]["name"] != "BestProposal"
    assert found["prior_alone"].header["about"]["planning"]["num_proposals"] == 1
    assert found["best_proposal"].header["about"]["planner"]["name"] == "BestProposal"


def test_the_prior_is_of_the_model_of_the_last_mode_and_is_filmed(made: Path) -> None:
    (trained,) = made.glob("stages/train_wall_full_*/run/model")
    (fitted,) = made.glob("stages/fit_prior_wall_full-*/run/model")
    before, after = WorldModel.load(trained), WorldModel.load(fitted)
    assert before.prior is None
    assert after.prior is not None
    for name, weight in before.predictor.state_dict().items():
        assert torch.equal(weight, after.predictor.state_dict()[name]), name
    assert [len(record["facts"]["reached"]) for record in films(made) if "prior" in record["facts"]["mode"]] == [3]
    assert "full with a prior" in (made / "report.html").read_text()


def test_times_lie_beside_the_report_and_not_in_it(made: Path) -> None:
    stages = json.loads((made / "times.json").read_text())["stages"]
    assert {"collect wall", "collect wall unseen", "encode wall", "train wall full 27 seed 0", "film wall"} <= set(
        stages
    )
    assert all(seconds >= 0 for seconds in stages.values())
    assert "of one core" not in (made / "report.json").read_text()


def test_killed_and_run_again_it_reports_the_same_numbers(made: Path, tmp_path: Path) -> None:
    command = [sys.executable, small_compare.__file__, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 200
        while not list(tmp_path.glob("stages/train_*/run/run.json")) and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "report.json").exists()
    collected = next(tmp_path.glob("stages/collect_wall-*/stage.json"))
    before = collected.stat().st_mtime_ns
    assert small_compare.run(tmp_path) == 0
    assert collected.stat().st_mtime_ns == before
    assert (tmp_path / "report.json").read_text() == (made / "report.json").read_text()


def test_a_second_run_does_nothing_again_and_says_where_all_lies(
    made: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in made.glob("stages/*/*")}
    monkeypatch.setattr("wmcontrol.compare.demo", small_compare.small_comparison)
    assert main(["demo", f"out={made}"]) == 0
    assert {path: path.stat().st_mtime_ns for path in made.glob("stages/*/*")} == before
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2:] == [str(made / "wall.mp4"), str(made / "report.html")]
    assert any("true simulator" in line for line in lines)


def test_another_comparison_has_another_folder_and_may_share_stages(made: Path, tmp_path: Path) -> None:
    other = replace(small_compare.small_comparison(num_tasks=3), prior=None)
    with pytest.raises(ValueError, match="num_tasks is 4 there and 3 here"):
        compare(other, made)
    told: list[int] = []
    tracker = Told()
    given: dict[str, Any] = {"stages": made / "stages", "jobs": 2, "tracker": tracker}
    found = compare(other, tmp_path, **given, progress=lambda done, total: told.append(total))
    assert set(told) == {5}  # four evaluations and the film: data and models are there, the oracle has two tasks
    assert [len(row.evaluation.records) for row in found.rows] == [3, 3, 3, 3, 2]
    assert found.report == tmp_path / "report.html"
    assert found.seconds.keys() >= {"train wall full 27 seed 0", "film wall"}
    assert {step for step, _ in tracker.numbers["train wall full 27 seed 0/loss"]} == {5}
    full = next(row for row in found.rows if row.agent == "full")
    value = full.evaluation.success_end.value
    assert tracker.numbers["success_end/Wall/full/value"] == [(full.num_train_trajectories, value)]
    assert tracker.films == {"wall": tmp_path / "wall.mp4"}
    # Without a prior the film is of the model that reached most goals.
    rows = {row.agent: row.evaluation.success_end.value for row in found.rows}
    best = "full" if rows["full"] >= rows["scratch"] else "scratch"
    assert [record["facts"]["mode"] for record in films(made) if "prior" not in record["facts"]["mode"]] == [best]


def films(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in folder.glob("stages/film_*/stage.json")]
