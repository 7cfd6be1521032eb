"""The command of far tasks: what it cannot do it says before it works."""

import re
from pathlib import Path

import pytest
from naming import naming

from experiments import far


@pytest.mark.parametrize(
    ("words", "facts"),
    [
        (["99"], (0, 10, 99)),
        (["-1"], (0, 10, -1)),
        (["0", "--num-tasks", "0"], ("num-tasks", 0)),
        (["0", "--sac-seconds", "-1"], ("sac-seconds", -1.0)),
        (["10"], ("ogbench_maze", "PYTHONPATH=examples/environments")),
        (["0", "--agents", "best"], ("best", "hierarchical")),
    ],
)
def test_a_wrong_line_names_what_is_wrong(
    words: list[str], facts: tuple[object, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        far.main([*words, "--out", str(tmp_path / "out")])
    assert ended.value.code == 2
    assert re.search(naming(*facts), capsys.readouterr().err)
    assert not (tmp_path / "out").exists()
