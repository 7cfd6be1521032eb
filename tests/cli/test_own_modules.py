"""What a user's own module has is named on the command line."""

import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from foreign_envs import Ball
from naming import naming

from wmcontrol import RandomShooting, WorldModel
from wmcontrol.cli.main import main
from wmcontrol.compare.presets import usual_comparison
from wmcontrol.data import open_dataset
from wmcontrol.evaluation import PROTOCOLS
from wmcontrol.models.predictor import PREDICTORS


def test_a_collecting_policy_of_the_users_own(own_module: str) -> None:
    pytest.importorskip("h5py")
    words = [f"policy._target_={own_module}.Still", "policy.push=0.5", "policy.frames=4"]
    assert main(["collect", "env=wall", *words, "num_episodes=2", "out=still"]) == 0
    dataset = open_dataset("still")
    assert list(dataset.lengths) == [4, 4]
    np.testing.assert_array_equal(dataset.trajectory(1).actions, np.full((3, 2), 0.5))


def test_settings_that_it_does_not_have_are_told(own_module: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["collect", "env=wall", f"policy._target_={own_module}.Still", "policy.speed=1"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "policy:" in line
    assert "speed" in line


def test_a_choice_of_the_users_own_in_a_yaml_file(own_module: str, tmp_path: Path) -> None:
    pytest.importorskip("h5py")
    (tmp_path / "mine" / "policy").mkdir(parents=True)
    (tmp_path / "mine" / "policy" / "still.yaml").write_text(f"_target_: {own_module}.Still\nframes: 3\npush: 0.25\n")
    words = ["--config-dir", "mine", "policy=still", "policy.push=-0.5"]
    assert main(["collect", "env=wall", *words, "num_episodes=1", "out=still"]) == 0
    np.testing.assert_array_equal(open_dataset("still").trajectory(0).actions, np.full((2, 2), -0.5))


@pytest.fixture
def my_balls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The module and id of an environment that a module in the working folder registers."""
    name = f"balls_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(
        "from foreign_envs import make_ball, near\n"
        "from wmcontrol.envs import register_goal_env\n"
        f'register_goal_env("{name}/Ball-v0", make_ball, success=near)\n'
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return f"{name}:{name}/Ball-v0"


def test_an_environment_of_the_users_own_is_collected_in_and_judged_in(
    my_balls: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("h5py")
    assert main(["collect", f"env.id={my_balls}", "num_episodes=5", "out=data"]) == 0
    assert open_dataset("data").env_id == my_balls.partition(":")[2]
    judged = ["evaluate", "agent=random", "data.path=data", "split=all", "num_tasks=3", "videos=0", "out=found"]
    assert main([*judged, f"env.id={my_balls}"]) == 0
    assert "Ball, protocol paper, random actions" in capsys.readouterr().out
    module, _, env_id = my_balls.partition(":")
    gym.registry.pop(env_id)  # as in a new process
    sys.modules.pop(module)
    assert main([*judged, "out=again"]) == 2  # data do not say which module to import
    assert f"module:{env_id}" in capsys.readouterr().err
    told: list[list[str]] = []

    def here(work: Any, todo: Any, **how: Any) -> None:
        told.append(how["imports"])
        for number, item in enumerate(todo):
            how["on_result"](number, work(item))

    monkeypatch.setattr(sys.modules["wmcontrol.evaluation.evaluate"], "run_parallel", here)
    assert main([*judged, "out=again", f"imports=[{module}]", "jobs=2"]) == 0
    assert told == [[module]] * 2  # workers import it too
    assert "Ball, protocol paper, random actions" in capsys.readouterr().out
    assert main([*judged, "env=wall"]) == 2
    said = capsys.readouterr().err
    assert my_balls.partition(":")[2] in said
    assert "wmcontrol/Wall-v0" in said


def test_an_environment_of_the_users_own_is_shown_and_tried(
    my_balls: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["show", f"env.id={my_balls}", "out=sheet.png"]) == 0
    assert Path("sheet.png").stat().st_size > 20_000
    assert not capsys.readouterr().err
    monkeypatch.setattr(Ball, "set_state", lambda self, state: setattr(self, "place", state + 0.5))
    assert main(["show", f"env.id={my_balls}", "out=sheet.png"]) == 0
    assert "inverse" in capsys.readouterr().err
    assert main(["show", f"env.id={my_balls}", "data.path=data"]) == 2


def test_an_environment_that_a_function_of_the_users_own_makes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("h5py")
    name = f"makes_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(
        "from foreign_envs import Ball, make_ball, near\n"
        "class Goals(Ball):\n    success = staticmethod(near)\n"
        "def make_env():\n    return Goals('rgb_array')\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    mine = f"env._target_={name}.make_env"
    assert main(["show", mine, "out=sheet.png"]) == 0
    assert not capsys.readouterr().err
    assert main(["collect", mine, "num_episodes=30", "out=data"]) == 0
    assert open_dataset("data").env_id == f"{name}/make_env-v0"
    judged = ["evaluate", "agent=random", "data.path=data", "split=all", "num_tasks=3", "videos=0", "out=found"]
    assert main([*judged, mine]) == 0
    assert "make_env, protocol paper, random actions" in capsys.readouterr().out
    protocol = replace(PROTOCOLS["paper"], num_tasks=2)
    compared = usual_comparison(
        [f"{name}:make_env"], protocol, RandomShooting(), data=["data"], num_train_trajectories=()
    )
    compared.check()
    assert list(compared.environments) == ["make_env"]
    assert main(["show", f"env._target_={name}.make_ball"]) == 2
    assert "success" in capsys.readouterr().err


@pytest.mark.long
def test_far_goals_in_an_environment_of_the_users_own(my_balls: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("h5py")
    assert main(["collect", f"env.id={my_balls}", "num_episodes=12", "out=data"]) == 0
    assert main(["encode", "data.path=data", "encoder=pyramid", "encoder.num_components=8", "out=stores"]) == 0
    (described,) = Path("stores").glob("*/store.json")
    store = f"store={described.parent}"
    assert main(["finetune", store, "mode=scratch", "num_steps=1", "batch_size=2", "out=models/ball"]) == 0
    sizes = ["num_steps=1", "num_landmarks=20"]
    assert main(["fit_steps_to_go", store, "base=models/ball/model", *sizes, "out=models/far"]) == 0
    judged = ["evaluate", "agent=hierarchical", "model.path=models/far/model", "data.path=data", f"env.id={my_balls}"]
    judged += ["agent.patience=2", "agent.leave=1.5"]
    fast = ["protocol=far", "planner=random_shooting", "planner.num_samples=4", "budget=10", "num_tasks=1"]
    capsys.readouterr()
    assert main([*judged, *fast, "split=all", "videos=0", "out=found"]) == 0
    printed = capsys.readouterr().out
    assert "Ball, protocol far" in printed
    rows = json.loads(Path("found/report.json").read_text())["rows"]
    assert "straight for the goal" in [row["agent"] for row in rows]
    with Path("found/tasks.jsonl").open() as file:
        told = json.loads(file.readline())["about"]["agent"]
    assert (told["patience"], told["leave"]) == (2, 1.5)


@pytest.mark.long
def test_an_environment_of_the_users_own_is_compared_in(my_balls: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("h5py")
    assert main(["collect", f"env.id={my_balls}", "num_episodes=30", "out=data"]) == 0
    words = ["data.path=data", "planner=random_shooting", "planner.num_samples=8", "modes=[full]", "num_steps=3"]
    sizes = ["num_train_trajectories=null", "num_tasks=2", "oracle_tasks=2", "jobs=1", "out=table"]
    assert main(["compare", f"envs=[{my_balls}]", *words, *sizes]) == 0
    assert "base=" in capsys.readouterr().err  # the packaged one has seen no balls
    (report,) = Path("table").glob("ball_paper_*/report.json")
    rows = json.loads(report.read_text())["rows"]
    assert [(row["env"], row["agent"]) for row in rows] == [
        ("Ball", agent) for agent in ("full", "no-op", "random actions", "true simulator")
    ]
    assert main(["compare", "envs=[ball]"]) == 2
    assert "module:ID" in capsys.readouterr().err


@pytest.mark.long
def test_a_predictor_of_the_users_own_is_pretrained_saved_loaded_and_plans(
    own_module: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("h5py")
    name = f"Damped_{own_module}"
    assert main(["collect", "env=wall", "num_episodes=12", "policy.num_frames=35", "out=data"]) == 0
    assert main(["encode", "data.path=data", "fit_frames=50", "encoder.num_components=4", "out=stores"]) == 0
    (store,) = (path.parent for path in Path("stores").glob("*/store.json"))
    small = ["num_steps=2", "warmup_steps=1", "batch_size=4", "device=cpu"]
    mine = [f"predictor._target_={own_module}.{name}", "predictor.width=24"]
    assert main(["pretrain", f"stores={store}", *mine, *small, "num_frames=3", "out=base"]) == 0
    predictor: Any = WorldModel.load("base/model").predictor
    assert (type(predictor).__name__, predictor.settings()["width"], predictor.damping) == (name, 24, 0.5)
    for mode in ("scratch", "full"):
        words = [f"store={store}", "base=base/model", f"mode={mode}", "num_frames=6", f"out={mode}"]
        assert main(["finetune", *words, *small]) == 0
        assert type(WorldModel.load(f"{mode}/model").predictor.predictor).__name__ == name  # type: ignore[union-attr]

    # As in a process that does not know the module.
    monkeypatch.delitem(PREDICTORS, name)
    monkeypatch.delitem(sys.modules, own_module)
    searching = ["planner=random_shooting", "planner.num_samples=2", "num_tasks=1", "videos=0"]
    judge = ["evaluate", "model.path=full/model", "env=wall", *searching]
    assert main(judge) == 2
    assert re.search(naming("model", name, "@register_predictor"), capsys.readouterr().err)
    assert main([*judge, "imports=nothing_of_this_name"]) == 2
    assert re.search(naming("imports", "nothing_of_this_name"), capsys.readouterr().err)
    for number, line in enumerate(("1 / 0", "import sys; sys.exit(0)")):
        Path(f"broken_{own_module}_{number}.py").write_text(line)
        assert main([*judge, f"imports=broken_{own_module}_{number}"]) == 2
        assert re.search(naming("imports", f"broken_{own_module}_{number}"), capsys.readouterr().err)
    assert main([*judge, f"imports={own_module}"]) == 0
    assert "world model" in capsys.readouterr().out
    given: dict[str, Any] = {}
    monkeypatch.setattr("wmcontrol.compare.run.run_stages", lambda *stages, **where: given.update(where))
    words = ["envs=[wall]", "data.path=data", "base=base/model", "num_tasks=1", f"imports={own_module}"]
    main(["compare", *words, "num_train_trajectories=null", "modes=[full]"])  # no stage is done
    assert list(given["imports"]) == [own_module]
