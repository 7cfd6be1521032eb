"""What is wrong with a line is told in one line, with exit code 2."""

from pathlib import Path

import pytest
from refusing import error_line

from wmcontrol.cli.commands import COMMANDS
from wmcontrol.cli.main import main

Captured = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("words", "facts"),
    [
        ([], ["command"]),
        (["-m"], ["-m", "command"]),
        (["colect"], ["'colect'", "'collect'"]),
        (["fly"], ["'fly'", *COMMANDS]),
        (["colect", "--help"], ["'collect'"]),
        (["--verbose"], ["'--verbose'"]),
        (["collect", "--verbose"], ["'--verbose'"]),
        (["collect", "--seed", "1"], ["'--seed'", "seed=VALUE"]),
        (["collect", "--cfg", "jobs"], ["--cfg", "jobs", "hydra"]),
        (["collect", "--config-dir"], ["--config-dir"]),
        (["collect", "--config-dir", "nowhere"], ["nowhere"]),
        (["collect", "--config-name", "nothing"], ["nothing"]),
        (["collect", "sed=1"], ["'sed'", "'seed'"]),
        (["collect", "xyz=1"], ["'xyz'", "seed", "policy"]),
        (["collect", "xyz.a=1"], ["'xyz'"]),
        (["collect", "+planner=cem"], ["planner"]),
        (["collect", "fast"], ["key=value", "'fast'"]),
        (["collect", "=1"], ["=1"]),
        (["collect", "seed=x"], ["seed:", "whole number", "x"]),
        (["collect", "seed=1.5"], ["seed:", "whole number", "1.5"]),
        (["collect", "seed="], ["seed:", "whole number", "nothing"]),
        (["collect", "seed=null"], ["seed:", "whole number", "null"]),
        (["collect", "seed=[1]"], ["seed:", "whole number", "[1]"]),
        (["collect", "seed=true"], ["seed:", "whole number", "true"]),
        (["collect", "env=wall", "seed=${out}", "out=x"], ["seed:", "whole number", "x"]),
        (["collect", "env=wall", "~seed"], ["seed:", "whole number"]),
        (["collect", "+seed=1"], ["'seed'"]),
        (["pretrain", "stores=x", "max_grad_norm=fast"], ["max_grad_norm:", "a number", "fast"]),
        (["pretrain", "stores=x", "compile=maybe"], ["compile:", "true or false", "maybe"]),
        (["pretrain", "stores=x", "weights=[1,x]"], ["weights:", "a number", "[1,x]"]),
        (["pretrain", "weights=1"], ["stores=", "latent stores", "stores=[stores/1f2e,stores/3d4c]"]),
        (["collect", "env=wall", "env.settings=3"], ["env.settings:", "{name:value}", "3"]),
        (["collect", "env=wall", "env.settings={a:" + "[" * 300 + "]" * 300 + "}"], ["env.settings"]),
        (["collect", "env=wall", "env.setings={a:1}"], ["env", "'setings'", "'settings'"]),
        (["collect", "env=wall", "policy.demonstrations.path=x"], ["policy:", "'demonstrations'", "num_frames"]),
        (["collect", "seed.x=1"], ["seed"]),
        (["collect", "seed=1,2"], ["seed:", "1,2", "[1,2]", "-m"]),
        (["collect", "seed=range(0,3)"], ["seed", "-m"]),
        (["collect", "seed=(("], ["seed:", "'(('", "quote"]),
        (["collect", "seed=" + "[" * 3000], ["seed"]),
        (["collect", "env=wal"], ["env", "'wal'", "'wall'"]),
        (["collect", "env=null"], ["env:", "wall"]),
        (["collect", "policy=walk"], ["policy", "'walk'", "door"]),
        (["collect", "env=wall", "policy.num_frame=3"], ["policy", "'num_frame'", "'num_frames'"]),
        (["collect"], ["env.id=", "env=", "wall"]),
        (["collect", "env=wall", "out=${place}"], ["out", "place"]),
        (["collect", "env=wall", "policy=waypoint"], ["policy:", "wmcontrol/Wall-v0", "PointMaze"]),
        (["collect", "env=wall", "policy.num_frames=1"], ["policy:", "num_frames", "1"]),
        (["collect", "env=wall", "policy._target_=nowhere.Policy"], ["policy:", "nowhere"]),
        (["collect", "seed=range(0,1,0)", "-m"], ["seed=range(0,1,0)"]),
        (["collect", "seed=range(0,1e12)", "-m"], ["1e+12"]),
        (["collect", "seed=range(3,0)", "-m"], ["seed=range(3,0)"]),
        (["collect", "env=wall", "-m", "hydra/launcher=nothing"], ["hydra/launcher", "'nothing'", "basic"]),
        (["convert", "data.path=x"], ["out="]),
        (["convert", "out=x"], ["data.path="]),
        (["show", "data.path=nowhere"], ["data:", "nowhere"]),
        (["show", "data.path=x", "data.control_rate=soon"], ["data.control_rate:", "a number", "null", "soon"]),
        (["collect", "seed=interval(0,1)", "-m"], ["INTERVAL"]),
        (["collect", "seed=shuffle(range(0,1e9))", "-m"], ["1e+09"]),
        (["collect", "seed=range(0,inf)", "-m"], ["inf"]),
        (["collect", "seed=range(0,200)", "num_episodes=range(1,200)", "-m"], ["39800"]),
        (["collect", "seed=0,1", "env=wall,pusht", "out=a", "-m"], ["out=a/${seed}.${env}"]),
        (["collect", "env=wall", "num_episodes=0"], ["num_episodes", "1", "0"]),
        (["collect", "env=wall", "seed=-1"], ["seed", "0", "-1"]),
        (["finetune", "store=x", "mode=half"], ["mode:", "scratch, action_only, full", "half"]),
        (["evaluate", "agent=random", "env.id=Pendulun-v1"], ["env:", "`Pendulun`", "`Pendulum`"]),
        (["evaluate", "agent=random", "env.id=Pendulum-v99"], ["env:", "v99"]),
        (["evaluate", "agent=random", "env.id=moon"], ["env:", "moon"]),
        (["evaluate", "agent=random", "env.id="], ["env:"]),
        (["evaluate", "agent=random", "env.id=mine/A-v0"], ["env:", "module:mine/A-v0"]),
        (["evaluate", "agent=random", "env.id=no_module:mine/A-v0"], ["env:", "no_module"]),
        (["collect", "env=moon"], ["'moon'", "pusht", "wall"]),
        (["collect", "env.id=moon"], ["there is no environment moon", "module:moon"]),
        (["collect", "env.id=CartPole-v1"], ["CartPole-v1", "register_goal_env"]),
        (["collect", "env.id=no_module:mine/A-v0"], ["no module no_module"]),
        (["show", "env.id=moon"], ["there is no environment moon", "module:moon"]),
        (["show", "env.id=no_module:mine/A-v0"], ["no module no_module"]),
        (["pretrain", "stores=nowhere"], ["nowhere/store.json"]),
        (["pretrain", "stores=x", "predictor.width=9"], ["predictor.width", "predictor=masked", "sized", "_target_"]),
        (["evaluate", "model=wall", "env=wall", "planner.num_samples=9"], ["planner.num_samples", "| cem |", "mppi"]),
        (["evaluate", "model=wall", "env=wall", "agent.patience=2"], ["'patience'", "agent=hierarchical"]),
        (["finetune", "store=nowhere", "mode=scratch"], ["nowhere/store.json"]),
        (["fit_prior", "store=nowhere", "base=wall"], ["nowhere/store.json"]),
        (["fit_prior", "store=x", "base=wall", "width=1000000"], ["width", "8192", "1000000"]),
        (["fit_steps_to_go", "store=nowhere", "base=wall"], ["nowhere/store.json"]),
        (["fit_temporal_embedding", "store=nowhere", "base=wall"], ["nowhere/store.json"]),
        (
            ["evaluate", "agent=hierarchical", "model=pusht", "env=pusht"],
            ["agent=hierarchical", "fit_steps_to_go", "SubgoalAgent"],
        ),
        (["evaluate", "agent=subgoals", "model=wall", "env=wall"], ["fit_temporal_embedding", "HierarchicalAgent"]),
        (["evaluate", "agent=hierarchical", "agent.patience=0", "model=wall", "env=wall"], ["patience", "0"]),
        (["evaluate", "agent=subgoals", "agent.doubt=-1", "model=pusht", "env=pusht"], ["doubt", "-1"]),
        (["evaluate", "agent=hierarchical", "agent.kind=flat", "model=wall", "env=wall"], ["agent.kind", "flat"]),
        (["evaluate", "num_proposals=-1", "model=wall", "env=wall"], ["num_proposals", "-1"]),
        (["evaluate", "agent=planning", "agent.patience=2", "model=wall", "env=wall"], ["agent", "patience"]),
    ],
)
def test_a_wrong_line_is_one_line_that_names_what_is_wrong(
    words: list[str], facts: list[str], capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    line = error_line(capsys)
    assert line.startswith("wmcontrol")
    assert len(line) < 600
    for fact in facts:
        assert fact in line
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("rate", ["0", "inf", "nan"])
def test_a_rate_that_makes_no_sense_is_named(rate: str, capsys: Captured, tmp_path: Path) -> None:
    assert main(["collect", "env=wall", "num_episodes=1", "policy.num_frames=2", f"out={tmp_path}"]) == 0
    capsys.readouterr()
    assert main(["show", f"data.path={tmp_path}", f"data.control_rate={rate}", f"out={tmp_path / 'x.png'}"]) == 2
    line = error_line(capsys)
    assert "control_rate" in line
    assert rate in line


@pytest.mark.parametrize(
    "words",
    [
        ["demo"],
        ["show", "data.path=x"],
        ["collect", "env=wall"],
        ["encode", "data.path=x"],
        ["pretrain", "stores=x"],
        ["finetune", "store=x"],
        ["evaluate", "agent=random", "env=wall"],
    ],
)
def test_a_folder_that_cannot_be_made_is_one_line_and_exit_code_2(
    words: list[str], tmp_path: Path, capsys: Captured
) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("not a folder")
    name = "demo/sheet.png" if words[0] == "show" else "demo"
    assert main([*words, f"out={in_the_way / name}"]) == 2
    line = error_line(capsys)
    assert line.startswith(f"wmcontrol {words[0]}: cannot save files in")
    assert str(in_the_way) in line
    assert line.endswith("out=FOLDER")
    assert in_the_way.read_text() == "not a folder"
