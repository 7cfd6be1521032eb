"""``wmcontrol compare``: what it would do, and what it refuses; test_demo.py does one."""

import pickle
import re
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from naming import naming
from small_compare import small_comparison

from wmcontrol.evaluation import PROTOCOLS
from wmcontrol.experiments.agents_from_keys import file_digest
from wmcontrol.experiments.assets_steps import plan as plan_of_assets
from wmcontrol.experiments.cli import main
from wmcontrol.experiments.compare_report import about, in_words
from wmcontrol.experiments.compare_settings import Comparison
from wmcontrol.experiments.compare_stages import plan
from wmcontrol.experiments.jobs.compare import Config, comparison
from wmcontrol.experiments.planner_names import PLANNERS
from wmcontrol.experiments.recipes import RECIPE
from wmcontrol.experiments.task_keys import PLANNER_NAMES, PROTOCOL_NAMES
from wmcontrol.models.checkpoint import WEIGHTS, packaged_folder
from wmcontrol.planners import CEM

TRAINED = "train pusht full 16650 seed 0"


@pytest.fixture(scope="module")
def usual() -> Comparison:
    return comparison(Config())


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own") / "wall"
    assert main(["collect", "env=wall", "episodes=20", "frames=40", f"out={folder}"]) == 0
    return folder


def stages(asked: Comparison) -> dict:
    return {need.name: need for last in plan(asked).stages for need in last.all_needs()}


def test_it_is_the_papers_table_with_few_labels_floors_and_ceiling(usual: Comparison) -> None:
    rows = [(row.env, row.agent, row.labelled) for row in plan(usual).rows]
    modes = ("scratch", "action_only", "full")
    for name, most in (("wall", 1800), ("pusht", 16650), ("pointmaze", 1800)):
        own = [row[1:] for row in rows if row[0] == name]
        assert own == [
            *((mode, most) for mode in modes),
            *((mode, 50) for mode in modes),
            *((agent, None) for agent in ("no-op", "random actions", "true simulator")),
        ]
    found = stages(usual)
    assert found["train wall full 1800 seed 0"].settings["num_steps"] == RECIPE.models["wall"]["num_steps"]
    assert not found["train wall full 1800 seed 0"].settings["compile"]
    assert found["train wall full 1800 seed 0"].settings["num_train_trajectories"] is None
    few = found["train wall scratch 50 seed 0"].settings
    assert (few["mode"], few["num_train_trajectories"], few["num_steps"], few["warmup_steps"]) == (
        "scratch",
        50,
        300,
        30,
    )
    looking = {name: found[f"evaluate {name} full 50 seed 0"].settings for name in RECIPE.data}
    assert {name: (s["warmup"], s["history"]) for name, s in looking.items()} == {
        "wall": (0, 1),
        "pusht": (0, 1),
        "pointmaze": (10, 3),
    }
    assert looking["wall"]["num_tasks"] == 512
    assert looking["wall"]["planner_settings"] == asdict(CEM(**PROTOCOLS["paper"].planner, std=2.0))
    assert looking["wall"]["objective"] == looking["pointmaze"]["objective"] == {"metric": "cosine"}
    assert looking["pusht"]["objective"] == {"metric": "cosine", "standardize": 1.0}
    assert found["evaluate wall true simulator"].settings["num_tasks"] == 128
    assert "planner" not in found["evaluate wall no-op"].settings


def test_data_are_those_of_the_packaged_models_made_once_for_both(usual: Comparison) -> None:
    found, assets = stages(usual), plan_of_assets(RECIPE)
    for name in RECIPE.data:
        for title in (f"collect {name}", f"collect {name} unseen"):
            assert found[title].digest == assets[title].digest


def test_models_are_shared_by_protocols_and_not_by_bases_or_seeds(usual: Comparison) -> None:
    one = stages(usual)
    other = stages(replace(usual, protocol=PROTOCOLS["mpc"]))
    assert one[TRAINED].digest == other[TRAINED].digest
    assert one["evaluate pusht full 50 seed 0"].digest != other["evaluate pusht full 50 seed 0"].digest
    assert one[TRAINED].digest != stages(replace(usual, seed=1))[TRAINED].digest


def test_training_seeds_have_their_own_models_and_share_tasks_and_what_is_held_out(
    usual: Comparison,
) -> None:
    one, three = stages(usual), plan(replace(usual, training_seeds=(0, 1, 2)))
    row = next(row for row in three.rows if (row.env, row.agent, row.labelled) == ("wall", "action_only", 50))
    trained = [stage.needs[0] for stage in row.stages]
    assert [stage.settings["seed"] for stage in trained] == [0, 1, 2]
    assert {stage.settings["split_seed"] for stage in trained} == {0}
    assert trained[0].digest == one["train wall action_only 50 seed 0"].digest  # taken over
    assert len({stage.digest for stage in trained}) == 3
    judged = [{k: v for k, v in stage.settings.items() if k != "training_seed"} for stage in row.stages]
    assert judged[0] == judged[1] == judged[2]
    assert {len(row.stages) for row in three.rows if row.agent in ("no-op", "random actions", "true simulator")} == {1}
    # The best of all seeds is filmed.
    assert len([need for need in three.films["wall"].needs if need.name.startswith("evaluate wall full 1800")]) == 3


def test_stages_travel_to_other_processes_without_what_was_opened(usual: Comparison) -> None:
    assert all(usual.base_digests)  # it has opened the base
    stage = plan(usual).rows[0].stages[0]
    message = pickle.dumps(stage)
    assert len(message) < 20_000
    assert pickle.loads(message).digest == stage.digest


def test_keys_override_what_is_usual() -> None:
    words = {"num_steps": 7, "protocol": "mpc", "num_tasks": 9, "warmup": 5, "labelled": None, "oracle_tasks": 0}
    asked = comparison(
        Config(env=["wall"], planner_settings={"num_samples": 20, "std": 1}, objective={"metric": "l2"}, **words)
    )
    found = stages(asked)
    assert found["train wall full 1800 seed 0"].settings["num_steps"] == 7
    judged = found["evaluate wall full 1800 seed 0"].settings
    assert (judged["protocol"]["name"], judged["num_tasks"], judged["warmup"], judged["history"]) == ("mpc", 9, 5, 2)
    searching = CEM(**{**PROTOCOLS["mpc"].planner, "num_samples": 20, "std": 1})
    assert judged["planner_settings"] == asdict(searching)  # all of them: a default may change
    assert judged["objective"] == {"metric": "l2", "steps": "mean"}  # of what is planned anew all steps count
    assert not any("simulator" in name or " 50 " in name for name in found)


def test_packaged_models_are_judged_beside_them_as_long_as_their_weights_are_the_same() -> None:
    asked = comparison(Config(env=["wall", "pusht"], packaged=True, labelled=None))
    rows = [(row.env, row.agent) for row in plan(asked).rows]
    assert rows.count(("wall", "packaged")) == rows.count(("pusht", "packaged")) == 1
    stage = stages(asked)["evaluate wall packaged"]
    assert stage.settings["weights"] == file_digest(packaged_folder("wall") / WEIGHTS)
    assert [need.name for need in stage.needs] == ["collect wall unseen"]
    assert not any("packaged" in name for name in stages(replace(asked, packaged=False)))


def test_planners_and_protocols_of_the_keys_are_all_there_are() -> None:
    assert set(PLANNER_NAMES) == set(PLANNERS)
    assert set(PROTOCOL_NAMES) == set(PROTOCOLS)


def test_tasks_of_ones_own_data_are_of_the_tenth_that_is_held_out(data: Path) -> None:
    asked = comparison(Config(env=["wall"], data=[data], labelled=None, num_tasks=6))
    asked.check()
    tasks = asked.tasks("wall", asked.own["wall"], 6).tasks
    assert len({task.source.partition(",")[0] for task in tasks}) == 2
    found = stages(asked)
    assert not any(name.startswith("collect") for name in found)
    assert found["encode wall"].settings["data"] == asked.own["wall"].fingerprint()
    assert any("held out, which no model was fine-tuned on" in line for line in about(asked))


def test_the_report_tells_data_base_steps_and_who_looks_on(usual: Comparison) -> None:
    text = " ".join(about(usual))
    for words in (
        "Base: the packaged one, pretrained",
        "PushT: 16,650 of 18,500 episodes of 100 to 300 frames",
        "200 more (seed 1), which no model was trained on",
        "Wall {wall:,}, PushT {pusht:,}, PointMaze_UMaze {pointmaze:,}; 300 with 50 labelled trajectories".format(
            **{name: keys["num_steps"] for name, keys in RECIPE.models.items()}
        ),
        "'std': 2.0}, objective GoalDistance {'metric': 'cosine'}",
        "PointMaze_UMaze 10",
        "the true simulator the first 128 of them",
    ):
        assert words in text
    assert in_words({"train a": 2.0, "train b": 3.0, "film a": 1.0}).startswith(
        "It took 6 seconds of one core (train 5"
    )


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["env=wal"], naming("'wal'", "'wall'")),
        (["env=[]"], "env"),
        (["env=wall,wall"], naming("env", "wall")),
        (["env=wall,pusht", "data=DATA"], naming("data", 2, 1)),
        (["env=pusht", "data=DATA"], naming("wmcontrol/Wall-v0", "wmcontrol/PushT-v0")),
        (["env=wall", "data=DATA"], naming(512)),
        (["modes=full,full"], naming("modes", "full")),
        (["modes=half"], "'half'"),
        (["training_seeds=1,1"], naming("training_seeds", 1)),
        (["training_seeds=[]"], "training_seeds"),
        (["env=wall", "labelled=1800"], naming("wall", 1800)),
        (["labelled=50,50"], naming("labelled", 50)),
        (["labelled=0"], "labelled"),
        (["protocol=papr"], "'paper'"),
        (["planner=cen"], "'cem'"),
        (
            ["planner_settings={num_sample:3}"],
            naming("planner_settings", "'num_sample'", "'num_samples'"),
        ),
        (["planner=fast", "planner_settings={elites:3}"], "'num_elites'"),
        (["planner_settings={num_elites:400}"], "planner=cem: "),
        (["base=wall"], naming("base", "wall")),
        (["num_steps=0"], "num_steps"),
    ],
)
def test_mistakes_are_told_before_a_folder_is_made(
    words: list[str], says: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [word.replace("DATA", str(data)) for word in words]
    assert main(["compare", *given, f"out={tmp_path / 'out'}"]) == 2
    assert re.search(says, capsys.readouterr().err)
    assert not (tmp_path / "out").exists()


def test_a_base_or_data_that_is_not_there_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for word in ("base=nowhere", "data=nowhere"):
        assert main(["compare", "env=wall", word, f"out={tmp_path / 'out'}"]) in (1, 2)
        assert "nowhere" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_small_one_is_a_comparison_too() -> None:
    small_comparison().check()
