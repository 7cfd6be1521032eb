import subprocess
import sys
from pathlib import Path

import pytest

import wmcontrol
from wmcontrol.experiments.cli import main


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ([], ["demo", "bench", "show", "--version"]),
        (["demo"], ["--out", "outputs/demo", "--seed"]),
        (["bench"], ["envs"]),
        (["bench", "envs"], ["--seconds", "gym-pusht", 'pip install "wmcontrol[oracle]"']),
        (["show"], ["envs"]),
        (["show", "envs"], ["--out", "docs/pictures"]),
    ],
)
def test_help_says_what_there_is(argv: list[str], expected: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([*argv, "--help"])
    assert stop.value.code == 0
    # argparse breaks lines where it likes.
    said = " ".join(capsys.readouterr().out.split())
    assert all(words in said for words in expected)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out.strip() == f"wmcontrol {wmcontrol.__version__}"


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ([], "command"),
        (["fly"], "'fly'"),
        (["bench", "planets"], "'planets'"),
        (["demo", "--seed", "-1"], "from 0 up"),
        (["demo", "--speed", "2"], "--speed"),
        (["bench", "envs", "--seconds", "0"], "over 0"),
        (["bench", "envs", "--seconds", "soon"], "'soon'"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_exit_code_2(
    argv: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(argv)
    assert stop.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert expected in line


@pytest.mark.parametrize("command", [["demo"], ["show", "envs"]])
def test_a_folder_that_cannot_be_made_is_one_line_and_exit_code_2(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("not a folder")
    assert main([*command, "--out", str(in_the_way / "demo")]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    assert line.startswith("wmcontrol: cannot save files in")
    assert "--out" in line


def test_help_brings_in_nothing_heavy() -> None:
    heavy = ["cv2", "imageio", "matplotlib", "mujoco", "pymunk", "rich"]
    code = (
        "import sys\n"
        "from wmcontrol.experiments.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        f"print([m for m in {heavy} if m in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert printed.splitlines()[-1] == "[]"
