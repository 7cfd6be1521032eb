"""What a user's own module has is named on the command line."""

from pathlib import Path

import numpy as np
import pytest

from wmcontrol.cli.main import main
from wmcontrol.data import open_dataset


def test_a_collecting_policy_of_the_users_own(own_module: str) -> None:
    pytest.importorskip("h5py")
    words = [f"policy._target_={own_module}.Still", "policy.push=0.5", "policy.frames=4"]
    assert main(["collect", "env=wall", *words, "num_episodes=2", "out=still"]) == 0
    dataset = open_dataset("still")
    assert list(dataset.lengths) == [4, 4]
    np.testing.assert_array_equal(dataset.trajectory(1).actions, np.full((3, 2), 0.5))


def test_settings_that_it_does_not_have_are_told(own_module: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["collect", "env=wall", f"policy._target_={own_module}.Still", "policy.speed=1"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "policy:" in line
    assert "speed" in line


def test_a_choice_of_the_users_own_in_a_yaml_file(own_module: str, tmp_path: Path) -> None:
    pytest.importorskip("h5py")
    (tmp_path / "mine" / "policy").mkdir(parents=True)
    (tmp_path / "mine" / "policy" / "still.yaml").write_text(f"_target_: {own_module}.Still\nframes: 3\npush: 0.25\n")
    words = ["--config-dir", "mine", "policy=still", "policy.push=-0.5"]
    assert main(["collect", "env=wall", *words, "num_episodes=1", "out=still"]) == 0
    np.testing.assert_array_equal(open_dataset("still").trajectory(0).actions, np.full((2, 2), -0.5))
