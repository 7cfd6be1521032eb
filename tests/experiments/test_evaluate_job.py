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
from safetensors.torch import load_file, save_file

import wmcontrol
from wmcontrol import PlanningSettings, WorldModel
from wmcontrol.data import held_out_split, open_dataset
from wmcontrol.data.collecting import collect_batches
from wmcontrol.evaluation import DatasetTasks, Evaluation, RandomTasks, evaluate
from wmcontrol.experiments.cli import main
from wmcontrol.experiments.planner_names import PLANNERS
from wmcontrol.experiments.task_keys import PLANNER_NAMES

PACKAGED = Path(wmcontrol.__file__).parent / "assets"
SMALL = "planner_settings={num_samples:20,num_iterations:2}"
WALL = ["evaluate", "model=wall", "env=wall", "num_tasks=4", "batch=2", "videos=0", SMALL]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a finished evaluation; tests copy it."""
    out = tmp_path_factory.mktemp("finished") / "out"
    assert main([*WALL, f"out={out}"]) == 0
    return out


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "wall"
    assert main(["collect", "env=wall", "episodes=20", "frames=45", f"out={folder}"]) == 0
    return folder


def refused(words: list[str], out: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Run what cannot be, and return what is said: in one line, before a folder is made."""
    capsys.readouterr()
    assert main([*words, f"out={out}"]) == 2
    assert not out.exists()
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_an_evaluation_has_records_a_floor_and_a_report(finished: Path) -> None:
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
    assert (finished / "run.yaml").read_text().startswith("job: evaluate")


def test_the_same_seed_gives_the_same_report_and_another_one_another(finished: Path, tmp_path: Path) -> None:
    assert main([*WALL, f"out={tmp_path / 'again'}"]) == 0
    assert (tmp_path / "again" / "report.json").read_bytes() == (finished / "report.json").read_bytes()
    assert main([*WALL, "seed=1", f"out={tmp_path / 'other'}"]) == 0
    one, other = (Evaluation.read(folder / "tasks.jsonl") for folder in (finished, tmp_path / "other"))
    assert (one.distances != other.distances).all()


def test_a_killed_evaluation_goes_on_and_gives_the_same_report(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "killed"
    out.mkdir()
    shutil.copy(finished / "run.yaml", out)
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
    assert main(words) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(page)
    assert (page.parent / "tasks.jsonl").read_bytes() == before
    assert main([*words, "seed=1"]) == 0
    assert Path(capsys.readouterr().out.splitlines()[-1]).parent != page.parent


def test_other_weights_do_not_go_on_with_a_begun_file(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, out = tmp_path / "model", tmp_path / "out"
    shutil.copytree(PACKAGED / "wall", model)
    words = ["evaluate", f"model={model}", "env=wall", "num_tasks=2", "videos=0", SMALL, f"out={out}"]
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
    words = ["evaluate", "agent=noop", f"data={data}", "num_tasks=4", "videos=0"]
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
    assert len(json.loads((tmp_path / "all" / "report.json").read_text())["rows"]) == 2  # it is the floor itself


def test_a_warmup_shows_the_model_what_came_before(data: Path, tmp_path: Path) -> None:
    following = ["planner=gradient", "planner_settings={num_samples:2,num_iterations:3}"]  # whatever is imagined shows
    words = ["evaluate", "model=wall", f"data={data}", "num_tasks=2", "videos=0", *following, "warmup=10"]
    ends = []
    for history in (1, 3):
        assert main([*words, f"history={history}", f"out={tmp_path / str(history)}"]) == 0
        found = Evaluation.read(tmp_path / str(history) / "tasks.jsonl")
        assert found.header["tasks"]["context_steps"] == 10
        assert found.header["about"]["agent"]["context_frames"] == history
        ends.append(found.distances.tolist())
    assert ends[0] != ends[1]


def test_a_model_says_how_many_steps_are_observed_and_how_many_frames_are_seen(data: Path, tmp_path: Path) -> None:
    model = WorldModel.load("wall")
    model.planning = PlanningSettings(context_frames=2, context_steps=5, metric="l1", metric_steps=0.5)
    model.save(tmp_path / "model")
    searching = ["planner=random_shooting", "planner_settings={num_samples:2}", "num_tasks=1", "videos=0"]
    for given, steps in ((f"data={data}", 5), ("env=wall", 0)):  # before tasks that are drawn, nothing was done
        out = tmp_path / given[:4]
        assert main(["evaluate", f"model={tmp_path / 'model'}", given, *searching, f"out={out}"]) == 0
        found = Evaluation.read(out / "tasks.jsonl").header
        assert found["tasks"].get("context_steps", 0) == steps
        agent = found["about"]["agent"]
        assert (agent["context_frames"], agent["objective"]["metric"], agent["objective"]["steps"]) == (2, "l1", 0.5)


def test_the_simulator_stands_in_the_models_place_and_other_planners_search(tmp_path: Path) -> None:
    words = ["evaluate", "model=wall", "env=wall", "num_tasks=2", "videos=0"]
    searching = ["planner=random_shooting", "planner_settings={num_samples:10}", "objective={metric:squared}"]
    for agent, name, kind in (
        ("planning", "world model", "WorldModel"),
        ("simulator", "true simulator", "SimulatorModel"),
    ):
        out = tmp_path / agent
        assert main([*words, *searching, f"agent={agent}", f"out={out}"]) == 0
        report = json.loads((out / "report.json").read_text())
        assert report["rows"][0]["agent"] == name
        found = Evaluation.read(out / "tasks.jsonl").header["about"]["agent"]
        assert found["model"]["type"] == kind
        assert found["planner"]["type"] == "RandomShooting"
        assert found["objective"]["metric"] == "squared"


@pytest.mark.parametrize(
    ("name", "objective", "power"),
    [("pusht", "", 1), ("pusht", "metric:cosine", 0), ("wall", "", 0), ("wall", "standardize:1", 1)],
)
def test_distances_are_standardized_as_the_model_says_unless_a_metric_is_given(
    name: str, objective: str, power: int, tmp_path: Path
) -> None:
    words = ["evaluate", f"model={name}", f"env={name}", "num_tasks=1", "videos=0", "planner=random_shooting"]
    assert main([*words, f"objective={{{objective}}}", "planner_settings={num_samples:2}", f"out={tmp_path}"]) == 0
    about = Evaluation.read(tmp_path / "tasks.jsonl").header["about"]
    objective = about["agent"]["objective"]
    assert (objective["metric"], objective["steps"], about["standardize"]) == ("cosine", "last", power)
    assert (objective["weights"] is None) == (power == 0)


def test_a_model_from_before_deviations_were_saved_is_judged_without(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = tmp_path / "old"
    shutil.copytree(PACKAGED / "pusht", old)
    config = json.loads((old / "config.json").read_text())
    del config["token_std"], config["planning"]
    (old / "config.json").write_text(json.dumps(config))
    words = ["evaluate", f"model={old}", "env=pusht", "num_tasks=1", "videos=0", "planner=random_shooting"]
    said = refused([*words, "objective={standardize:1}"], tmp_path / "none", capsys)
    assert "objective={standardize:0}" in said
    assert main([*words, "planner_settings={num_samples:2}", f"out={tmp_path / 'out'}"]) == 0
    assert Evaluation.read(tmp_path / "out" / "tasks.jsonl").header["about"]["standardize"] == 0


def test_episodes_are_filmed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    words = ["evaluate", "agent=random", "env=wall", "num_tasks=2", f"out={out}"]
    assert main([*words, "videos=1"]) == 0
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
from wmcontrol.experiments.cli import main
for room in (100, 700, 2000, 20_000, 40_000, resource.RLIM_INFINITY):
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))  # as a disk that is full
    print(main([*sys.argv[1:], f"out={Path('out').resolve()}"]), file=sys.stderr)
"""


def test_a_full_disk_names_the_file_and_the_same_line_goes_on_when_there_is_room(tmp_path: Path) -> None:
    pytest.importorskip("resource")
    words = ["evaluate", "agent=random", "env=wall", "num_tasks=2", "videos=1"]
    command = [sys.executable, "-c", FULL, *words]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stderr.splitlines()
    assert said[1::2] == ["1"] * 5
    assert said[-1] == "0"
    for line, name in zip(
        said[::2], ("run.yaml", "tasks.jsonl", "episodes_1.mp4", "episodes_1.mp4", "report.html"), strict=False
    ):
        assert str(tmp_path / "out" / name) in line
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"tasks.jsonl", "episodes_1.mp4", "report.html"} <= names
    assert not [name for name in names if name.startswith(".")]


def test_a_film_that_was_killed_leaves_nothing_when_the_same_line_is_run_again(tmp_path: Path) -> None:
    words = ["evaluate", "agent=random", "env=wall", "num_tasks=2", "videos=1", f"out={tmp_path}"]
    code = "import os, pathlib, sys\nfrom wmcontrol.experiments.cli import main\n"
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
    words = ["evaluate", f"agent=sb3:PPO:{path}", "env=pusht", "num_tasks=2", "videos=0"]
    assert main([*words, f"out={tmp_path / 'out'}"]) == 0
    found = Evaluation.read(tmp_path / "out" / "tasks.jsonl")
    assert found.header["about"]["policy"] == "sb3:PPO"
    assert found.records[0]["decisions"] == 25
    other = [*words, "settings={action_mode:absolute}"]
    said = refused(other, tmp_path / "other", capsys)
    assert "[-1.0, -1.0]" in said
    said = refused([words[0], words[1], "env=wall"], tmp_path / "other", capsys)
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
    policy = [f"sb3:sb3_contrib.TQC:{tmp_path / 'tqc.zip'}", f"vecnormalize={tmp_path / 'statistics.pkl'}"]
    words = ["env=wall", "num_tasks=2", "videos=0", f"out={tmp_path / 'judged'}"]
    assert main(["evaluate", f"agent={policy[0]}", policy[1], *words]) == 0
    found = Evaluation.read(tmp_path / "judged" / "tasks.jsonl")
    own = evaluate(model, RandomTasks("wmcontrol/Wall-v0", 2))
    assert [record["distance"] for record in found.records] == [record["distance"] for record in own.records]
    digest = hashlib.sha256((tmp_path / "statistics.pkl").read_bytes()).hexdigest()
    assert found.header["about"]["vecnormalize"] == digest
    out = tmp_path / "collected"
    assert main(["collect", f"policy={policy[0]}", policy[1], "env=wall", "episodes=2", "frames=6", f"out={out}"]) == 0
    (expected,) = collect_batches("wmcontrol/Wall-v0", model, 2, seed=0, num_frames=6)
    np.testing.assert_array_equal(open_dataset(out).trajectory(1).actions, expected[1].actions)
    words = ["collect", f"policy={policy[0]}", policy[1], "env=pusht", "episodes=2"]
    assert "achieved_goal of shape (2,)" in refused(words, tmp_path / "other", capsys)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["model=wall"], naming("env", "data")),
        (["model=wall", "env=wall", "data=x"], naming("env", "data")),
        (["env=wall"], "model"),
        (["model=nowhere", "env=wall"], naming("model", "'nowhere'")),
        (["model=base", "env=wall"], naming("model", "base")),
        (["model=wall", "env=pusht"], naming("model", "wall", "PushT")),
        (["model=wall", "env=wal"], "'wall'"),
        (["agent=random", "env=Pendulum-v1"], "Pendulum-v1"),
        (["model=wall", "env=wall", "settings={size:1}"], "'size'"),
        (["agent=plan", "env=wall"], naming("'plan'", "'planning'")),
        (["agent=sb3:PPO:nowhere.zip", "env=wall"], naming("agent", "nowhere.zip")),
        (["agent=random", "vecnormalize=x", "env=wall"], naming("vecnormalize", "sb3:ALGORITHM:FILE")),
        (["agent=sb3:GPT:x.zip", "env=wall"], naming("agent", "A2C")),
        (["agent=noop", "env=pusht", "settings={action_mode:absolute}"], "zero"),
        (["model=wall", "env=wall", "planner=icm"], naming("planner", "'icm'", "'icem'")),
        (["model=wall", "env=wall", "planner_settings={samples:5}"], "'num_samples'"),
        (["model=wall", "env=wall", "planner_settings={num_samples:5}"], naming("num_elites", "num_samples", 5)),
        (["model=wall", "env=wall", "objective={metric:l3}"], naming("objective", "metric")),
        (
            ["model=wall", "env=wall", "objective={distance:l1}"],
            naming("objective", "'distance'", "metric", "steps", "standardize"),
        ),
        (["model=wall", "env=wall", "objective={standardize:3}"], naming("objective", "standardize", 2, 3)),
        (["model=wall", "env=wall", "protocol=papers"], "'paper'"),
        (["model=wall", "env=wall", "warmup=5"], "warmup"),
        (["model=wall", "env=wall", "device=tpu9"], naming("device", "'tpu9'")),
        (["model=wall", "env=wall", "num_tasks=0"], "num_tasks"),
        (["model=wall", "env=wall", "history=0"], "history"),
        (["model=wall", "data=nowhere"], naming("data", "nowhere")),
    ],
)
def test_mistakes_are_told_in_a_line_before_work_starts(
    words: list[str], expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert re.search(expected, refused(["evaluate", *words], tmp_path / "out", capsys))


def test_data_that_do_not_fit_are_told(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words, out = ["evaluate", "model=wall", f"data={data}"], tmp_path / "out"
    assert "512" in refused(words, out, capsys)  # of the two that are held out
    assert "tasks" in refused([*words, "num_tasks=1", "warmup=30"], out, capsys)
    moved = refused([*words, "num_tasks=1", "warmup=5", "settings={action_mode:absolute}"], out, capsys)
    assert "warmup" in moved


def test_a_model_of_another_rate_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = WorldModel.load("wall", dtype=torch.float32)
    model.control_rate = 25.0
    model.save(tmp_path / "model")
    said = refused(["evaluate", f"model={tmp_path / 'model'}", "env=wall"], tmp_path / "out", capsys)
    assert "25 Hz" in said


@pytest.mark.parametrize(("asked", "told"), [("stored", "float32"), ("bfloat16", "bfloat16"), ("auto", "bfloat16")])
def test_what_a_model_computed_in_stands_with_the_results(
    asked: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wmcontrol.models.checkpoint.fast_dtype", lambda _: torch.bfloat16)
    words = ["model=wall", "env=wall", "num_tasks=1", "planner_settings={num_samples:10,num_iterations:1}", "videos=0"]
    assert main(["evaluate", *words, f"dtype={asked}", f"out={tmp_path / 'out'}"]) == 0
    assert Evaluation.read(tmp_path / "out" / "tasks.jsonl").header["about"]["dtype"] == told


def test_held_out_tasks_are_those_of_the_library(data: Path, tmp_path: Path) -> None:
    assert main(["evaluate", "agent=noop", f"data={data}", "num_tasks=3", "videos=0", f"out={tmp_path / 'out'}"]) == 0
    from wmcontrol.data import Subset

    dataset = open_dataset(data)
    tasks = DatasetTasks(Subset(dataset, held_out_split(20, 0)[1]), 3)
    assert Evaluation.read(tmp_path / "out" / "tasks.jsonl").header["tasks"] == tasks.describe()


def test_help_knows_all_planners() -> None:
    assert tuple(PLANNERS) == PLANNER_NAMES
