"""The packaged models: made from nothing by a recipe, killed or not; in a budget, with cards that tell the truth."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import small_recipe
import torch
from naming import naming
from safetensors.torch import load_file
from small_recipe import SMALL

import wmcontrol
from experiments.assets import package
from experiments.assets.card import card
from experiments.assets.make import make_assets
from experiments.assets.package import BUDGET, bytes_of, check_budget, expected_bytes, install, sizes_in
from experiments.assets.recipe import RECIPE, with_training_seed
from experiments.assets.steps import plan
from wmcontrol import WorldModel
from wmcontrol.compare import stages as stages_module
from wmcontrol.data import LatentStore
from wmcontrol.encoders.files import encoder_digest
from wmcontrol.files import exclusive_lock
from wmcontrol.models import checkpoint
from wmcontrol.training import TemporalEmbeddingSettings, held_out_clips, prediction_error

PACKAGED = Path(wmcontrol.__file__).parent / "assets"
ROOT = Path(__file__).parents[2]
FROM_THE_ROOT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("assets")
    make_assets(SMALL, out, out / "models")
    return out


def facts(model: Path) -> dict:
    return json.loads((model / "card.json").read_text())


def only(out: Path, pattern: str) -> Path:
    (found,) = (out / "stages").glob(pattern)
    return found


def test_models_load_by_name_and_hold_what_was_trained(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "_ASSETS", made / "models")
    assert sorted(path.name for path in (made / "models").iterdir()) == ["base", "wall"]
    for name in ("base", "wall"):
        model = WorldModel.load(name, dtype=torch.float32)
        assert (model.normalizer is None) == (name == "base")
        assert model.frame_size == (32, 32)
        files = sorted(path.name for path in (made / "models" / name).iterdir())
        assert files == ["card.json", "card.md", "config.json", "model.safetensors"]
        kept = load_file(made / "models" / name / "model.safetensors")
        assert {t.dtype for k, t in kept.items() if k.startswith("predictor.")} == {torch.bfloat16}
        assert {t.dtype for k, t in kept.items() if k.startswith("encoder.")} == {torch.float16}
        assert (model.prior is not None) == (name == "wall")
        assert {t.dtype for k, t in kept.items() if k.startswith("prior.")} <= {torch.float16}
        assert (model.landmarks is not None) == (name == "wall")
        assert {t.dtype for k, t in kept.items() if k.startswith("landmarks.")} <= {torch.float16, torch.int32}
        assert {t.dtype for k, t in kept.items() if k.startswith("steps_to_go.")} <= {torch.float16}
        last = {"base": "train_base", "wall": "fit_far_wall"}[name]
        trained = load_file(only(made, f"{last}-*") / "run" / "model" / "model.safetensors")
        for key, tensor in trained.items():
            assert torch.equal(tensor.to(kept[key].dtype), kept[key])


def test_a_temporal_embedding_is_packaged_with_the_points_of_its_rounded_network(made: Path, tmp_path: Path) -> None:
    far = TemporalEmbeddingSettings(num_steps=20, batch_size=32, size=4, width=8, depth=1, num_frames=50)
    recipe = replace(SMALL, far={"wall": far})
    make_assets(recipe, made, tmp_path, ["wall"])
    model = WorldModel.load(tmp_path / "wall")
    embedding = model.temporal_embedding
    assert model.landmarks is None
    assert embedding.settings()["num_frames"] == 50
    torch.testing.assert_close(embedding.points, embedding.embed(embedding.frames), atol=1e-3, rtol=1e-3)
    kept = load_file(tmp_path / "wall" / "model.safetensors")
    assert kept["temporal_embedding.points"].dtype == torch.float16
    assert kept["temporal_embedding.neighbors"].dtype == torch.int32
    text = (tmp_path / "wall" / "card.md").read_text()
    assert "50 frames of the training data" in text
    assert f"{facts(tmp_path / 'wall')['stages'][10]['facts']['error']:.2f} nats" in text
    real, expected = bytes_of(tmp_path / "wall"), expected_bytes(recipe, "wall")
    assert real <= expected <= real + package._BESIDE


def test_the_packaged_encoder_is_exactly_the_stores(made: Path) -> None:
    digests = {encoder_digest(WorldModel.load(made / "models" / name).encoder) for name in ("base", "wall")}
    stores = [LatentStore.open(path.parent) for path in made.glob("stages/encode_*/stores/*/store.json")]
    assert len(stores) == 4
    assert {encoder_digest(store.encoder) for store in stores} == digests


def test_cards_say_how_it_was_made_and_how_well_it_imagines(made: Path) -> None:
    found, text = facts(made / "models" / "wall"), (made / "models" / "wall" / "card.md").read_text()
    stages = {stage["name"]: stage for stage in found["stages"]}
    assert list(stages) == [
        *("collect wall", "collect pointmaze", "fit encoder", "encode wall", "encode pointmaze", "train base"),
        *("train wall", "train wall further 1", "train wall further 2"),
        *("fit prior wall", "fit far wall", "collect wall unseen", "encode wall unseen"),
    ]
    assert stages["collect wall"]["facts"]["frames"] == 240
    assert stages["collect wall"]["settings"]["seed"] != stages["collect wall unseen"]["settings"]["seed"]
    assert stages["train wall"]["settings"]["num_steps"] == 60
    assert stages["train wall"]["settings"]["mode"] == "full"
    assert [stages[f"train wall further {number}"]["settings"]["num_steps"] for number in (1, 2)] == [10, 5]
    assert text.count("\n- train wall") == 3
    assert f"| predictor | {stages['train wall further 2']['facts']['parameters']:,} parameters" in text
    assert stages["fit prior wall"]["settings"]["width"] == 8
    assert f"{stages['fit prior wall']['facts']['error']:.2f} standard deviations" in text
    assert "20 landmarks" in text
    assert f"the number of steps between two frames: {stages['fit far wall']['facts']['error']:.2f} nats" in text
    assert "- fit far wall: `kind=landmarks, num_steps=20" in text
    attempt = stages["train base"]["attempts"][0]
    assert attempt["torch"] == torch.__version__
    assert attempt["wmcontrol"] == wmcontrol.__version__
    assert attempt["threads"] == torch.get_num_threads()
    assert attempt["cpu"]
    assert len(stages["train base"]["attempts"]) == 1
    assert attempt["seconds"] > 0
    errors = found["errors"]["wall"]
    assert errors["trajectories"] == 3
    assert errors["seconds_ahead"] == pytest.approx([0.5, 1.0, 1.5, 2.0, 2.5])
    assert errors["context_frames"] == 1  # of the 6 that it was trained on last, plans have 5
    assert errors["windows"] == 3 * (40 - 25)
    store = LatentStore.open(next(only(made, "encode_wall_unseen-*").glob("stores/*/store.json")).parent)
    model = WorldModel.load(made / "models" / "wall", dtype=torch.float32)
    clips, _ = held_out_clips(store, None, num_frames=6, frameskip=5, normalizer=model.normalizer, seed=0)
    expected = prediction_error(model.predictor, clips, store.grid, context=1)
    assert errors["error"] == pytest.approx(expected.model, rel=1e-3)
    assert errors["persistence_error"] == pytest.approx(expected.persistence, rel=1e-3)
    for ratio in expected.relative_error:
        assert f"{float(ratio):.1%}" in text
    assert ("Warning" in text) == (expected.warning is not None)
    for words in (
        "Apache-2.0",
        found["sha256"],
        "num_steps=60",
        "| wall unseen | wmcontrol/Wall-v0 | random | 3 | 120 | 1 |",
    ):
        assert words in text
    assert str(made) not in text + json.dumps(found)
    assert "resumed" not in text
    assert "further." not in text
    more = {**stages["collect wall"], "name": "collect wall further"}
    assert "wall went on learning from the one called further." in card({**found, "stages": [*found["stages"], more]})
    assert set(facts(made / "models" / "base")["errors"]) == {"wall", "pointmaze"}


def test_the_persistence_baseline_is_measured_against_the_frames(made: Path) -> None:
    store = LatentStore.open(next(only(made, "encode_wall_unseen-*").glob("stores/*/store.json")).parent)
    model = WorldModel.load(made / "models" / "base", dtype=torch.float32)
    tokens = store.tokens.float()
    start = torch.arange(3)[:, None] * 40 + torch.arange(10, 40 - 25)  # the last of three frames that are seen
    moved = [tokens[start + 5 * (step + 1)] - tokens[start] for step in range(5)]
    expected = [torch.nn.functional.smooth_l1_loss(d, torch.zeros_like(d), beta=0.1).item() for d in moved]
    assert package.measured(model, store, 5, 8)["persistence_error"] == pytest.approx(expected, rel=1e-5)


def killed(out: Path, when: str) -> None:
    """Follow the recipe in a process of its own and kill it once something is there."""
    command = [sys.executable, small_recipe.__file__, str(out)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=FROM_THE_ROOT)
    deadline = time.monotonic() + 120
    while not list(out.glob(when)) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it was not killed in the middle"


def test_killed_twice_and_moved_it_ends_with_the_same_models_and_says_so(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = tmp_path / "elsewhere"
    killed(elsewhere, "stages/train_base-*/run/log.jsonl")
    tmp_path = elsewhere.rename(tmp_path / "here")
    killed(tmp_path, "stages/package_base-*/clock.json")
    assert not (tmp_path / "models" / "base").exists()
    make_assets(SMALL, tmp_path, tmp_path / "models")
    assert "fit encoder: finished already" in capsys.readouterr().out
    for name in ("base", "wall"):
        assert facts(tmp_path / "models" / name)["sha256"] == facts(made / "models" / name)["sha256"]
    stages = {stage["name"]: stage for stage in facts(tmp_path / "models" / "wall")["stages"]}
    assert len(stages["train base"]["attempts"]) == 2
    text = (tmp_path / "models" / "wall" / "card.md").read_text()
    total = sum(attempt["seconds"] for attempt in stages["train base"]["attempts"])
    assert f"| train base | {total:,.0f} (resumed 1×) |" in text


def test_what_is_finished_is_not_made_again(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in (made / "stages").rglob("*") if path.is_file()}
    make_assets(SMALL, made, tmp_path / "elsewhere", ["wall"])
    assert {path: path.stat().st_mtime_ns for path in (made / "stages").rglob("*") if path.is_file()} == before
    assert sorted(sizes_in(tmp_path / "elsewhere")) == ["wall"]
    lines = capsys.readouterr().out.splitlines()
    numbered = [line for line in lines if line.startswith("[")]
    assert len(numbered) == 14
    assert all(line.endswith("finished already") for line in numbered)


def test_a_model_can_go_on_learning_from_more_data() -> None:
    before = plan(SMALL)
    after = plan(replace(SMALL, further_data={"wall": replace(SMALL.data["wall"], seed=5)}))
    assert after.keys() - before.keys() == {"collect wall further", "encode wall further"}
    assert after["collect wall further"].settings["seed"] == 5
    needs = {name: [need.name for need in stage.needs] for name, stage in after.items()}
    assert needs["encode wall further"] == ["fit encoder", "collect wall further"]
    assert needs["train wall further 1"] == ["encode wall further", "train wall"]
    assert needs["train wall further 2"] == ["encode wall further", "train wall further 1"]
    assert needs["fit prior wall"] == ["encode wall", "train wall further 2"]
    names = list(after)
    assert all(names.index(need) < names.index(name) for name in names for need in needs[name])


def test_a_changed_recipe_makes_anew_what_depends_on_it_and_nothing_else() -> None:
    before = plan(SMALL)

    def changed(**changes: object) -> set[str]:
        after = plan(replace(SMALL, **changes))
        return {name for name, stage in after.items() if stage.digest != before[name].digest}

    after_training = {"train wall", "train wall further 1", "train wall further 2", "fit prior wall", "fit far wall"}
    assert changed() == set()
    assert changed(models={"wall": replace(SMALL.models["wall"], num_steps=7)}) == after_training
    first, second = SMALL.further["wall"]
    longer = replace(second, num_steps=7)
    assert changed(further={"wall": [first, longer]}) == {*("train wall further 2", "fit prior wall", "fit far wall")}
    longer = replace(first, num_steps=7)
    assert changed(further={"wall": [longer, second]}) == after_training - {"train wall"}
    assert changed(priors={"wall": replace(SMALL.priors["wall"], width=9)}) == {"fit prior wall", "fit far wall"}
    assert changed(far={"wall": replace(SMALL.far["wall"], width=9)}) == {"fit far wall"}
    assert changed(base=replace(SMALL.base, seed=1)) == {"train base"} | after_training
    assert changed(predictor={**SMALL.predictor, "depth": 3}) == {"train base"} | after_training
    maze = replace(SMALL.data["pointmaze"], num_unseen=9)
    unseen = {"collect pointmaze unseen", "encode pointmaze unseen"}
    assert changed(data={**SMALL.data, "pointmaze": maze}) == unseen
    maze = replace(SMALL.data["pointmaze"], seed=9)
    everything = set(before) - {"collect wall", "collect wall unseen", "collect pointmaze unseen"}
    assert changed(data={**SMALL.data, "pointmaze": maze}) == everything


def test_another_training_seed_changes_what_is_trained_and_nothing_before() -> None:
    first, other = plan(RECIPE), plan(with_training_seed(RECIPE, 3))
    changed = {name for name in first if first[name].digest != other[name].digest}
    trained = {f"train {name}" for name in RECIPE.models} | {f"fit prior {name}" for name in RECIPE.priors}
    trained |= {f"train {name} further {k + 1}" for name, runs in RECIPE.further.items() for k in range(len(runs))}
    assert changed == trained | {f"fit far {name}" for name in RECIPE.far}
    for name in trained:
        assert (other[name].settings["seed"], other[name].settings["split_seed"]) == (3, 0)


def test_the_recipe_fits_the_budget_and_has_the_frames_that_were_promised() -> None:
    assert set(RECIPE.models) == {"wall", "pusht", "pointmaze"}
    assert {"train base", "train wall", "train pusht", "train pointmaze"} < set(plan(RECIPE))
    check_budget({name: expected_bytes(RECIPE, name) for name in ("base", *RECIPE.models)})
    for data in RECIPE.data.values():
        assert data.num_episodes * data.num_frames[0] >= 100_000
        assert data.seed != data.unseen_seed
    wide = replace(RECIPE, predictor={**RECIPE.predictor, "width": 288})
    with pytest.raises(ValueError, match=r"35 MB.* \d\d\.\d\d MB .*base .*, wall "):
        check_budget({name: expected_bytes(wide, name) for name in ("base", *RECIPE.models)})


def test_the_expected_size_is_a_close_upper_bound(made: Path) -> None:
    for name in ("base", "wall"):
        real, expected = bytes_of(made / "models" / name), expected_bytes(SMALL, name)
        assert real <= expected <= real + package._BESIDE


def test_too_much_is_refused_before_work_begins(tmp_path: Path) -> None:
    (tmp_path / "into" / "other").mkdir(parents=True)
    with (tmp_path / "into" / "other" / "model.safetensors").open("wb") as file:
        file.truncate(BUDGET)
    with pytest.raises(ValueError, match=r"35 MB.* 35\.\d\d MB .*other 35\.00, wall 0\."):
        make_assets(SMALL, tmp_path / "out", tmp_path / "into")
    assert not (tmp_path / "out").exists()


def test_what_is_packaged_after_all_over_the_budget_stays_out(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = sizes_in(made / "models")
    monkeypatch.setattr(package, "BUDGET", sum(before.values()) - 1)
    monkeypatch.setattr("experiments.assets.make.expected_bytes", lambda recipe, name: 0)
    with pytest.raises(ValueError, match="MB"):
        make_assets(SMALL, made, made / "others")
    assert sizes_in(made / "others") == {}


def test_a_model_takes_the_place_of_the_one_before_it(tmp_path: Path) -> None:
    for folder, text in (("made/wall", "new"), ("into/wall", "old"), ("into/.wall.partial", "half")):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "config.json").write_text(text)
    assert sizes_in(tmp_path / "into") == {"wall": 3}
    install(tmp_path / "made" / "wall", tmp_path / "into")
    assert (tmp_path / "into" / "wall" / "config.json").read_text() == "new"
    assert [path.name for path in (tmp_path / "into").iterdir()] == ["wall"]


def test_mistakes_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = [sys.executable, "-m", "experiments.assets", "--only", "wal", "--out", str(tmp_path / "out")]
    found = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", cwd=ROOT, env=FROM_THE_ROOT)
    assert found.returncode == 1
    assert "'wal'" in found.stderr
    assert len(found.stderr.splitlines()) == 1
    with pytest.raises(ValueError, match=naming("'moon'", "'wall'", "'pointmaze'")):
        make_assets(replace(SMALL, models={"moon": SMALL.models["wall"]}), tmp_path / "out", tmp_path / "into")
    assert not (tmp_path / "out" / "stages").exists()
    monkeypatch.setattr(stages_module, "_PATIENCE", 0)
    stage = plan(SMALL)["collect wall"].folder(tmp_path / "out" / "stages")
    stage.mkdir(parents=True)
    with exclusive_lock(stage), pytest.raises(OSError, match="another process is writing"):
        make_assets(SMALL, tmp_path / "out", tmp_path / "into")


def test_what_travels_with_the_package_is_whole_and_within_the_budget() -> None:
    check_budget(sizes_in(PACKAGED))
    for folder in (path for path in PACKAGED.iterdir() if path.is_dir()):
        model = WorldModel.load(folder.name, dtype=torch.float32)
        assert model.dtype == torch.float32
        assert facts(folder)["name"] == folder.name
        assert facts(folder)["command"] == f"python -m experiments.assets --only {folder.name}"
        assert (folder / "card.md").read_text().startswith(f"# {folder.name}\n")
