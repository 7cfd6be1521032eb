"""The process's default number type, its default device and its gradient mode change no result by a bit."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("all_that_computes.py")


@pytest.mark.long
def test_nothing_depends_on_what_the_process_has_set(tmp_path: Path) -> None:
    runs = []
    for words in (("float32", "cpu", "grad"), ("float64", "meta", "no_grad")):
        folder = tmp_path / words[0]
        folder.mkdir()
        command = [sys.executable, str(SCRIPT), *words, str(folder)]
        runs.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
    found = []
    for run in runs:
        out, errors = run.communicate(timeout=300)
        assert run.returncode == 0, errors
        found.append(json.loads(out))
    usual, changed = found
    assert len(usual) == 19
    assert changed == usual
