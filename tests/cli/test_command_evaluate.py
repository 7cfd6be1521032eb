"""``wmcontrol evaluate``: small real evaluations with the packaged model of Wall."""

import hashlib
import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from naming import naming
from refusing import refused
from safetensors.torch import load_file, save_file
from tracked import curves

import wmcontrol
from wmcontrol import PlanningAgent, PlanningSettings, WorldModel
from wmcontrol.cli.main import main
from wmcontrol.data import Subset, held_out_split, open_dataset
from wmcontrol.data.collecting import collect_batches
from wmcontrol.evaluation import DatasetTasks, Evaluation, RandomTasks, evaluate
from wmcontrol.evaluation.specs import describe
from wmcontrol.runs import read_run

PACKAGED = Path(wmcontrol.__file__).parent / "assets"
SMALL = ["planner=cem", "planner.num_samples=20", "planner.num_iterations=2", "num_proposals=0"]
WALL = ["evaluate", "model=wall", "env=wall", "num_tasks=4", "batch=2", "videos=0", *SMALL]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a finished evaluation; tests copy it."""
    out = tmp_path_factory.mktemp("finished") / "out"
    assert main([*WALL, f"out={out}"]) == 0
    return out


def about_of(folder: Path) -> dict:
    """Return what the file of an evaluation says of the agent."""
    about: dict = Evaluation.read(folder / "tasks.jsonl").header["about"]
    return about


def test_an_evaluation_has_records_baselines_and_a_report(finished: Path) -> None:
    judged = {name: Evaluation.read(finished / f"{name}.jsonl") for name in ("tasks", "no-op", "random_actions")}
    assert {len(evaluation.records) for evaluation in judged.values()} == {4}
    about = judged["tasks"].header["about"]
    assert about["model"] == "wall"
    assert about["weights"] == json.loads((PACKAGED / "wall" / "card.json").read_text())["sha256"]
    planner = about["agent"]["planner"]
    assert (planner["type"], planner["num_samples"]) == ("CEM", 20)
    assert planner["num_elites"] == 10  # the protocol's, which was not changed
    report = json.loads((finished / "report.json").read_text())
    assert [row["agent"] for row in report["rows"]] == ["world model", "no-op", "random actions"]
    assert {row["env"] for row in report["rows"]} == {"Wall"}
    assert {pair["second"] for pair in report["differences"]} == {"no-op", "random actions"}
    assert (finished / "report.html").stat().st_size > 10_000
    assert not list(finished.glob("*.mp4"))


def test_the_whole_configuration_is_recorded(finished: Path) -> None:
    record = read_run(finished)
    assert record["kind"] == "evaluate"
    settings = record["settings"]
    assert settings["agent"] == {"kind": "planning"}
    assert settings["env"] == {"id": "wmcontrol/Wall-v0", "settings": {}}
    assert (settings["model"]["path"], settings["protocol"], settings["num_tasks"]) == ("wall", "paper", 4)
    assert (settings["planner"]["_target_"], settings["planner"]["num_samples"]) == ("wmcontrol.CEM", 20)
    assert (settings["budget"], settings["batch"], settings["split"]) == (25, 2, "held_out")
    assert record["seeds"]["seed"] == 0


@pytest.mark.long
def test_the_same_seed_gives_the_same_report_with_any_number_of_processes(finished: Path, tmp_path: Path) -> None:
    assert main([*WALL, "jobs=2", f"out={tmp_path / 'again'}"]) == 0
    assert (tmp_path / "again" / "report.json").read_bytes() == (finished / "report.json").read_bytes()
    assert main([*WALL, "seed=1", f"out={tmp_path / 'other'}"]) == 0
    one, other = (Evaluation.read(folder / "tasks.jsonl") for folder in (finished, tmp_path / "other"))
    assert (one.distances != other.distances).all()


def test_a_killed_evaluation_goes_on_and_gives_the_same_report(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "killed"
    out.mkdir()
    shutil.copy(finished / "run.json", out)
    whole = (finished / "tasks.jsonl").read_bytes()
    lines = whole.splitlines(keepends=True)
    (out / "tasks.jsonl").write_bytes(b"".join(lines[:3]) + lines[3][:20])  # one batch, and half a line
    capsys.readouterr()
    assert main([*WALL, f"out={out}"]) == 0
    assert (out / "tasks.jsonl").read_bytes().startswith(b"".join(lines[:3]))  # times too: these were not done again
    assert (out / "report.json").read_bytes() == (finished / "report.json").read_bytes()
    *rows, page = capsys.readouterr().out.splitlines()
    assert page == str(out / "report.html")
    assert [row.split(":")[0].split(", ")[-1] for row in rows] == ["world model", "no-op", "random actions"]
    end = Evaluation.read(out / "tasks.jsonl").success_end
    assert f"{end} of 4 tasks" in rows[0]


def test_the_same_line_finds_its_own_folder_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["evaluate", "agent=random", "env=wall", "num_tasks=2", "videos=0"]
    assert main(words) == 0
    page = Path(capsys.readouterr().out.splitlines()[-1])
    assert page.parts[:2] == ("outputs", "evaluate")
    before = (page.parent / "tasks.jsonl").read_bytes()
    assert main([*words, "jobs=2"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(page)
    assert (page.parent / "tasks.jsonl").read_bytes() == before
    for other in ("seed=1", "batch=1"):
        assert main([*words, other]) == 0
        assert Path(capsys.readouterr().out.splitlines()[-1]).parent != page.parent


def test_other_settings_do_not_go_on_with_a_begun_folder(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    shutil.copytree(finished, out)
    capsys.readouterr()
    assert main([*WALL, "planner.num_samples=21", f"out={out}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(naming("planner.num_samples", 20, 21), line)
    assert {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()} == {
        path.name: path.read_bytes() for path in finished.iterdir() if path.is_file()
    }


def test_other_weights_do_not_go_on_with_a_begun_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, out = tmp_path / "model", tmp_path / "out"
    shutil.copytree(PACKAGED / "wall", model)
    words = ["evaluate", f"model.path={model}", "env=wall", "num_tasks=2", "videos=0", *SMALL, f"out={out}"]
    assert main(words) == 0
    before = (out / "tasks.jsonl").read_bytes()
    weights = load_file(model / "model.safetensors")
    name = next(name for name in weights if name.startswith("predictor."))
    save_file({**weights, name: weights[name] * 1.5}, model / "model.safetensors")
    capsys.readouterr()
    assert main(words) == 2
    said = capsys.readouterr().err
    assert "tasks.jsonl" in said
    assert "agent.model.weights" in said
    assert (out / "tasks.jsonl").read_bytes() == before


def test_tasks_of_data_come_from_the_trajectories_that_finetune_holds_out(data: Path, tmp_path: Path) -> None:
    words = ["evaluate", "agent=noop", f"data.path={data}", "num_tasks=4", "videos=0"]
    assert main([*words, f"out={tmp_path / 'held_out'}"]) == 0
    assert main([*words, "split_seed=1", f"out={tmp_path / 'other'}"]) == 0
    assert main([*words, "split=all", "num_tasks=20", f"out={tmp_path / 'all'}"]) == 0
    dataset = open_dataset(data)
    held_out, other = (
        {dataset.trajectory(i).provenance.record for i in held_out_split(20, seed)[1].tolist()} for seed in (0, 1)
    )
    sources = {}
    for name in ("held_out", "other", "all"):
        found = Evaluation.read(tmp_path / name / "tasks.jsonl")
        assert found.header["tasks"]["goal_offset"] == 25
        sources[name] = {record["source"].split(",")[0] for record in found.records}
    assert sources["held_out"] == held_out != other == sources["other"]
    assert len(sources["all"]) >= 18  # some stand still for a moment, and give no task
    assert len(json.loads((tmp_path / "all" / "report.json").read_text())["rows"]) == 2  # it is a baseline itself


def test_held_out_tasks_are_those_of_the_library(data: Path, tmp_path: Path) -> None:
    words = ["evaluate", "agent=noop", f"data.path={data}", "num_tasks=3", "videos=0"]
    assert main([*words, f"out={tmp_path / 'out'}"]) == 0
    tasks = DatasetTasks(Subset(open_dataset(data), held_out_split(20, 0)[1]), 3)
    assert Evaluation.read(tmp_path / "out" / "tasks.jsonl").header["tasks"] == tasks.describe()


def test_context_steps_show_the_model_what_came_before(data: Path, tmp_path: Path) -> None:
    following = ["planner=gradient", "planner.num_samples=2", "planner.num_iterations=3"]  # whatever is imagined shows
    words = ["evaluate", "model=wall", f"data.path={data}", "num_tasks=2", "videos=0", *following, "context_steps=10"]
    ends = []
    for frames in (1, 3):
        assert main([*words, f"context_frames={frames}", f"out={tmp_path / str(frames)}"]) == 0
        found = Evaluation.read(tmp_path / str(frames) / "tasks.jsonl")
        assert found.header["tasks"]["context_steps"] == 10
        assert found.header["about"]["agent"]["context_frames"] == frames
        ends.append(found.distances.tolist())
    assert ends[0] != ends[1]


@pytest.mark.long
def test_a_model_says_how_many_steps_are_observed_and_how_many_frames_are_seen(data: Path, tmp_path: Path) -> None:
    model = WorldModel.load("wall")
    model.planning = PlanningSettings(context_frames=2, context_steps=5, metric="l1", metric_steps=0.5)
    model.save(tmp_path / "model")
    searching = ["planner=random_shooting", "planner.num_samples=2", "num_tasks=1", "videos=0"]
    for given, steps in ((f"data.path={data}", 5), ("env=wall", 0)):  # before tasks that are drawn, nothing was done
        out = tmp_path / given[:4]
        assert main(["evaluate", f"model.path={tmp_path / 'model'}", given, *searching, f"out={out}"]) == 0
        found = Evaluation.read(out / "tasks.jsonl").header
        assert found["tasks"].get("context_steps", 0) == steps
        agent = found["about"]["agent"]
        assert (agent["context_frames"], agent["objective"]["metric"], agent["objective"]["steps"]) == (2, "l1", 0.5)


def test_the_keys_of_a_protocol_are_what_tasks_and_agents_have(data: Path, tmp_path: Path) -> None:
    asked = {"horizon": 4, "replan_every": 10, "budget": 15, "goal_offset": 20, "context_steps": 5}
    searching = ["planner=random_shooting", "planner.num_samples=2", "num_tasks=1", "videos=0"]
    words = [f"{name}={value}" for name, value in asked.items()]
    assert main(["evaluate", "model=wall", f"data.path={data}", *words, *searching, f"out={tmp_path}"]) == 0
    found = Evaluation.read(tmp_path / "tasks.jsonl")
    header = found.header
    given = {**header["protocol"], "context_steps": header["tasks"]["context_steps"]}
    assert {name: given[name] for name in asked} == asked
    assert header["tasks"]["goal_offset"] == 20
    assert [header["about"]["agent"][name] for name in ("horizon", "replan_every")] == [4, 10]
    assert found.records[0]["decisions"] == 2


def test_far_tasks_have_goals_of_other_trajectories_that_agents_know_no_due_time_of(data: Path, tmp_path: Path) -> None:
    words = ["protocol=far", "budget=5", "planner=random_shooting", "planner.num_samples=2", "num_tasks=2", "videos=0"]
    assert main(["evaluate", "model=wall", f"data.path={data}", *words, f"out={tmp_path}"]) == 0
    found = Evaluation.read(tmp_path / "tasks.jsonl")
    assert found.header["protocol"]["goal_offset"] is found.header["tasks"]["goal_offset"] is None
    assert found.header["about"]["agent"]["goal_offset"] is None
    assert all(record["source"].count("episode_") == 2 for record in found.records)
    assert "goals of other trajectories" in (tmp_path / "report.md").read_text()


def test_what_is_searched_is_a_key(tmp_path: Path) -> None:
    words = ["evaluate", "model=wall", "env=wall", "num_tasks=1", "videos=0", *SMALL[:-1], "search_space=actions"]
    assert main([*words, f"out={tmp_path}"]) == 0
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["rows"][0]["agent"] == "world model from 64 proposals"
    assert about_of(tmp_path)["agent"]["search_space"] == "actions"


@pytest.mark.long
@pytest.mark.parametrize(
    ("agent", "name", "kind", "jobs"),
    [
        ("planning", "world model", "WorldModel", 1),
        ("simulator", "true simulator", "SimulatorModel", 1),
        ("simulator", "true simulator", "SimulatorModel", 2),
    ],
)
def test_the_simulator_stands_in_the_models_place_and_other_planners_search(
    agent: str, name: str, kind: str, jobs: int, tmp_path: Path
) -> None:
    words = ["evaluate", "model=wall", "env=wall", "num_tasks=2", "batch=1", f"jobs={jobs}", f"videos={jobs - 1}"]
    searching = ["planner=random_shooting", "planner.num_samples=10", "objective.metric=squared"]
    assert main([*words, *searching, f"agent={agent}", f"out={tmp_path}"]) == 0
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["rows"][0]["agent"] == f"{name} in the prior's noise"
    found = about_of(tmp_path)["agent"]
    assert found["model"]["type"] == kind
    assert found["planner"]["type"] == "RandomShooting"
    assert found["objective"]["metric"] == "squared"
    assert len(list(tmp_path.glob("*.mp4"))) == jobs - 1


@pytest.mark.parametrize(
    ("name", "objective", "power"),
    [
        ("pusht", [], 1),
        ("pusht", ["metric=cosine"], 0),
        ("pusht", ["metric=cosine", "standardize=0.5"], 0.5),
        ("wall", [], 0),
        ("wall", ["standardize=1"], 1),
    ],
)
def test_distances_are_standardized_as_the_model_says_unless_a_metric_is_given(
    name: str, objective: list[str], power: float, tmp_path: Path
) -> None:
    words = ["evaluate", f"model={name}", f"env={name}", "num_tasks=1", "videos=0", "planner=random_shooting"]
    given = [f"objective.{word}" for word in objective]
    assert main([*words, *given, "planner.num_samples=2", f"out={tmp_path}"]) == 0
    about = about_of(tmp_path)
    distance = about["agent"]["objective"]
    assert (distance["metric"], distance["steps"], about["standardize"]) == ("cosine", "last", power)
    assert (distance["weights"] is None) == (power == 0)


@pytest.mark.parametrize("words", [[], ["planner=auto"]])
def test_without_a_planner_it_is_the_one_that_suits_the_model(words: list[str], tmp_path: Path) -> None:
    asked = ["evaluate", "model=wall", "env=wall", "num_tasks=1", "budget=5", "replan_every=5", "videos=0", *words]
    assert main([*asked, f"out={tmp_path}"]) == 0
    assert about_of(tmp_path)["agent"]["planner"] == describe(PlanningAgent.from_model(WorldModel.load("wall")).planner)


def test_a_model_from_before_deviations_were_saved_is_judged_without(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = tmp_path / "old"
    shutil.copytree(PACKAGED / "pusht", old)
    config = json.loads((old / "config.json").read_text())
    del config["token_std"], config["planning"]
    (old / "config.json").write_text(json.dumps(config))
    words = ["evaluate", f"model.path={old}", "env=pusht", "num_tasks=1", "videos=0", "planner=random_shooting"]
    said = refused([*words, "objective.standardize=1"], tmp_path / "none", capsys)
    assert "standardize=0" in said
    assert main([*words, "planner.num_samples=2", f"out={tmp_path / 'out'}"]) == 0
    assert about_of(tmp_path / "out")["standardize"] == 0


def test_episodes_are_filmed_once(tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ["evaluate", "agent=random", "env=wall", "num_tasks=2", f"out={out}"]
    assert main([*words, "videos=1", "tracker=tensorboard"]) == 0
    assert {"success_end/Wall/no-op/value", "success_any_time/Wall/no-op/high"} <= curves(out / "tensorboard").keys()
    video = out / "episodes_1.mp4"
    assert video.stat().st_size > 1000
    assert "<video" in (out / "report.html").read_text()
    made = video.stat().st_mtime_ns
    assert main([*words, "videos=1"]) == 0
    assert video.stat().st_mtime_ns == made
    assert main([*words, "videos=0"]) == 0
    assert "<video" not in (out / "report.html").read_text()
    numbers = (out / "report.json").read_bytes()
    assert main([*words, "videos=5"]) == 0  # there are two
    assert (out / "episodes_2.mp4").exists()
    assert (out / "report.json").read_bytes() == numbers


FULL = """
import os, resource, sys
from pathlib import Path
from wmcontrol.cli.main import main
for room in (100, 2000, 5000, 20_000, 40_000, resource.RLIM_INFINITY):
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))  # as a disk that is full
    print(main([*sys.argv[1:], f"out={Path('out').resolve()}"]), file=sys.stderr)
"""


@pytest.mark.long
def test_a_full_disk_names_the_file_and_the_same_line_goes_on_when_there_is_room(tmp_path: Path) -> None:
    pytest.importorskip("resource")
    words = ["evaluate", "agent=random", "env=wall", "num_tasks=12", "videos=1"]
    command = [sys.executable, "-c", FULL, *words]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stderr.splitlines()
    assert said[1::2] == ["1"] * 5
    assert said[-1] == "0"
    for line, name in zip(
        said[::2], ("run.json", "tasks.jsonl", "episodes_1.mp4", "episodes_1.mp4", "report.html"), strict=False
    ):
        assert str(tmp_path / "out" / name) in line
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"tasks.jsonl", "episodes_1.mp4", "report.html"} <= names
    assert not [name for name in names if name.startswith(".") or name.endswith(".tmp")]


@pytest.mark.long
def test_a_film_that_was_killed_leaves_nothing_when_the_same_line_is_run_again(tmp_path: Path) -> None:
    words = ["evaluate", "agent=random", "env=wall", "num_tasks=2", "videos=1", f"out={tmp_path}"]
    code = "import os, pathlib, sys\nfrom wmcontrol.cli.main import main\n"
    code += "take = lambda path, name: os.kill(os.getpid(), 9) if name.suffix == '.mp4' else os.replace(path, name)\n"
    code += "pathlib.Path.replace = take\nmain(sys.argv[1:])"
    assert subprocess.run([sys.executable, "-c", code, *words], check=False).returncode == -signal.SIGKILL
    assert not (tmp_path / "episodes_1.mp4").exists()
    assert main(words) == 0
    assert (tmp_path / "episodes_1.mp4").stat().st_size > 10_000
    assert not [*tmp_path.glob("*.tmp"), *tmp_path.glob(".*")]


def test_a_policy_of_stable_baselines_is_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sb3 = pytest.importorskip("stable_baselines3")
    gym = pytest.importorskip("gymnasium")
    path = tmp_path / "ppo.zip"
    small = {"n_steps": 8, "batch_size": 8, "device": "cpu", "seed": 0}
    sb3.PPO("MultiInputPolicy", gym.make("wmcontrol/PushT-v0", obs_type="state"), **small).save(path)
    agent = ["evaluate", "agent=sb3", "agent.algorithm=PPO", f"agent.path={path}"]
    words = [*agent, "env=pusht", "num_tasks=2", "videos=0"]
    assert main([*words, f"out={tmp_path / 'out'}"]) == 0
    found = Evaluation.read(tmp_path / "out" / "tasks.jsonl")
    about = found.header["about"]
    assert (about["algorithm"], about["path"]) == ("PPO", str(path))
    assert about["path_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert found.records[0]["decisions"] == 25
    said = refused([*words, "env.settings={action_mode:absolute}"], tmp_path / "other", capsys)
    assert "[-1.0, -1.0]" in said
    said = refused([*agent, "env=wall"], tmp_path / "other", capsys)
    assert "achieved_goal of shape (5,)" in said


def test_policies_with_hindsight_replay_and_of_other_packages_are_judged_and_collected_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    contrib, sb3 = pytest.importorskip("sb3_contrib"), pytest.importorskip("stable_baselines3")
    gym = pytest.importorskip("gymnasium")
    env = sb3.common.vec_env.VecNormalize(
        sb3.common.vec_env.DummyVecEnv([lambda: gym.make("wmcontrol/Wall-v0", obs_type="state", max_episode_steps=10)])
    )
    small = {"policy_kwargs": {"net_arch": [8]}, "buffer_size": 99, "learning_starts": 20, "device": "cpu", "seed": 0}
    model = contrib.TQC("MultiInputPolicy", env, replay_buffer_class=sb3.HerReplayBuffer, **small)
    model.learn(30).save(tmp_path / "tqc")
    env.save(str(tmp_path / "statistics.pkl"))
    agent = ["algorithm=sb3_contrib.TQC", f"path={tmp_path / 'tqc.zip'}", f"vecnormalize={tmp_path / 'statistics.pkl'}"]
    words = ["env=wall", "num_tasks=2", "videos=0", f"out={tmp_path / 'judged'}"]
    assert main(["evaluate", "agent=sb3", *(f"agent.{word}" for word in agent), *words]) == 0
    found = Evaluation.read(tmp_path / "judged" / "tasks.jsonl")
    own = evaluate(model, RandomTasks("wmcontrol/Wall-v0", 2))
    assert [record["distance"] for record in found.records] == [record["distance"] for record in own.records]
    digest = hashlib.sha256((tmp_path / "statistics.pkl").read_bytes()).hexdigest()
    assert found.header["about"]["vecnormalize_sha256"] == digest
    out = tmp_path / "collected"
    policy = ["policy=sb3", *(f"policy.agent.{word}" for word in agent), "num_episodes=2"]
    assert main(["collect", *policy, "env=wall", "policy.num_frames=6", f"out={out}"]) == 0
    (expected,) = collect_batches("wmcontrol/Wall-v0", model, 2, seed=0, num_frames=6)
    np.testing.assert_array_equal(open_dataset(out).trajectory(1).actions, expected[1].actions)
    said = refused(["collect", *policy, "env=pusht"], tmp_path / "other", capsys)
    assert "achieved_goal of shape (2,)" in said


@pytest.mark.parametrize(("asked", "told"), [("null", "float32"), ("bfloat16", "bfloat16"), ("auto", "bfloat16")])
def test_what_a_model_computed_in_stands_with_the_results(
    asked: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wmcontrol.models.checkpoint.fast_dtype", lambda _: torch.bfloat16)
    words = [
        "model=wall",
        "env=wall",
        "num_tasks=1",
        "planner=cem",
        "planner.num_samples=10",
        "planner.num_iterations=1",
        "videos=0",
    ]
    assert main(["evaluate", *words, f"model.dtype={asked}", f"out={tmp_path / 'out'}"]) == 0
    assert about_of(tmp_path / "out")["dtype"] == told


def test_three_episodes_are_filmed_unless_told_otherwise(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "model=wall", "env=wall", "--cfg", "job"]) == 0
    assert "\nvideos: 3\n" in capsys.readouterr().out
