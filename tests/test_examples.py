"""The notebooks of examples/ run as written, cell by cell, in a folder without the project."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS


@pytest.mark.long
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_needs_no_shell(notebook: Path, tmp_path: Path) -> None:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert not any(line.startswith(("!", "%")) for cell in code for line in cell.splitlines())
    assert all(cell["outputs"] == [] for cell in cells if cell["cell_type"] == "code")
    script = "\n".join(code)
    command = [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c", script]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=280)
    assert result.returncode == 0, result.stderr
    assert list(tmp_path.glob("results/report.html"))


def test_the_pendulum_is_planned_for_rewards(tmp_path: Path) -> None:
    pytest.importorskip("pygame")
    sizes = "num_train=4, num_steps=3, num_test=1, horizon=2, num_frames=41"
    script = f"import sys; sys.path.insert(0, {str(EXAMPLES)!r}); import pendulum_rewards as p; p.main({sizes})"
    command = [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c", script]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=200)
    assert result.returncode == 0, result.stderr
    assert [line.split(":")[0] for line in result.stdout.splitlines()] == ["rewards", "random", "planned"]
    assert (tmp_path / "pendulum" / "model" / "config.json").exists()
