"""Comparisons: which stages they have, what they refuse, and what they say of themselves."""

import hashlib
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import small_compare
from foreign_envs import BALL, CHOOSING

from wmcontrol.compare import ENVIRONMENTS, Comparison, EnvironmentSettings
from wmcontrol.compare.plan import TASKS, plan
from wmcontrol.compare.run import about, in_words
from wmcontrol.compare.settings import planner_settings
from wmcontrol.compare.stages import run_stages
from wmcontrol.data import collect, policies
from wmcontrol.evaluation import PROTOCOLS, Evaluation
from wmcontrol.models import ActionPrior, PlanningSettings, WorldModel
from wmcontrol.models.checkpoint import WEIGHTS, packaged_folder
from wmcontrol.planners import CEM
from wmcontrol.training import FinetuneSettings

PLANNER = CEM(**PROTOCOLS["paper"].planner, std=2.0)
USUAL = Comparison(environments=ENVIRONMENTS, protocol=PROTOCOLS["paper"], planner=PLANNER)
WALL = replace(USUAL, environments={"wall": ENVIRONMENTS["wall"]})
TRAINED = "train pusht full 16650 seed 0"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from wmcontrol.cli.main import main

    folder = tmp_path_factory.mktemp("own") / "wall"
    assert main(["collect", "env=wall", "num_episodes=20", "policy.num_frames=40", f"out={folder}"]) == 0
    return folder


def own(data: Path, **changes: Any) -> Comparison:
    wall = EnvironmentSettings(data=data, env_id="wmcontrol/Wall-v0", training=FinetuneSettings(num_steps=5))
    return replace(WALL, environments={"wall": wall}, **{"num_train_trajectories": (), **changes})


def test_doing_nothing_is_no_row_where_it_cannot_be_done(tmp_path: Path) -> None:
    for env_id, there in ((CHOOSING, False), (BALL, True)):
        collect(env_id, policies.random(env_id, num_frames=40), 20, folder=tmp_path / env_id)
        mine = EnvironmentSettings(data=tmp_path / env_id, env_id=env_id, training=FinetuneSettings(num_steps=5))
        asked = replace(WALL, environments={"mine": mine}, num_train_trajectories=(), num_tasks=2, oracle_tasks=0)
        asked.check()
        agents = [row.agent for row in plan(asked).rows]
        assert ("no-op" in agents, "random actions" in agents) == (there, True)


def collecting(policy: str) -> Comparison:
    data = replace(ENVIRONMENTS["wall"].data, policy=policy)
    return replace(WALL, environments={"wall": replace(ENVIRONMENTS["wall"], data=data)})


def stages(asked: Comparison) -> dict:
    return {need.name: need for last in plan(asked).stages for need in last.all_needs()}


def test_it_is_the_papers_table_with_few_trajectories_baselines_and_an_oracle() -> None:
    rows = [(row.env, row.agent, row.num_train_trajectories) for row in plan(USUAL).rows]
    modes = ("scratch", "action_only", "full")
    for name, most in (("wall", 1800), ("pusht", 16650), ("pointmaze", 1800)):
        assert [row[1:] for row in rows if row[0] == name] == [
            *((mode, most) for mode in modes),
            *((mode, 50) for mode in modes),
            *((agent, None) for agent in ("no-op", "random actions", "true simulator")),
        ]
    found = stages(USUAL)
    trained = found["train wall full 1800 seed 0"].settings
    assert (trained["num_steps"], trained["warmup_steps"], trained["compile"]) == (1500, 150, False)
    assert trained["num_train_trajectories"] is None
    few = found["train wall scratch 50 seed 0"].settings
    assert (few["mode"], few["num_train_trajectories"], few["num_steps"], few["warmup_steps"]) == (
        "scratch",
        50,
        300,
        30,
    )
    looking = {name: found[f"evaluate {name} full 50 seed 0"].settings for name in ENVIRONMENTS}
    assert {n: (s["context_steps"], s["planning"]["context_frames"]) for n, s in looking.items()} == {
        "wall": (0, 1),
        "pusht": (0, 1),
        "pointmaze": (10, 3),
    }
    assert {n: s["planning"]["standardize"] for n, s in looking.items()} == {"wall": 0, "pusht": 1, "pointmaze": 0}
    assert looking["wall"]["num_tasks"] == 512
    assert looking["wall"]["planner"] == planner_settings(PLANNER)  # all of it: a default may change
    assert found["evaluate wall true simulator"].settings["num_tasks"] == 128
    assert "planner" not in found["evaluate wall no-op"].settings


def test_models_are_shared_by_protocols_and_not_by_bases_or_seeds() -> None:
    one, other = stages(USUAL), stages(replace(USUAL, protocol=PROTOCOLS["mpc"]))
    assert one[TRAINED].digest == other[TRAINED].digest
    assert one["evaluate pusht full 50 seed 0"].digest != other["evaluate pusht full 50 seed 0"].digest
    assert one[TRAINED].digest != stages(replace(USUAL, seed=1))[TRAINED].digest


def test_training_seeds_have_their_own_models_and_share_tasks_and_what_is_held_out() -> None:
    one, three = stages(USUAL), plan(replace(USUAL, training_seeds=(0, 1, 2)))
    row = next(r for r in three.rows if (r.env, r.agent, r.num_train_trajectories) == ("wall", "action_only", 50))
    trained = [stage.needs[0] for stage in row.stages]
    assert [stage.settings["seed"] for stage in trained] == [0, 1, 2]
    assert {stage.settings["split_seed"] for stage in trained} == {0}
    assert trained[0].digest == one["train wall action_only 50 seed 0"].digest  # taken over
    assert len({stage.digest for stage in trained}) == 3
    judged = [{k: v for k, v in stage.settings.items() if k != "training_seed"} for stage in row.stages]
    assert judged[0] == judged[1] == judged[2]
    assert {len(r.stages) for r in three.rows if r.agent in ("no-op", "random actions", "true simulator")} == {1}
    # The best of all seeds is filmed.
    assert len([need for need in three.films["wall"].needs if need.name.startswith("evaluate wall full 1800")]) == 3


def test_stages_travel_to_other_processes_without_what_was_opened() -> None:
    assert all(USUAL.base_digests)  # it has opened the base
    stage = plan(USUAL).rows[0].stages[0]
    message = pickle.dumps(stage)
    assert len(message) < 30_000
    assert pickle.loads(message).digest == stage.digest


def test_finished_models_are_evaluated_beside_them_as_long_as_their_weights_are_the_same() -> None:
    wall = replace(ENVIRONMENTS["wall"], finished="wall")
    asked = replace(WALL, environments={"wall": wall})
    assert [row.agent for row in plan(asked).rows].count("packaged") == 1
    stage = stages(asked)["evaluate wall packaged"]
    weights = (packaged_folder("wall") / WEIGHTS).read_bytes()

    assert stage.settings["weights"] == hashlib.sha256(weights).hexdigest()
    assert [need.name for need in stage.needs] == ["collect wall unseen"]


def test_a_finished_model_with_a_prior_is_judged_without_a_search_too(tmp_path: Path) -> None:
    model = WorldModel.load("wall")
    model.prior = ActionPrior(model.encoder.dim, 1, 10, width=8, depth=1)
    model.save(tmp_path / "model")
    taught = small_compare.small_comparison()
    wall = replace(taught.environments["wall"], finished=str(tmp_path / "model"))
    with pytest.raises(ValueError, match="prior"):
        replace(taught, environments={"wall": wall})
    small = replace(taught, prior=None)
    rows = plan(replace(small, environments={"wall": wall})).rows
    assert [row.agent for row in rows[2:6]] == ["packaged", "prior alone", "best proposal", "no-op"]
    for row, proposals in ((rows[3], 1), (rows[4], 64)):
        run_stages(row.stages, tmp_path / "stages", jobs=1)
        about = Evaluation.read(row.stages[0].folder(tmp_path / "stages") / TASKS).header["about"]
        assert (about["planner"]["name"], about["planning"]["num_proposals"]) == ("BestProposal", proposals)
    without = replace(wall, planning=replace(wall.planning, num_proposals=0))
    rows = plan(replace(small, environments={"wall": without})).rows
    assert "prior alone" not in [row.agent for row in rows]


def test_tasks_of_ones_own_data_are_of_the_tenth_that_is_held_out(data: Path) -> None:
    asked = own(data, num_tasks=6, oracle_tasks=0)
    asked.check()
    tasks = asked.tasks("wall", asked.own["wall"], 6).tasks
    assert len({task.source.partition(",")[0] for task in tasks}) == 2
    found = stages(asked)
    assert not any(name.startswith("collect") or "simulator" in name for name in found)
    assert found["encode wall"].settings["data"] == asked.own["wall"].fingerprint()
    assert any("held out, which no model was fine-tuned on" in line for line in about(asked))


def test_the_report_tells_data_base_steps_and_who_observes() -> None:
    text = " ".join(about(USUAL))
    for words in (
        "Base: the packaged one, pretrained",
        "PushT: 16,650 of 18,500 episodes of 100 to 300 frames",
        "200 more (seed 1), which no model was trained on",
        "Wall 1,500, PushT 12,000, PointMaze_UMaze 4,000; 300 with 50 trajectories",
        "'std': 2.0",
        "PushT 1",
        "PointMaze_UMaze 10",
        "the true simulator the first 128 of them",
    ):
        assert words in text
    assert in_words({"train a": 2.0, "train b": 3.0, "film a": 1.0}).startswith(
        "It took 6 seconds of one core (train 5"
    )


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"environments": {}}, "environments"),
        ({"modes": ("full", "full")}, "modes: full"),
        ({"modes": ("half",)}, "modes: .*half"),
        ({"training_seeds": (1, 1)}, "training_seeds: 1"),
        ({"training_seeds": ()}, "training_seeds"),
        ({"num_train_trajectories": (50, 50)}, "num_train_trajectories: 50"),
        ({"few_steps": 0}, "few_steps: .*0"),
        ({"num_tasks": 9, "oracle_tasks": 10}, "oracle_tasks: .*9.*10"),
    ],
)
def test_settings_that_cannot_be_are_named(changes: dict, names: str) -> None:
    with pytest.raises(ValueError, match=names):
        replace(USUAL, **changes)


def test_what_cannot_be_done_is_told_before_anything_is(data: Path) -> None:
    with pytest.raises(ValueError, match=r"num_train_trajectories: wall has 1800.*got 1800"):
        replace(WALL, num_train_trajectories=(1800,)).check()
    with pytest.raises(ValueError, match="doors"):
        collecting("doors").check()
    with pytest.raises(ValueError, match=r"waypoint .*wmcontrol/Wall-v0"):
        collecting("waypoint").check()
    with pytest.raises(ValueError, match="demonstrations"):
        collecting("noisy_replay").check()
    with pytest.raises(ValueError, match="base: wall takes actions"):
        replace(WALL, base="wall").check()
    with pytest.raises(ValueError, match=r"data: .*512"):
        own(data).check()
    pusht = {"pusht": replace(ENVIRONMENTS["pusht"], data=data)}
    with pytest.raises(ValueError, match=r"data: .*wmcontrol/Wall-v0.*wmcontrol/PushT-v0"):
        replace(USUAL, environments=pusht, num_train_trajectories=()).check()
    with pytest.raises(OSError, match="nowhere"):
        replace(WALL, base="nowhere").check()
    with pytest.raises(OSError, match="nowhere"):
        own(Path("nowhere")).check()
    with pytest.raises(ValueError, match="env_id"):
        EnvironmentSettings(data=data, training=FinetuneSettings(), planning=PlanningSettings())
