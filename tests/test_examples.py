"""The notebooks of examples/ run as written, cell by cell, in a folder without the project."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).resolve().parents[1] / "examples").glob("*.ipynb"))


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS


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
