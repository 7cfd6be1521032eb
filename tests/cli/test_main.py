"""The command line: exit codes, what is said of mistakes and failures, sweeps, options, and interrupts."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from refusing import error_line

import wmcontrol
from wmcontrol.cli.commands import COMMANDS
from wmcontrol.cli.main import main

ROOT = Path(__file__).resolve().parents[2]
Captured = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("mood", "code", "fact"),
    [(1, 1, "the value is wrong"), (2, 1, "/nowhere/at/all"), (3, 1, '"wmcontrol[data]"'), (4, 2, "that cannot be")],
)
@pytest.mark.usefixtures("moody")
def test_what_a_command_says_is_wrong_is_one_line(
    mood: int, code: int, fact: str, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["collect", "env=wall", f"num_episodes={mood}"]
    assert main(words) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("wmcontrol collect: ")
    assert fact in line
    monkeypatch.setenv("WMCONTROL_TRACEBACK", "1")
    assert main(words) == code
    printed = capsys.readouterr().err
    assert printed.startswith("Traceback")
    assert "conftest.py" in printed
    assert printed.endswith(f"{line}\n")


@pytest.mark.usefixtures("moody")
def test_a_bug_is_not_made_to_look_like_a_mistake_of_the_user() -> None:
    with pytest.raises(KeyError, match="a bug"):
        main(["collect", "env=wall", "num_episodes=5"])


@pytest.mark.usefixtures("moody")
def test_a_sweep_runs_every_combination_and_goes_on_after_one_that_fails(
    capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["collect", "env=wall,pusht", "num_episodes=9,1,4", "-m"]) == 2
    printed = capsys.readouterr()
    assert [line.split()[:2] for line in printed.out.splitlines()] == [
        [mood, env] for env in ("wmcontrol/Wall-v0", "wmcontrol/PushT-v0") for mood in "914"
    ]
    lines = printed.err.splitlines()
    assert lines[0] == "[1] wmcontrol collect env=wall num_episodes=9"
    assert len(lines) == 6 + 4 + 1
    assert "num_episodes=1: the value is wrong" in lines[2]
    assert "4 of 6" in lines[-1]


@pytest.mark.usefixtures("moody")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["num_episodes=range(9,11)", "seed=choice(1,2)"], [("9", "1"), ("9", "2"), ("10", "1"), ("10", "2")]),
        (["num_episodes=9,10", "out=a/${num_episodes}"], [("9", "0"), ("10", "0")]),
        (["num_episodes=9,10", """out='"2024_01_05","1e3",c'"""], [("9", "0")] * 3 + [("10", "0")] * 3),
        (["num_episodes=9"], [("9", "0")]),
    ],
)
def test_a_sweep_is_every_combination_in_hydras_order(
    words: list[str], expected: list[tuple[str, str]], capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = [word.replace("'", "") for word in words]  # as a shell does
    assert main(["collect", "env=wall", *words, "-m"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [(line[0], line[2]) for line in lines] == expected


def test_a_sweep_over_lists_needs_brackets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from wmcontrol.cli.commands import pretrain

    monkeypatch.chdir(tmp_path)
    found = []
    monkeypatch.setattr(pretrain, "run", lambda config: found.append(list(config.stores)))
    assert main(["pretrain", "stores=[a,b],[c]", "-m"]) == 0
    assert found == [["a", "b"], ["c"]]


@pytest.mark.usefixtures("moody")
def test_no_combination_runs_if_one_of_them_has_a_value_of_another_type(capsys: Captured) -> None:
    assert main(["collect", "--multirun", "env=wall", "num_episodes=9,x"]) == 2
    assert "num_episodes" in error_line(capsys)


@pytest.mark.usefixtures("moody")
def test_hydra_leaves_no_folders_changes_none_and_logs_nothing(
    capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words, full = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    assert main(["collect", "env=wall", "num_episodes=9"]) == 0
    assert capsys.readouterr().err == ""
    assert not list(tmp_path.iterdir())
    assert (sys.argv, os.environ.get("HYDRA_FULL_ERROR"), Path.cwd()) == (words, full, tmp_path)


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("stores=[a,b]", ["a", "b"]),
        ("stores=2024_01_05", ["2024_01_05"]),
        ('stores=["010",b,"é"]', ["010", "b", "é"]),
        ('stores=["~/a"]', [str(Path.home() / "a")]),
        ("start=~/a", str(Path.home() / "a")),
        ("weights=[1,2]", [1.0, 2.0]),
        ("weights=2", [2.0]),
        ("weights=[]", []),
        ("weights=null", None),
        ("learning_rate=2", 2.0),
        ("learning_rate=1e-3", 0.001),
        ("max_grad_norm=null", None),
        ("compile=true", True),
        ("compile=False", False),
        ("start=12", "12"),
        ("start=010", "010"),
        ("start=1.50", "1.50"),
        ("start='a, b'", "a, b"),
        ("start=", ""),
        ("start=run_${seed}", "run_0"),
        ("out=null", None),
        ("dtype=float32", "float32"),
    ],
)
def test_words_become_values_of_the_keys_types(word: str, value: object, monkeypatch: pytest.MonkeyPatch) -> None:
    from omegaconf import OmegaConf

    from wmcontrol.cli.commands import pretrain

    found = []
    monkeypatch.setattr(pretrain, "run", lambda config: found.append(OmegaConf.to_container(config)))
    assert main(["pretrain", "stores=x", "seed=1", "seed=0", word]) == 0  # the last of several words counts
    (config,) = found
    assert config["seed"] == 0
    kept = config[word.partition("=")[0]]
    assert kept == value
    assert type(kept) is type(value)


def test_settings_of_any_names_are_kept_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    from omegaconf import OmegaConf

    from wmcontrol.cli.commands import collect

    found = []
    monkeypatch.setattr(collect, "run", lambda config: found.append(OmegaConf.to_container(config.env.settings)))
    assert main(["collect", "env=wall", "env.settings={view:'all',sizes:[1,2]}"]) == 0
    assert main(["collect", "env=wall"]) == 0
    assert found == [{"view": "all", "sizes": [1, 2]}, {}]


@pytest.mark.parametrize(
    ("word", "kept"),
    [
        ("2024_01_05", "2024_01_05"),
        ("1e3", "1e3"),
        ("007", "007"),
        ("true", "true"),
        ("~nobody-of-this-name", "~nobody-of-this-name"),
        ("a=b", "a=b"),
        ("a b", "a b"),
        ("a ", "a "),
        ("010", "010"),
        ("é", "é"),
        ("'it, all'", "it, all"),
        ('"2024_01_05"', "2024_01_05"),
        ("run_${seed}", "run_7"),
        ("~/x", str(Path("~/x").expanduser())),
        ("null", None),
    ],
)
def test_paths_are_what_was_typed(word: str, kept: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    from wmcontrol.cli.commands import collect
    from wmcontrol.cli.objects import run_folder

    found = []
    monkeypatch.setattr(collect, "run", lambda config: found.append(run_folder(config, "collect")))
    assert main(["collect", "env=wall", "seed=7", f"out={word}"]) == 0
    assert found[0].parts[:2] == ("outputs", "collect") if kept is None else found == [Path(kept)]


def test_the_same_configuration_has_the_same_folder_and_another_has_another(monkeypatch: pytest.MonkeyPatch) -> None:
    from wmcontrol.cli.commands import collect
    from wmcontrol.cli.objects import run_folder

    found = []
    monkeypatch.setattr(collect, "run", lambda config: found.append(run_folder(config, "collect", apart=("seed",))))
    lines = (["env=wall"], ["env=wall", "num_episodes=2000"], ["env=wall", "seed=3"], ["env=pusht"], ["env=wall"])
    for words in lines:
        assert main(["collect", *words]) == 0
    assert found[0] == found[1] == found[2] == found[4] != found[3]


def test_options_of_hydra_pass_through(capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["collect", "env=wall", "--cfg", "job"]) == 0
    assert "id: wmcontrol/Wall-v0" in capsys.readouterr().out
    assert main(["collect", "--info", "defaults"]) == 0
    assert "policy/random" in capsys.readouterr().out
    assert main(["collect", "--hydra-help"]) == 0
    assert "--multirun" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_tab_completion_knows_commands_groups_and_keys(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["-sc", "install=bash"]) == 0
    assert "complete" in capsys.readouterr().out
    for line, expected in (
        ("wmcontrol ", {"collect", "show"}),
        ("wmcontrol col", {"collect"}),
        ("wmcontrol collect env=", {"env=wall", "env=pusht"}),
        ("wmcontrol collect num_e", {"num_episodes="}),
    ):
        monkeypatch.setenv("COMP_LINE", line)
        assert main(["-sc", "query=bash"]) == 0
        assert expected <= set(capsys.readouterr().out.split())


@pytest.mark.usefixtures("moody")
def test_files_of_the_users_own_are_taken(tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "env").mkdir()
    (tmp_path / "env" / "mine.yaml").write_text("id: mine/Env-v0\nsettings: {}\n")
    (tmp_path / "often.yaml").write_text("defaults: [collect, _self_]\nnum_episodes: 9\nseed: 4\n")
    assert main(["collect", "--config-dir", str(tmp_path), "env=mine", "num_episodes=9"]) == 0
    assert capsys.readouterr().out.split() == ["9", "mine/Env-v0", "0"]
    assert main(["collect", "-cd", str(tmp_path), "-cn", "often", "env=wall", "seed=5"]) == 0
    assert capsys.readouterr().out.split() == ["9", "wmcontrol/Wall-v0", "5"]


def test_version(capsys: Captured) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == f"wmcontrol {wmcontrol.__version__}"


def test_interrupting_is_one_line_and_exit_code_130(tmp_path: Path) -> None:
    code = (
        "import signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a background shell would have it ignored
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import conftest\n"
        "from wmcontrol.cli import main\n"
        "conftest.collect.run = conftest.act\n"
        "sys.exit(main.main(['collect', 'env=wall,pusht', 'num_episodes=6', '-m']))"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    )
    assert child.stdout is not None
    while "started" not in child.stdout.readline():
        assert child.poll() is None
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=30)
    assert child.returncode == 130
    assert err.splitlines()[1:] == ["wmcontrol: interrupted; the same line goes on from what was saved"]


@pytest.mark.parametrize("module", ["numpy", "hydra"])
def test_interrupting_while_packages_are_imported_is_one_line_too(module: str, tmp_path: Path) -> None:
    (tmp_path / f"{module}.py").write_text("raise KeyboardInterrupt")
    code = (
        "import sys\nfrom wmcontrol_command import main\n"
        "sys.argv = ['wmcontrol', 'collect', 'seed=0,1']\nsys.exit(main())"
    )
    path = os.pathsep.join([str(tmp_path), str(ROOT), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": path})
    assert done.returncode == 130
    assert done.stderr.splitlines() == ["wmcontrol: interrupted; the same line goes on from what was saved"]


def _seconds(*words: str, code: int = 0) -> float:
    """Return the CPU time of a command of Python, the less of two: other tests may run meanwhile."""
    found = []
    for _ in range(2):
        before = os.times()
        done = subprocess.run([sys.executable, *words], capture_output=True, check=False)
        assert done.returncode == code
        after = os.times()
        found.append(after.children_user - before.children_user + after.children_system - before.children_system)
    return min(found)


@pytest.mark.parametrize(("words", "code"), [(["--help"], 0), (["collect", "--help"], 0), (["collect", "sed=1"], 2)])
def test_help_and_mistakes_are_told_in_less_time_than_pytorch_takes_to_import(words: list[str], code: int) -> None:
    assert _seconds("-m", "wmcontrol", *words, code=code) < 0.7 * _seconds("-c", "import torch")


@pytest.mark.long
def test_help_completion_and_mistakes_bring_in_nothing_heavy() -> None:
    heavy = ["torch", "cv2", "imageio", "matplotlib", "mujoco", "pymunk", "rich"]
    lines = [[*name.split(), *words] for name in COMMANDS for words in (["--help"], ["typo=1"], ["--cfg", "job"])]
    code = (
        "import sys\n"
        "from wmcontrol.cli.main import main\n"
        f"for line in [['--help'], *{lines}]:\n    main(line)\n"
        f"print([m for m in {heavy} if m in sys.modules])"
    )
    environment = {**os.environ, "PYTHONWARNINGS": "error"}
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment)
    assert done.stdout.splitlines()[-1] == "[]"
