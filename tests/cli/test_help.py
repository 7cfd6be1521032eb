"""What ``--help`` says."""

import re
import shlex

import pytest

from wmcontrol.cli.commands import COMMANDS
from wmcontrol.cli.configs import choices_of, groups_of, keys_of
from wmcontrol.cli.main import main

Captured = pytest.CaptureFixture[str]


@pytest.mark.parametrize("asked", ["--help", "-h"])
def test_help_names_every_command_and_option(asked: str, capsys: Captured) -> None:
    assert main([asked]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    for fact in (
        *COMMANDS,
        *COMMANDS.values(),
        "--multirun",
        "--config-dir",
        "--cfg",
        "-sc",
        "WMCONTROL_TRACEBACK=1",
    ):
        assert fact in printed.out


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_names_its_groups_their_choices_and_every_key(command: str, capsys: Captured) -> None:
    assert main([*command.split(), "--help"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    said = " ".join(printed.out.split())
    assert "None" not in said
    for needed in re.findall(r"(\S+)=…", said.partition(" key=value")[0]):
        assert needed in keys_of(command)
    for group in groups_of(command):
        assert f"{group}=" in said
        assert all(choice in said for choice in choices_of(group))
    for name, key in keys_of(command).items():
        if key.about and not str(key.default).startswith("${"):
            assert f"{name}=" in said
            assert " ".join(key.about.split()) in said
            assert key.expected in said


def test_help_is_of_what_is_chosen(capsys: Captured) -> None:
    assert main(["collect", "policy=noisy_replay", "--help"]) == 0
    said = capsys.readouterr().out
    assert "policy.demonstrations.path" in said


def example_line(command: str, capsys: Captured) -> list[str]:
    """Return the words of the example in a command's help, as a shell would."""
    assert main([*command.split(), "--help"]) == 0
    text = " ".join(capsys.readouterr().out.rpartition("Example: ")[2].split())
    assert text.startswith(f"wmcontrol {command}")
    return shlex.split(text.removeprefix("wmcontrol "))


@pytest.mark.parametrize("command", COMMANDS)
def test_the_example_in_the_help_of_a_command_is_accepted(command: str, capsys: Captured) -> None:
    assert main([*example_line(command, capsys), "--cfg", "job"]) == 0
