"""The fuzzer: a minute of it, and whether it would notice."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="cases run in forks, watched by inotify")
for _library in ("h5py", "zarr", "pyarrow", "minari"):
    pytest.importorskip(_library)


def fuzz(tmp_path: Path, *words: str) -> list[dict]:
    found = tmp_path / "found.jsonl"
    command = [sys.executable, "-m", "tests.fuzz", "--json", str(found), *words]
    subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=False, timeout=280)
    return [json.loads(line) for line in found.read_text().splitlines()]


def test_files_that_nobody_changed_are_read(tmp_path: Path) -> None:
    results = fuzz(tmp_path, "--unchanged")
    assert len(results) > 15
    assert not [result for result in results if result["outcome"] != "ok"]
