"""The log of a training, for TensorBoard too: the same numbers, once each, however often the run was killed."""

import json
import sys
from pathlib import Path

import pytest

from wmcontrol.experiments.cli import main
from wmcontrol.experiments.track import TensorBoard, check_tensorboard


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("track")
    assert main(["collect", "env=wall", "episodes=20", "frames=40", f"out={folder / 'wall'}"]) == 0
    words = ["image_size=32", "fit_frames=100", "settings={num_components:16}", f"out={folder / 'stores'}"]
    assert main(["encode", f"data={folder / 'wall'}", *words]) == 0
    return next((folder / "stores").glob("*/store.json")).parent


def read(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard shows: of each curve, steps and numbers."""
    accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    found = accumulators.EventAccumulator(str(folder))
    found.Reload()
    return {tag: [(e.step, e.value) for e in found.Scalars(tag)] for tag in found.Tags()["scalars"]}


def test_a_run_shows_there_what_is_in_its_log(store: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    words = [f"store={store}", "mode=scratch", "num_steps=3", "batch_size=16", "warmup_steps=2", "device=cpu"]
    words += ["tensorboard=true", f"out={tmp_path / 'run'}"]
    assert main(["finetune", *words]) == 0
    expected: dict[str, list[tuple[int, float]]] = {}
    for line in map(json.loads, (tmp_path / "run" / "log.jsonl").read_text().splitlines()):
        step = line.pop("step")
        for name, value in line.items():
            several = {f"{name}/{i + 1}": x for i, x in enumerate(value)} if isinstance(value, list) else {name: value}
            for tag, number in several.items():
                expected.setdefault(tag, []).append((step, pytest.approx(number, rel=1e-5)))
    assert {"loss", "rate", "relative_error/1", "relative_error/5"} <= set(expected)
    assert read(tmp_path / "run" / "tensorboard") == expected
    assert main(["finetune", *words]) == 0  # a rerun adds nothing
    assert read(tmp_path / "run" / "tensorboard") == expected


def test_a_run_that_goes_on_tells_nothing_twice(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    killed = TensorBoard(tmp_path)
    for step in (50, 100, 150):
        killed(step, {"loss": float(step)})
    # No close: it was killed. The state was of step 100; what is told now is a little different.
    again = TensorBoard(tmp_path)
    for step in (150, 200):
        again(step, {"loss": step + 0.5})
    again.close()
    assert read(tmp_path) == {"loss": [(50, 50.0), (100, 100.0), (150, 150.5), (200, 200.5)]}
    killed.close()


@pytest.mark.parametrize("job", ["pretrain", "finetune"])
def test_without_the_package_it_says_what_to_install_before_it_starts(
    job: str, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)  # as if it were not there
    data = f"store{'s' if job == 'pretrain' else ''}={store}"
    mode = ["mode=scratch"] if job == "finetune" else []
    assert main([job, data, *mode, "tensorboard=true", f"out={tmp_path / 'run'}"]) == 1
    assert 'pip install "wmcontrol[track]"' in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    with pytest.raises(ImportError, match=r"wmcontrol\[track\]"):
        check_tensorboard()


def test_nothing_is_written_unless_asked_for(store: Path, tmp_path: Path) -> None:
    words = [f"store={store}", "mode=scratch", "num_steps=1", "batch_size=16", "device=cpu", f"out={tmp_path / 'run'}"]
    assert main(["finetune", *words]) == 0
    assert (tmp_path / "run" / "log.jsonl").exists()
    assert not (tmp_path / "run" / "tensorboard").exists()
