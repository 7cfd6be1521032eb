"""``wmcontrol bench modes``: real trainings of a moment, and a report whose numbers are known."""

import json
import re
import shutil
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from naming import naming

from wmcontrol import WorldModel
from wmcontrol.data import LatentStore
from wmcontrol.experiments import bench_modes, bench_modes_run
from wmcontrol.experiments.bench_modes import labels, plan_runs
from wmcontrol.experiments.bench_modes_report import caption, draw, ratios, save_report, verdicts, warnings
from wmcontrol.experiments.cli import main
from wmcontrol.experiments.jobs.bench_modes import Config
from wmcontrol.experiments.train_jobs import split
from wmcontrol.models import Predictor
from wmcontrol.training import held_out_clips, prediction_error


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("modes")
    assert main(["collect", "env=wall", "episodes=12", "frames=40", f"out={folder / 'wall'}"]) == 0
    words = ["image_size=32", "fit_frames=100", "settings={num_components:16}", f"out={folder / 'stores'}"]
    assert main(["encode", f"data={folder / 'wall'}", *words]) == 0
    return next((folder / "stores").glob("*/store.json")).parent


@pytest.fixture(scope="module")
def base(store: Path) -> Path:
    torch.manual_seed(0)
    opened, folder = LatentStore.open(store), store.parent.parent / "base"
    WorldModel(opened.encoder, Predictor(16, 16, 2, 2), control_rate=10, frame_size=(32, 32)).save(folder)
    return folder


@pytest.fixture
def words(store: Path, base: Path, tmp_path: Path) -> list[str]:
    """Say a comparison of two trainings of a moment."""
    given = ["labelled=5", "modes=scratch,full", "num_steps=3", "batch_size=8", "jobs=2"]
    return ["bench", "modes", f"stores={store}", f"base={base}", *given, f"out={tmp_path / 'out'}"]


def test_errors_are_those_of_the_trained_models_and_a_rerun_only_draws(
    words: list[str], store: Path, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    assert main(words) == 0
    found = json.loads((out / "modes.json").read_text())["runs"]
    combinations = [(run["env"], run["mode"], run["labelled"]) for run in found]
    assert combinations == [("Wall", mode, 5) for mode in ("scratch", "full")]
    opened = LatentStore.open(store)
    held_out = split(12, 0)[1].tolist()
    for run in found:
        folder = out / "runs" / "Wall" / f"{run['mode']}_{run['labelled']}_seed0"
        model = WorldModel.load(folder / "run" / "model", dtype=torch.float32)
        clips, seen = held_out_clips(opened, held_out, num_frames=8, frameskip=5, normalizer=model.normalizer, seed=0)
        assert run["context_frames"] == seen == 3
        error = prediction_error(model.predictor, clips, opened.grid, context=seen)
        assert run["error"] == pytest.approx(error.model, rel=1e-4)
        assert run["persistence_error"] == pytest.approx(error.persistence, rel=1e-6)
        record = (folder / "run" / "run.yaml").read_text()
        assert {f"  mode: {run['mode']}", "  labelled: 5", "  num_steps: 3"} < set(record.splitlines())
        assert not (folder / "run" / "training.pt").exists()
    table = (out / "modes.md").read_text()
    for run in found:
        assert f"{run['error'][4] / run['persistence_error'][4]:.1%}" in table

    monkeypatch.setattr(bench_modes, "_train", lambda *_: pytest.fail("it trains again"))
    (out / "modes.md").unlink()
    (out / "modes.png").unlink()
    assert main([*words, "jobs=1"]) == 0
    assert (out / "modes.md").read_text() == table
    assert (out / "modes.png").stat().st_size > 5000

    weights = base / "model.safetensors"
    before = weights.read_bytes()
    weights.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    try:
        assert main(words) == 1  # another base in the same place
    finally:
        weights.write_bytes(before)


def child(run: dict, folder: Path) -> subprocess.Popen:
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", bench_modes_run.__name__, str(folder)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.stdin is not None
    process.stdin.write(json.dumps(run).encode() + b"\n")
    process.stdin.flush()
    return process


def test_a_training_ends_with_who_asked_for_it(store: Path, base: Path, tmp_path: Path) -> None:
    config = Config(stores=[store], base=base, labelled=[5], modes=["full"], num_steps=10**6, batch_size=8)
    (run,) = plan_runs(config)
    with child(asdict(run), tmp_path) as process:
        assert process.stdin is not None
        deadline = time.monotonic() + 200
        while not (tmp_path / "run" / "run.yaml").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert process.poll() is None
        process.stdin.close()  # as the system does when the other end dies
        process.stdin = None
        assert process.wait(timeout=250) == 1
    assert not (tmp_path / "errors.json").exists()


def test_what_fails_is_named_and_the_rest_is_kept(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    blocked = out / "runs" / "Wall" / "full_5_seed0" / "run"
    blocked.parent.mkdir(parents=True)
    blocked.write_text("a file where a folder should be")
    assert main(words) == 1
    error = capsys.readouterr().err
    assert re.search(naming(1, 2, "Wall/full_5_seed0"), error)
    assert "output.txt" in error
    assert not (out / "modes.md").exists()
    assert (out / "runs" / "Wall" / "scratch_5_seed0" / "errors.json").exists()


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["labelled=12,5"], naming(11, 12)),
        (["labelled=5,5"], naming("labelled", 5)),
        (["seeds=-1"], "seeds"),
        (["modes=half"], naming("modes", "'half'")),
        (["modes=[]"], "modes"),
        (["jobs=0"], "jobs"),
        (["base=nowhere"], "'nowhere'"),
        (["stores=nowhere"], "nowhere"),
    ],
)
def test_mistakes_are_told_before_a_folder_is_made(
    more: list[str], says: str, words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = tuple(f"{word.partition('=')[0]}=" for word in more)
    assert main([*(word for word in words if not word.startswith(names)), *more]) in (1, 2)
    assert re.search(says, capsys.readouterr().err)
    assert not (tmp_path / "out").exists()


def test_a_store_of_another_encoder_or_a_base_with_actions_is_refused(
    store: Path, base: Path, words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = WorldModel.load(base, dtype=torch.float32)
    model.encoder.scale.mul_(2)
    model.save(tmp_path / "other")
    rest = [word for word in words if not word.startswith("base=")]
    assert main([*rest, f"base={tmp_path / 'other'}"]) == 2
    assert "encoder" in capsys.readouterr().err
    small = ["mode=scratch", "num_steps=1", "batch_size=8", "device=cpu", f"out={tmp_path / 'acts'}"]
    assert main(["finetune", f"store={store}", f"base={base}", *small]) == 0
    assert main([*rest, f"base={tmp_path / 'acts' / 'model'}"]) == 2
    assert "actions" in capsys.readouterr().err


def results(seeds: int = 1) -> list[dict]:
    """Make up results: scratch errs half as much as copying, full by a share that falls with labels."""
    found = []
    for env, copying in (("Wall", 0.1), ("PushT", 0.2)):
        for labelled, full in ((200, 0.25), (50, 0.6)):
            for mode, share in (("scratch", 0.5), ("full", full)):
                for seed in range(seeds):
                    model = [copying * (share + 0.1 * seed) * (1 + (step == 4)) for step in range(5)]
                    run = {"env": env, "mode": mode, "labelled": labelled, "seed": seed}
                    run |= {"num_steps": 7, "batch_size": 8, "context_frames": 3, "seconds_ahead": [1, 2, 3, 4, 5]}
                    found.append({**run, "error": model, "persistence_error": [copying] * 5})
    return found


def test_ratios_and_verdicts_are_those_of_the_results() -> None:
    assert ratios(results(2), "PushT", "full", 200, 1) == pytest.approx([0.25, 0.35])
    assert ratios(results(2), "PushT", "full", 200, 5) == pytest.approx([0.5, 0.7])
    said = verdicts(results())
    assert said[0] == "It is in 4 of 8 comparisons."
    assert said[1] == "Wall, 200 labelled, 1 step ahead: full < scratch holds (25.0% < 50.0%)"
    assert said[4] == "Wall, 50 labelled, 5 steps ahead: full < scratch **does not hold** (120.0% ≥ 100.0%)"
    assert verdicts(results(2))[1].endswith("(30.0% < 55.0%, in 2 of 2 seeds)")
    only = [result for result in results() if result["mode"] == "full"]
    assert verdicts(only) == ["Whether full is better than scratch is not known: one of them was not trained."]


def test_the_table_has_mean_and_range_and_says_what_it_is(tmp_path: Path) -> None:
    text = save_report(results(2), tmp_path).read_text()
    row = "| PushT | 200 | 55.0% (50.0% to 60.0%) | 30.0% (25.0% to 35.0%) | 110.0% (100.0% to 120.0%) |"
    assert row in text
    assert "| 0.2 | 0.2 |" in text
    assert "that best is not used" in text.lower()
    assert "After 7 steps of 8 windows" in caption(results())
    assert "Mean and range of seeds 0, 1" in text
    assert "Mean and range" not in caption(results())


def test_models_that_err_more_than_copying_are_warned_of() -> None:
    told = warnings([result for result in results() if result["mode"] == "full"])
    assert [line.split(": ")[0] for line in told] == [f"{env}, full, 50 labelled, seed 0" for env in ("Wall", "PushT")]
    assert "5 s (120%)" in told[0]


def test_the_plot_has_a_panel_for_each_environment_and_a_line_for_each_mode_and_horizon() -> None:
    figure = draw(results())
    assert [axes.get_title() for axes in figure.axes] == ["Wall", "PushT"]
    for axes in figure.axes:
        assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
        assert axes.get_xlabel() == "labelled trajectories"
        lines = {line.get_label(): line for line in axes.get_lines()}
        assert list(lines) == [*("scratch, 1 step", "scratch, 5 steps", "full, 1 step", "full, 5 steps"), *lines][
            :4
        ] + ["copying the last frame"]
        assert (lines["full, 1 step"].get_linestyle(), lines["full, 5 steps"].get_linestyle()) == ("-", "--")
        assert lines["full, 1 step"].get_xdata().tolist() == [50, 200]
        np.testing.assert_allclose(lines["full, 1 step"].get_ydata(), [0.6, 0.25])
        assert len(axes.get_yticks()) > 2
    assert figure.axes[0].get_ylabel() == "held-out error / error of copying"


def test_many_labels_come_first_whatever_the_order_asked_for(store: Path, base: Path, tmp_path: Path) -> None:
    other = shutil.copytree(store, tmp_path / "other")
    runs = plan_runs(Config(stores=[store, other], base=base, labelled=[5, 9], modes=["full"], seeds=[0, 1]))
    names = [f"{env}/full_{count}_seed{seed}" for env in ("Wall-1", "Wall-2") for count in (9, 5) for seed in (0, 1)]
    assert [run.name for run in runs] == names


def test_environments_of_one_name_are_told_apart(store: Path) -> None:
    opened = LatentStore.open(store)
    assert labels([opened]) == ["Wall"]
    assert labels([opened, opened]) == ["Wall-1", "Wall-2"]
