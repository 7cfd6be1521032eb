"""Sweeps in other processes, with Hydra's launchers."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("launcher", ["joblib", "submitit_local", "ray"])
def test_a_sweep_with_a_launcher(launcher: str, tmp_path: Path) -> None:
    pytest.importorskip(f"hydra_plugins.hydra_{launcher.partition('_')[0]}_launcher")
    words = ["collect", "env=wall", "num_episodes=1,2", "policy.num_frames=5", "out=made_${num_episodes}", "-m"]
    command = [sys.executable, "-m", "wmcontrol", *words, f"hydra/launcher={launcher}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.glob("made_*/data")} == {"data"}
    assert len(list(tmp_path.glob("made_*"))) == 2
    command[-2:-1] = ["-m", "seed=-1"]
    failed = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert failed.returncode != 0
