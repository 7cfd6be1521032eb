"""The command line: help, exit codes, and what is said about mistakes and failures."""

import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import wmcontrol
from wmcontrol.experiments.cli import main
from wmcontrol.experiments.errors import UsageError
from wmcontrol.experiments.help import job_help
from wmcontrol.experiments.jobs import JOBS, load_job
from wmcontrol.experiments.keys import keys_of
from wmcontrol.experiments.overrides import read_overrides

ROOT = Path(__file__).resolve().parents[2]
Captured = pytest.CaptureFixture[str]


def error_line(capsys: Captured) -> str:
    """Return the one line that was printed, on stderr."""
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    return line


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (
            [],
            ["wmcontrol JOB key=value", *JOBS, *JOBS.values(), "--version", "-m, --multirun", "WMCONTROL_TRACEBACK=1"],
        ),
        (
            ["demo"],
            [
                "out",
                "default: outputs/demo",
                "seed",
                "of training, tasks and agents",
                "whole number from 0 up",
                "seed=1",
            ],
        ),
        (["show"], ["data", "a number over 0, or null; default: null", "subjects:", JOBS["show envs"]]),
        (["show", "envs"], ["out", "docs/pictures"]),
    ],
)
@pytest.mark.parametrize("asked", ["--help", "-h"])
def test_help_says_what_there_is(argv: list[str], expected: list[str], asked: str, capsys: Captured) -> None:
    assert main([*argv, asked]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert printed.out.startswith("usage: wmcontrol")
    said = " ".join(printed.out.split())
    assert all(words in said for words in expected)


def test_help_names_the_type_default_and_example_of_every_key(practice: Path, capsys: Captured) -> None:
    assert main(["practice", "--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    for words in (
        "usage: wmcontrol practice env=… key=value ...",
        "Practise a task. What happens is printed.",
        "one of wall, pusht, or several with commas between them; must be given; for example env=wall",
        "episodes how many times a whole number from 1 up; default: 3; for example episodes=10",
        "a number over 0; default: 0.5",
        "true or false; default: false",
        "a path, or null; default: null",
        "settings, as {name:value,name:value}; default: {}; for example settings='{image_size:64}'",
        "example: wmcontrol practice env=wall episodes=10",
    ):
        assert words in said


@pytest.mark.parametrize("name", JOBS)
def test_every_example_in_the_help_of_a_job_is_accepted(name: str) -> None:
    job = load_job(name)
    assert (job.config.__doc__ or "").strip()
    keys = keys_of(job.config).values()
    assert all(key.about and key.example for key in keys)
    for key in keys:
        # Some keys need others, or rule them out: of the value itself, an error begins with the key.
        said = ""
        try:
            read_overrides(job.config, [*example_line(name), f"{key.name}={key.example}"])
        except UsageError as error:
            said = str(error)
        assert not said.startswith(f"{key.name}:")


def example_line(name: str) -> list[str]:
    """Return the words of the example in a job's help, as a shell would."""
    text = " ".join(job_help(load_job(name)).split("\n\nsubjects:")[0].partition("example: ")[2].split())
    return shlex.split(text.removeprefix(f"wmcontrol {name}"))


@pytest.mark.parametrize("name", [name for name in JOBS if keys_of(load_job(name).config)])
def test_the_example_line_in_the_help_of_a_job_is_accepted_as_it_stands(name: str) -> None:
    words = example_line(name)
    assert words
    (combination,) = read_overrides(load_job(name).config, words)
    assert isinstance(combination.config, load_job(name).config)


def test_version(capsys: Captured) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == f"wmcontrol {wmcontrol.__version__}"


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ([], "wmcontrol: say which job to run; wmcontrol --help lists them"),
        (["-m"], "wmcontrol: say which job to run; wmcontrol --help lists them"),
        (["dmo"], "wmcontrol: unknown job 'dmo'; did you mean 'demo'?"),
        (["fly"], f"wmcontrol: unknown job 'fly'; there is {', '.join(sorted(JOBS))}"),
        (["dmo", "--help"], "wmcontrol: unknown job 'dmo'; did you mean 'demo'?"),
        (["show", "env"], "wmcontrol: unknown job 'show env'; did you mean 'show envs'?"),
        (["--verbose"], "wmcontrol: unknown option '--verbose'; wmcontrol --help lists the options"),
        (["demo", "sede=1"], "wmcontrol demo: unknown key 'sede'; did you mean 'seed'?"),
        (["demo", "fly=2"], "wmcontrol demo: unknown key 'fly'; there is out, seed"),
        (["demo", "fast"], "wmcontrol demo: expected key=value, got 'fast'"),
        (["demo", "--seed", "1"], "wmcontrol demo: unknown option '--seed'; write seed=VALUE"),
        (["demo", "--fast"], "wmcontrol demo: unknown option '--fast'; settings are written key=value"),
        (["demo", "+seed=1"], "wmcontrol demo: cannot add or remove keys; write seed=1"),
        (["demo", "seed=-1"], "wmcontrol demo: seed: expected a whole number from 0 up; got -1"),
        (["demo", "seed=1.5"], "wmcontrol demo: seed: expected a whole number from 0 up; got '1.5'"),
        (["demo", "seed="], "wmcontrol demo: seed: expected a whole number from 0 up; got nothing"),
        (["demo", "seed=null"], "wmcontrol demo: seed: expected a whole number from 0 up; got 'null'"),
        (["demo", "out="], "wmcontrol demo: out: expected a path; got nothing"),
        (["demo", "out=${place}"], "wmcontrol demo: out: Interpolation key 'place' not found"),
        (
            ["show", "data=x", "control_rate=0"],
            "wmcontrol show: control_rate: expected a number over 0, or null; got 0.0",
        ),
        (
            ["show", "data=x", "control_rate=inf"],
            "wmcontrol show: control_rate: expected a number over 0, or null; got inf",
        ),
        (
            ["show", "data=x", "control_rate=nan"],
            "wmcontrol show: control_rate: expected a number over 0, or null; got nan",
        ),
        (
            ["show", "data=x", "control_rate=soon"],
            "wmcontrol show: control_rate: expected a number over 0, or null; got 'soon'",
        ),
    ],
)
def test_a_wrong_command_line_is_one_line_and_exit_code_2(argv: list[str], expected: str, capsys: Captured) -> None:
    assert main(argv) == 2
    assert error_line(capsys) == expected


@pytest.mark.parametrize("job", [["demo"], ["show", "envs"]])
def test_a_folder_that_cannot_be_made_is_one_line_and_exit_code_2(
    job: list[str], tmp_path: Path, capsys: Captured
) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("not a folder")
    assert main([*job, f"out={in_the_way / 'demo'}"]) == 2
    line = error_line(capsys)
    assert line.startswith(f"wmcontrol {' '.join(job)}: cannot save files in")
    assert line.endswith("out=FOLDER")


@pytest.mark.parametrize(
    ("mood", "code", "expected"),
    [
        ("value", 1, "the value is wrong"),
        ("file", 1, "[Errno 2] No such file or directory: '/nowhere/at/all'"),
        ("package", 1, 'run: pip install "wmcontrol[data]"'),
        ("usage", 2, "that cannot be"),
    ],
)
def test_what_a_job_says_is_wrong_is_one_line(
    mood: str, code: int, expected: str, practice: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["practice", "env=wall", f"mood={mood}"]) == code
    assert capsys.readouterr().err == f"wmcontrol practice: {expected}\n"
    monkeypatch.setenv("WMCONTROL_TRACEBACK", "1")
    assert main(["practice", "env=wall", f"mood={mood}"]) == code
    printed = capsys.readouterr().err
    assert printed.startswith("Traceback")
    assert "practice.py" in printed
    assert printed.endswith(f"wmcontrol practice: {expected}\n")


def test_a_bug_is_not_made_to_look_like_a_mistake_of_the_user(practice: Path) -> None:
    with pytest.raises(KeyError, match="a bug"):
        main(["practice", "env=wall", "mood=bug"])


def test_a_sweep_runs_every_combination_and_goes_on_after_one_that_fails(practice: Path, capsys: Captured) -> None:
    assert main(["practice", "env=wall,pusht", "mood=well,value,usage", "-m"]) == 2
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == 6
    assert printed.err.splitlines() == [
        "[1/6] wmcontrol practice env=wall mood=well",
        "[2/6] wmcontrol practice env=wall mood=value",
        "wmcontrol practice env=wall mood=value: the value is wrong",
        "[3/6] wmcontrol practice env=wall mood=usage",
        "wmcontrol practice env=wall mood=usage: that cannot be",
        "[4/6] wmcontrol practice env=pusht mood=well",
        "[5/6] wmcontrol practice env=pusht mood=value",
        "wmcontrol practice env=pusht mood=value: the value is wrong",
        "[6/6] wmcontrol practice env=pusht mood=usage",
        "wmcontrol practice env=pusht mood=usage: that cannot be",
        "wmcontrol practice: 4 of 6 combinations failed",
    ]


def test_no_combination_runs_if_one_of_them_is_wrong(practice: Path, capsys: Captured) -> None:
    assert main(["practice", "--multirun", "env=wall", "episodes=1,0"]) == 2
    assert error_line(capsys) == "wmcontrol practice: episodes: expected a whole number from 1 up; got 0"


def test_a_job_of_one_word_and_one_of_two_may_share_the_first(
    practice: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    (practice / "practice_twice.py").write_text((practice / "practice.py").read_text().replace("Practise", "Repeat"))
    monkeypatch.setitem(JOBS, "practice twice", "practise it again")
    assert main(["practice", "env=wall"]) == 0
    assert main(["practice", "twice", "env=wall"]) == 0
    capsys.readouterr()
    assert main(["practice", "--help"]) == 0
    said = capsys.readouterr().out
    assert "Practise a task" in said
    assert "twice  practise it again" in said
    assert main(["practice", "twise", "env=wall"]) == 2
    assert error_line(capsys) == "wmcontrol: unknown job 'practice twise'; did you mean 'practice twice'?"


def test_interrupting_is_one_line_and_exit_code_130(practice: Path) -> None:
    code = (
        "import signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a background shell would have it ignored
        "from wmcontrol.experiments import cli, jobs\n"
        f"jobs.__path__.append({str(practice)!r})\n"
        "jobs.JOBS['practice'] = 'practise a task'\n"
        "sys.exit(cli.main(['practice', 'env=wall,pusht', 'mood=long', '-m']))"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdout is not None
    while "started" not in child.stdout.readline():
        assert child.poll() is None
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=30)
    assert child.returncode == 130
    assert err.splitlines()[1:] == ["wmcontrol: interrupted; what was finished is kept"]


@pytest.mark.parametrize("module", ["numpy", "hydra"])
def test_interrupting_while_packages_are_imported_is_one_line_too(module: str, tmp_path: Path) -> None:
    (tmp_path / f"{module}.py").write_text("raise KeyboardInterrupt")
    code = (
        "import sys\nfrom wmcontrol_command import main\nsys.argv = ['wmcontrol', 'demo', 'seed=0,1']\nsys.exit(main())"
    )
    path = os.pathsep.join([str(tmp_path), str(ROOT), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": path})
    assert done.returncode == 130
    assert done.stderr.splitlines() == ["wmcontrol: interrupted; what was finished is kept"]


@pytest.mark.parametrize(
    ("argv", "unneeded"),
    [
        ([["--help"], *([*name.split(), "--help"] for name in JOBS)], ["hydra", "omegaconf", "rich"]),
        ([[*name.split(), "typo=1"] for name in JOBS], ["rich"]),
    ],
)
def test_help_and_mistakes_bring_in_nothing_heavy(argv: list[list[str]], unneeded: list[str]) -> None:
    heavy = ["torch", "cv2", "imageio", "matplotlib", "mujoco", "pymunk", *unneeded]
    code = (
        "import sys\n"
        "from wmcontrol.experiments.cli import main\n"
        f"for line in {argv}:\n    main(line)\n"
        f"print([m for m in {heavy} if m in sys.modules])"
    )
    environment = {**os.environ, "PYTHONWARNINGS": "error"}
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment)
    assert done.stdout.splitlines()[-1] == "[]"
