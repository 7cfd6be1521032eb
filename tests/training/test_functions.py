"""Pretraining and fine-tuning in one call: what comes out, going on after a kill, and what is refused."""

import copy
import json
import os
import shutil
import socket
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.multiprocessing as mp
from naming import naming
from torch import nn

import wmcontrol.training.batch
import wmcontrol.training.finetuning
import wmcontrol.training.pretraining
from wmcontrol import Predictor, WorldModel
from wmcontrol.data import LatentStore, held_out_split
from wmcontrol.files import exclusive_lock
from wmcontrol.models import ActionPrior, Landmarks, PlanningSettings, StepsToGo, TemporalEmbedding
from wmcontrol.runs import read_run
from wmcontrol.training import (
    ClipSource,
    FinetuneResult,
    FinetuneSettings,
    PretrainResult,
    PretrainSettings,
    Trainer,
    finetune,
    pretrain,
)

FEW = FinetuneSettings(num_steps=4, batch_size=16, warmup_steps=2, num_frames=4)
FEW_CLIPS = PretrainSettings(num_steps=4, batch_size=16, warmup_steps=2, num_frames=4)
Result = FinetuneResult | PretrainResult


def same(one: nn.Module, other: nn.Module) -> bool:
    a, b = one.state_dict(), other.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_a_base_is_a_model_without_actions(stores: list[LatentStore], tmp_path: Path) -> None:
    result = pretrain(stores, weights=[1, 2], settings=FEW_CLIPS, folder=tmp_path / "base", device="cpu")
    model = WorldModel.load(tmp_path / "base" / "model")
    assert same(result.model, model)
    assert model.normalizer is None
    assert model.frame_size == (32, 32)
    assert model.control_rate == 10.0
    assert result.folder == tmp_path / "base"
    assert result.seconds > 0
    assert read_run(tmp_path / "base")["settings"]["settings"]["num_steps"] == 4


def test_a_second_stage_goes_on_from_a_model_and_leaves_it_as_it_was(
    stores: list[LatentStore], base: WorldModel
) -> None:
    before = {name: value.clone() for name, value in base.state_dict().items()}
    result = pretrain(stores[0], start=base, settings=replace(FEW_CLIPS, learning_rate=1e-9), device="cpu")
    assert all(torch.equal(base.state_dict()[name], value) for name, value in before.items())
    for name, value in result.model.predictor.state_dict().items():  # it began there, and has hardly moved
        torch.testing.assert_close(value, base.predictor.state_dict()[name], rtol=0, atol=1e-6)


def test_weights_decide_how_often_each_store_is_seen(
    stores: list[LatentStore], base: WorldModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    draw = ClipSource.batch

    def watch(self: ClipSource, *given: int) -> Any:
        batch = draw(self, *given)
        seen.extend(batch.names)
        return batch

    monkeypatch.setattr(ClipSource, "batch", watch)
    settings = PretrainSettings(num_steps=2, batch_size=1024, num_frames=2)
    pretrain(stores, weights=[1, 3], start=base, settings=settings, device="cpu")
    share = np.mean([str(stores[0].folder) in name for name in seen])
    assert 0.2 < share < 0.3


@pytest.mark.parametrize("mode", ["scratch", "action_only", "full"])
def test_each_mode_gives_a_model_that_acts(
    mode: Any, stores: list[LatentStore], base: WorldModel, tmp_path: Path
) -> None:
    logged: list[dict[str, Any]] = []
    result = finetune(
        stores[0],
        base=base,
        mode=mode,
        settings=FEW,
        folder=tmp_path,
        device="cpu",
        on_log=lambda step, values: logged.append({"step": step, **values}),
    )
    model = WorldModel.load(tmp_path / "model", dtype=torch.float32)
    assert same(result.model, model)
    assert model.normalizer is not None
    assert model.normalizer.action_dim == 10
    assert model.control_rate == 10.0
    assert model.token_std is not None
    before, after = base.predictor.state_dict(), model.predictor.state_dict()
    kept = [torch.equal(value, after[f"predictor.{name}"]) for name, value in before.items()]
    assert all(kept) == (mode == "action_only")
    assert logged == [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert len(logged[-1]["relative_error"]) == 5


def test_what_is_held_out_is_a_tenth_and_the_error_is_of_it(stores: list[LatentStore], tmp_path: Path) -> None:
    settings = replace(FEW, num_train_trajectories=3, seed=5, split_seed=1)
    result = finetune(stores[0], mode="scratch", settings=settings, folder=tmp_path, device="cpu")
    train, held_out = held_out_split(20, 1, 5)
    assert (result.train, result.held_out) == (train[:3].tolist(), held_out.tolist())
    assert len(result.held_out) == 2
    expected = stores[0].action_statistics(result.train)
    assert result.model.normalizer is not None
    torch.testing.assert_close(result.model.normalizer.mean, torch.tensor(expected.mean, dtype=torch.float32))
    error = result.error
    assert error.seconds == pytest.approx([0.5, 1.0, 1.5, 2.0, 2.5])
    assert 0 < error.persistence[0] < error.persistence[4]
    assert error.context == 1
    assert result.num_windows == 2 * (40 - 5 * 5)
    told = json.loads((tmp_path / "result.json").read_text())
    assert told["error"] == error.model.tolist()
    assert told["settings"]["mode"] == "scratch"
    assert told["windows"] == result.num_windows
    assert told["steps_per_second"] == pytest.approx(4 / told["seconds"])


def test_how_to_plan_with_it_is_saved_with_the_model(stores: list[LatentStore], tmp_path: Path) -> None:
    planning = PlanningSettings(context_frames=3, horizon=8, replan_every=5)
    given: dict[str, Any] = {"mode": "scratch", "settings": FEW, "folder": tmp_path, "device": "cpu"}
    assert finetune(stores[0], planning=planning, **given).model.planning == planning
    assert WorldModel.load(tmp_path / "model").planning == planning
    with pytest.raises(ValueError, match=naming("planning")):
        finetune(stores[0], **given)


def test_a_model_of_another_frameskip_is_measured_as_far_ahead(stores: list[LatentStore]) -> None:
    settings = replace(FEW, frameskip=12, num_frames=3, learning_rate=1.0)
    error = finetune(stores[0], mode="scratch", settings=settings, device="cpu").error
    assert error.seconds == pytest.approx([1.2, 2.4])
    assert error.context == 1  # trajectories of 40 frames have no place for more
    assert error.warning is not None  # at such a rate


def trained(kind: str, stores: list[LatentStore], **given: Any) -> Result:
    if kind == "pretrain":
        return pretrain(stores, settings=given.pop("settings", FEW_CLIPS), device="cpu", **given)
    return finetune(stores[0], mode="scratch", settings=given.pop("settings", FEW), device="cpu", **given)


@pytest.fixture(params=["pretrain", "finetune"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_without_a_folder_nothing_is_left_and_the_model_is_the_same(
    kind: str, stores: list[LatentStore], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    drawn = torch.get_rng_state()
    result = trained(kind, stores)
    assert torch.equal(torch.get_rng_state(), drawn)
    assert result.folder is None
    assert not list(tmp_path.iterdir())
    assert same(result.model, trained(kind, stores, folder="run").model)


def test_stopped_it_goes_on_and_ends_with_the_same_weights(
    kind: str, stores: list[LatentStore], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = getattr(wmcontrol.training, {"pretrain": "pretraining", "finetune": "finetuning"}[kind])
    monkeypatch.setattr(module, "Trainer", partial(Trainer, save_seconds=0.0))
    settings: Any = replace(FEW if kind == "finetune" else FEW_CLIPS, num_steps=12, ema_decay=0.9, grad_accum_steps=2)
    told: list[tuple[int, int]] = []

    def stop(done: int, total: int) -> None:
        told.append((done, total))
        if done == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(kind, stores, settings=settings, folder=tmp_path / "run", progress=stop)
    assert told == [(step, 12) for step in range(8)]
    gone_on = trained(kind, stores, settings=settings, folder=tmp_path / "run", progress=lambda *at: told.append(at))
    assert told[8:10] == [(6, 12), (7, 12)]  # the state was that of the step before
    assert same(gone_on.model, trained(kind, stores, settings=settings).model)
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        "log.jsonl",
        "model",
        "result.json",
        "run.json",
    ]
    # Finished, the same call reads what there is, wherever it has been moved to, and trains nothing.
    moved = (tmp_path / "run").rename(tmp_path / "moved")
    (moved / "training.pt").write_bytes(b"left by a kill at the very end")
    read = trained(kind, stores, settings=settings, folder=moved, progress=stop)
    assert not (moved / "training.pt").exists()
    assert same(read.model, gone_on.model)
    assert read.seconds == gone_on.seconds
    if isinstance(read, FinetuneResult) and isinstance(gone_on, FinetuneResult):
        assert read.error.as_dict() == gone_on.error.as_dict()
        assert read.num_windows == gone_on.num_windows


def test_another_run_in_the_folder_is_refused_by_name(kind: str, stores: list[LatentStore], tmp_path: Path) -> None:
    trained(kind, stores, folder=tmp_path)
    settings: Any = replace(FEW if kind == "finetune" else FEW_CLIPS, num_steps=5)
    with pytest.raises(ValueError, match=naming("num_steps", 4, 5, tmp_path)):
        trained(kind, stores, settings=settings, folder=tmp_path)
    with pytest.raises(ValueError, match=naming("data")):
        trained(kind, stores[::-1], folder=tmp_path)
    with pytest.raises(ValueError, match=naming("pretrain", "finetune")):
        trained("finetune" if kind == "pretrain" else "pretrain", stores, folder=tmp_path)


def test_a_base_that_learned_more_beside_its_predictor_is_another(
    stores: list[LatentStore], base: WorldModel, tmp_path: Path
) -> None:
    finetune(stores[0], base=base, settings=FEW, folder=tmp_path)
    more = copy.deepcopy(base)
    _, patches, dim = stores[0].tokens.shape
    more.steps_to_go = StepsToGo(dim, patches, max_steps=3, width=8, depth=1)
    with pytest.raises(ValueError, match=naming("base", tmp_path)):
        finetune(stores[0], base=more, settings=FEW, folder=tmp_path)
    assert finetune(stores[0], base=copy.deepcopy(base), settings=FEW, folder=tmp_path).model.steps_to_go is None


def test_two_runs_do_not_share_a_folder(kind: str, stores: list[LatentStore], tmp_path: Path) -> None:
    with exclusive_lock(tmp_path), pytest.raises(OSError, match="another process"):
        trained(kind, stores, folder=tmp_path)


def test_a_broken_result_is_named(kind: str, stores: list[LatentStore], tmp_path: Path) -> None:
    trained(kind, stores, folder=tmp_path)
    (tmp_path / "result.json").write_text("{}")
    with pytest.raises(ValueError, match=naming("result.json", "seconds")):
        trained(kind, stores, folder=tmp_path)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"mode": "full"}, ["base", "full"]),
        ({"mode": "half"}, ["mode", "half", "action_only"]),
        ({"settings": replace(FEW, num_train_trajectories=19)}, ["num_train_trajectories", 18, 19]),
        ({"device": "nowhere"}, ["device", "nowhere"]),
        ({"base": "nowhere"}, ["nowhere"]),
    ],
)
def test_mistakes_in_finetuning_are_named(
    given: dict[str, Any], named: list[Any], stores: list[LatentStore], tmp_path: Path
) -> None:
    asked = {"mode": "scratch", "settings": FEW, "device": "cpu", **given}
    with pytest.raises((ValueError, OSError), match=naming(*named)):
        finetune(stores[0], folder=tmp_path / "run", **asked)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"weights": [1]}, [1, 2]),
        ({"weights": [1, -1]}, ["weights", -1]),
        ({"device": "nowhere"}, ["device", "nowhere"]),
        ({"start": "nowhere"}, ["nowhere"]),
        ({"settings": replace(FEW_CLIPS, step_seconds=(9, 10))}, [9]),
    ],
)
def test_mistakes_in_pretraining_are_named(
    given: dict[str, Any], named: list[Any], stores: list[LatentStore], tmp_path: Path
) -> None:
    with pytest.raises((ValueError, OSError), match=naming(*named)):
        pretrain(stores, folder=tmp_path / "run", **{"settings": FEW_CLIPS, "device": "cpu", **given})
    assert not list(tmp_path.iterdir())


def test_a_predictor_that_could_not_be_saved_is_told_before_it_is_trained(
    stores: list[LatentStore], tmp_path: Path
) -> None:
    class Nameless(Predictor):
        pass

    (store, _) = stores
    with pytest.raises(ValueError, match=r"Nameless.*@register_predictor"):
        pretrain(
            store,
            predictor=partial(Nameless, width=12, depth=1, num_heads=1),
            settings=FEW_CLIPS,
            folder=tmp_path / "run",
        )
    with pytest.raises(TypeError, match=r"predictor.*Linear"):
        pretrain(store, predictor=lambda dim: nn.Linear(dim, dim), settings=FEW_CLIPS, folder=tmp_path / "run")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"predictor.*start"):
        pretrain(store, predictor=partial(Predictor, width=12, depth=1, num_heads=1), start="base", settings=FEW_CLIPS)
    assert not (tmp_path / "run").exists()


def test_stores_that_are_not_there_are_named(tmp_path: Path) -> None:
    for begin in (partial(pretrain, [tmp_path]), partial(finetune, tmp_path, mode="scratch")):
        call: Callable[..., Any] = begin
        with pytest.raises(FileNotFoundError, match=naming(tmp_path)):
            call(device="cpu")


def test_stores_and_models_of_different_encoders_do_not_mix(
    stores: list[LatentStore], other_store: LatentStore, base: WorldModel
) -> None:
    folders = stores[0].folder, other_store.folder
    with pytest.raises(ValueError, match=naming(*folders)):
        pretrain(folders, settings=FEW_CLIPS, device="cpu")
    with pytest.raises(ValueError, match=naming("start", other_store.folder)):
        pretrain(other_store, start=base, settings=FEW_CLIPS, device="cpu")
    with pytest.raises(ValueError, match=naming("base", other_store.folder)):
        finetune(other_store, base=base, settings=FEW, device="cpu")


@pytest.mark.parametrize("mode", ["action_only", "full"])
def test_a_base_with_actions_goes_on_with_its_own_statistics(mode: Any, stores: list[LatentStore]) -> None:
    settings = replace(FEW, num_train_trajectories=3)
    planning = PlanningSettings(metric="squared")
    acts = finetune(stores[0], mode="scratch", settings=settings, planning=planning, device="cpu").model
    assert acts.normalizer is not None
    acts.prior = ActionPrior(acts.encoder.dim, 1, 10, width=8, depth=1)
    acts.steps_to_go = StepsToGo(acts.encoder.dim, 1, width=8, depth=1)
    acts.landmarks = Landmarks(acts.encoder.dim, 1, num_landmarks=3, num_edges=0, reach=2.0)
    acts.landmarks.tokens.normal_()
    acts.temporal_embedding = TemporalEmbedding(acts.encoder.dim, 1, width=8, depth=1)
    before = {name: value.clone() for name, value in acts.predictor.state_dict().items()}
    fresh = finetune(stores[0], mode="scratch", settings=FEW, device="cpu").model.normalizer
    assert fresh is not None
    model = finetune(stores[0], base=acts, mode=mode, settings=replace(FEW, learning_rate=1e-3), device="cpu").model
    assert model.normalizer is not None
    assert model.normalizer.settings() == acts.normalizer.settings()
    assert model.normalizer.settings() != fresh.settings()
    assert model.planning == planning
    assert model.heads().keys() == {"prior", "steps_to_go", "landmarks", "temporal_embedding"}
    assert all(same(head, acts.heads()[name]) for name, head in model.heads().items())
    changes = {name: (value - before[name]).abs().max() for name, value in model.predictor.state_dict().items()}
    assert max(changes.values()) < 0.1, "it went on, and did not begin anew"
    moved = {name for name, change in changes.items() if change > 0}
    assert any(name.startswith("action_blocks") for name in moved)
    assert any(name.startswith("predictor.") for name in moved) == (mode == "full")
    assert all(torch.equal(acts.predictor.state_dict()[name], value) for name, value in before.items())


def test_a_base_with_other_actions_is_refused(stores: list[LatentStore], other_store: LatentStore) -> None:
    acts = finetune(stores[0], mode="scratch", settings=FEW, device="cpu").model
    for settings, named in (
        (replace(FEW, frameskip=4), ["frameskip", 5, 4]),
        (replace(FEW, repeat_action=True), ["repeat_action", "False", "True"]),
    ):
        with pytest.raises(ValueError, match=naming("base", *named)):
            finetune(stores[0], base=acts, settings=settings, device="cpu")
    with pytest.raises(ValueError, match=naming("base", "scratch")):
        finetune(stores[0], base=acts, mode="scratch", settings=FEW, device="cpu")
    with pytest.raises(ValueError, match=naming("base", other_store.folder)):
        finetune(other_store, base=acts, settings=FEW, device="cpu")
    with pytest.raises(ValueError, match=naming("start", "actions")):
        pretrain(stores[0], start=acts, settings=FEW_CLIPS, device="cpu")


def test_stores_that_cannot_be_finetuned_on_are_named(stores: list[LatentStore], tmp_path: Path) -> None:
    broken = tmp_path / "store"
    shutil.copytree(stores[0].folder, broken)
    arrays = dict(np.load(broken / "arrays.npz"))
    arrays["actions"][40] = np.nan
    np.savez(broken / "arrays.npz", **arrays)
    with pytest.raises(ValueError, match=naming("arrays.npz", "actions", "[40, 0]")):
        finetune(broken, mode="scratch", settings=FEW, device="cpu")
    np.savez(broken / "arrays.npz", **{name: arrays[name] for name in ("lengths", "times")})
    with pytest.raises(ValueError, match=naming("store", broken, "actions")):
        finetune(broken, mode="scratch", settings=FEW, device="cpu")


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        *[(name, 0) for name in ("num_steps", "batch_size", "grad_accum_steps", "rollout_steps", "frameskip")],
        ("num_steps", True),
        ("num_steps", 1.5),
        ("num_frames", 1),
        ("num_train_trajectories", 0),
        ("seed", -1),
        ("split_seed", "1"),
        ("size", "huge"),
        ("optimizer", "sgd"),
        ("learning_rate", 0),
        ("learning_rate", float("nan")),
        ("learning_rate", "1e-4"),
        ("min_lr_ratio", 1.1),
        ("backbone_lr_scale", 0),
        ("backbone_freeze_fraction", 1),
        ("weight_decay", -0.1),
        ("max_grad_norm", 0),
        ("ema_decay", 1),
        ("compile", 1),
        ("shard", "no"),
        ("rollout_steps", 4),
    ],
)
def test_settings_that_make_no_sense_are_named(name: str, wrong: Any) -> None:
    with pytest.raises(ValueError, match=naming(name, wrong)):
        replace(FEW, **{name: wrong})


@pytest.mark.parametrize("wrong", [(0.1,), (0, 0.6), (0.6, 0.1), 0.5, "0.1,0.6"])
def test_a_range_of_times_that_makes_no_sense_is_named(wrong: Any) -> None:
    with pytest.raises(ValueError, match=naming("step_seconds")):
        PretrainSettings(step_seconds=wrong)


def test_settings_may_come_from_yaml() -> None:
    assert PretrainSettings(step_seconds=[0.1, 0.6]) == PretrainSettings()  # type: ignore[arg-type]


def in_one_of_two(rank: int, port: int, store: Path, folder: Path) -> None:
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    found = {}
    for name, shard in (("copied", False), ("sharded", True)):
        settings = replace(FEW, optimizer="adamw", shard=shard)
        result = finetune(store, mode="scratch", settings=settings, folder=folder / name, device="cpu")
        found[name] = (result.model.state_dict(), result.error.model.tolist(), result.num_windows)
    torch.save(found, folder / f"{rank}.pt")


def test_two_processes_both_return_what_one_does(stores: list[LatentStore], tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mp.spawn(in_one_of_two, (port, stores[0].folder, tmp_path), nprocs=2)
    alone = finetune(stores[0], mode="scratch", settings=replace(FEW, optimizer="adamw"), device="cpu")
    one, other = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2))
    for name, (weights, error, windows) in one.items():
        assert all(torch.equal(value, other[name][0][key]) for key, value in weights.items())
        assert other[name][1:] == (error, windows)
        # The same steps, each process with half of the clips; test_sharding.py compares weights, in float32.
        assert error == pytest.approx(alone.error.model, rel=0.02)
        assert windows == alone.num_windows


def test_a_share_of_each_batch_is_practice(
    stores: list[LatentStore], base: WorldModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []
    forward = wmcontrol.training.batch.MixedSource.batch

    def watch(self: Any, *given: int) -> Any:
        batch = forward(self, *given)
        seen.append(list(batch.names))
        assert len(batch.tokens) == len(batch.times) == len(batch.actions) == 16
        return batch

    monkeypatch.setattr(wmcontrol.training.batch.MixedSource, "batch", watch)
    settings = replace(FEW, practice_share=0.25)
    result = finetune(stores[0], base=base, practice=stores[1], settings=settings, device="cpu")
    assert [sum(str(stores[1].folder) in name for name in names) for names in seen] == [4] * 4
    # Statistics and held-out trajectories are the first store's.
    alone = finetune(stores[0], base=base, settings=FEW, device="cpu")
    assert result.held_out == alone.held_out
    assert result.model.token_std == alone.model.token_std
    assert not same(result.model.predictor, alone.model.predictor)


def test_practice_of_another_encoder_or_without_room_is_refused(
    stores: list[LatentStore], other_store: LatentStore, base: WorldModel
) -> None:
    with pytest.raises(ValueError, match=naming("practice", other_store.folder)):
        finetune(stores[0], base=base, practice=other_store, settings=FEW, device="cpu")
    with pytest.raises(ValueError, match=naming("practice_share", 16)):
        finetune(stores[0], base=base, practice=stores[1], settings=replace(FEW, practice_share=0.01), device="cpu")


def test_standardized_errors_count_all_numbers_alike(
    stores: list[LatentStore], base: WorldModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[Any] = []
    make = Trainer.train

    def watch(self: Trainer, *given: Any) -> float:
        found.append(self.weights)
        return make(self, *given)

    monkeypatch.setattr(Trainer, "train", watch)
    for power in (0.0, 0.5, 1.0):
        finetune(stores[0], base=base, settings=replace(FEW, standardize=power), device="cpu")
    train, _ = held_out_split(len(stores[0]), 0, 0)
    std = np.array(stores[0].token_std(train.tolist()))
    assert found[0] is None
    np.testing.assert_allclose(found[1], np.maximum(std, std.max() / 1000) ** -0.5)
    np.testing.assert_allclose(found[2], 1 / np.maximum(std, std.max() / 1000))
