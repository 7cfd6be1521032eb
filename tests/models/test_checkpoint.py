"""Checkpoints: what goes in comes out, and every damage is named."""

import json
import math
import re
import shutil
import struct
from pathlib import Path

import pytest
import torch
from naming import naming
from safetensors.torch import load_file, save_file
from test_world_model import A, D, encoder, frames, normalizer, plans, world_model

from wmcontrol.models import (
    ActionConditioned,
    ActionPrior,
    FrameCausalPredictor,
    Predictor,
    RewardHead,
    WorldModel,
    checkpoint,
    register_predictor,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    world_model().save(tmp_path / "model")
    return tmp_path / "model"


def rollout(model: WorldModel) -> torch.Tensor:
    return model.rollout(model.context(model.encode(frames())), plans())


def change(folder: Path, **changes: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    for key, value in changes.items():
        if value is None and key != "actions":
            del config[key]
        else:
            config[key] = value
    (folder / "config.json").write_text(json.dumps(config))


def test_a_loaded_model_imagines_the_same_and_does_not_learn(folder: Path) -> None:
    model = WorldModel.load(folder, dtype=torch.float32)
    assert torch.equal(rollout(model), rollout(world_model()))
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert not model.training
    assert model.control_rate == 10
    assert model.frameskip == 2
    assert model.frame_size == (32, 32)
    for mine, theirs in zip(model.normalizer.bounds(), normalizer().bounds(), strict=True):
        assert torch.equal(mine, theirs)
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]


def test_how_much_tokens_vary_comes_back_and_may_be_unknown(tmp_path: Path) -> None:
    std = tuple(0.1 * (i + 1) for i in range(D))
    world_model(token_std=std).save(tmp_path / "known")
    assert WorldModel.load(tmp_path / "known").token_std == pytest.approx(std, rel=1e-5)
    world_model().save(tmp_path / "unknown")
    assert WorldModel.load(tmp_path / "unknown").token_std is None
    change(tmp_path / "known", token_std=None)  # a model from before it was saved
    assert WorldModel.load(tmp_path / "known").token_std is None
    change(tmp_path / "known", token_std=[1.0])
    with pytest.raises(ValueError, match=naming("config.json", "token_std", 12)):
        WorldModel.load(tmp_path / "known")


def test_saving_again_replaces_and_leaves_nothing_behind(folder: Path) -> None:
    model = world_model()
    with torch.no_grad():
        model.predictor.predictor.query.add_(1)
    model.save(folder)
    loaded = WorldModel.load(folder, dtype=torch.float32)
    assert torch.equal(loaded.predictor.predictor.query, model.predictor.predictor.query)
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_a_save_that_fails_leaves_the_old_model(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = rollout(WorldModel.load(folder, dtype=torch.float32))

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full_disk)
    with pytest.raises(OSError, match="No space"):
        world_model().save(folder)
    assert torch.equal(rollout(WorldModel.load(folder, dtype=torch.float32)), expected)
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_a_predictor_without_actions_and_the_baseline_come_back_too(tmp_path: Path) -> None:
    torch.manual_seed(0)
    baseline = FrameCausalPredictor(
        dim=D, action_dim=A, num_patches=4, num_frames=2, depth=1, heads=2, dim_head=8, mlp_dim=16
    )
    for predictor, norm in ((Predictor(D, 32, 2, 2), None), (baseline, normalizer())):
        model = WorldModel(encoder(), predictor, norm, control_rate=20, frame_size=(32, 32))
        model.save(tmp_path / "model")
        loaded = WorldModel.load(tmp_path / "model", dtype=torch.float32)
        assert type(loaded.predictor) is type(predictor)
        tokens, time = model.encode(frames(T=1)), torch.tensor([0.1, 0.1], dtype=torch.float64)
        action = () if norm is None else (torch.ones(2, A),)
        expected, _ = model.predictor.step(model.context(tokens), time, *action)
        got, _ = loaded.predictor.step(loaded.context(loaded.encode(frames(T=1))), time, *action)
        assert torch.equal(got, expected)


def test_a_predictor_that_was_pretrained_and_saved_can_be_wrapped(tmp_path: Path) -> None:
    torch.manual_seed(0)
    WorldModel(encoder(), Predictor(D, 32, 2, 2), control_rate=10, frame_size=(32, 32)).save(tmp_path / "base")
    base = WorldModel.load(tmp_path / "base", dtype=torch.float32)
    wrapped = WorldModel(
        base.encoder, ActionConditioned(base.predictor, A), normalizer(), control_rate=10, frame_size=(32, 32)
    )
    tokens, time = base.encode(frames()), torch.tensor([0.2, 0.2], dtype=torch.float64)
    expected, _ = base.predictor.step(base.context(tokens), time)
    got, _ = wrapped.predictor.step(wrapped.context(tokens), time, torch.randn(2, A))
    assert torch.equal(got, expected)
    assert wrapped.predictor.trainable("full") > wrapped.predictor.trainable("action_only") > 0


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=name):
        WorldModel.load(folder)


def test_the_folder_of_a_training_says_where_its_model_is(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "run" / "model")
    with pytest.raises(FileNotFoundError, match=naming("config.json", tmp_path / "run" / "model")):
        WorldModel.load(tmp_path / "run")


def test_an_unknown_name_lists_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=naming("nowhere", "hf://owner/name")):
        WorldModel.load(tmp_path / "nowhere")


@pytest.mark.parametrize("keep", [0, 4, 100, 3000])
def test_a_truncated_tensor_file_is_named(folder: Path, keep: int) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(ValueError, match=naming("model.safetensors")):
        WorldModel.load(folder)


def test_a_tensor_file_with_an_absurd_header_is_named(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", 2**60) + b"{}")
    with pytest.raises(ValueError, match="damaged"):
        WorldModel.load(folder)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"format_version": 2}, naming("config.json", 2, 1)),
        ({"format_version": "one"}, naming("format_version", "'one'")),
        ({"surprise": 1}, "surprise"),
        ({"control_rate": None}, "control_rate"),
        ({"encoder": {"name": "pyramid"}}, naming("encoder", "settings")),
        ({"encoder": {"name": "magic", "settings": {}}}, "magic"),
        ({"encoder": 3}, "encoder"),
        ({"predictor": {"type": "GPT", "settings": {}}}, "predictor.type"),
        (
            {"predictor": {"type": "Predictor", "settings": {"dim": 4}}},
            naming("config.json", "depth", "num_heads", "width"),
        ),
        ({"actions": {"mean": [0]}}, "actions"),
        ({"actions": None}, naming("actions", 4, None)),
    ],
)
def test_a_config_that_does_not_fit_is_named(folder: Path, changes: dict, says: str) -> None:
    change(folder, **changes)
    with pytest.raises(ValueError, match=says):
        WorldModel.load(folder)


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", "\x00\x01"])
def test_a_config_that_is_no_json_object_is_named(folder: Path, text: str) -> None:
    (folder / "config.json").write_text(text)
    with pytest.raises(ValueError, match=r"config\.json"):
        WorldModel.load(folder)


def test_tensors_that_do_not_fit_are_named(folder: Path) -> None:
    file = folder / "model.safetensors"
    good = load_file(file)
    query = "predictor.predictor.query"
    for bad, says in (
        ({**good, "extra": torch.zeros(1)}, "extra"),
        ({k: v for k, v in good.items() if k != query}, query),
        ({**good, query: torch.zeros(3)}, naming(query, (32,), (3,))),
    ):
        save_file(bad, file)
        with pytest.raises(ValueError, match=says):
            WorldModel.load(folder)


def test_an_encoder_that_is_not_installed_is_named_with_the_command(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "timm", None)
    change(folder, encoder={"name": "timm", "settings": {"model_name": "vit_tiny_patch16_224"}})
    with pytest.raises(ImportError, match=r'pip install "wmcontrol\[timm\]"'):
        WorldModel.load(folder)


def test_saving_never_touches_what_is_not_a_model(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "precious.csv").write_text("1")
    (tmp_path / "file").write_text("precious")
    for target in ("data", "file"):
        with pytest.raises(FileExistsError, match=target):
            world_model().save(tmp_path / target)
    assert (tmp_path / "data" / "precious.csv").read_text() == "1"
    assert (tmp_path / "file").read_text() == "precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "file"]


def test_a_link_stays_a_link_and_both_files_can_be_read_by_whom_the_folder_lets_in(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    world_model().save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    modes = {path.stat().st_mode for path in (tmp_path / "real").iterdir()}
    assert len(modes) == 1


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_file_of_a_model_that_is_a_link_out_of_its_folder_is_refused(folder: Path, name: str) -> None:
    (folder / name).rename(folder.parent / "elsewhere")
    (folder / name).symlink_to("../elsewhere")
    with pytest.raises(ValueError, match=naming(folder / name, folder.parent / "elsewhere")):
        WorldModel.load(folder)


def test_a_file_of_a_model_is_not_its_folder(folder: Path) -> None:
    with pytest.raises(ValueError, match=naming("config.json")):
        WorldModel.load(folder / "config.json")


@pytest.mark.parametrize(
    "changes",
    [
        {"predictor": []},
        {"frame_size": 5},
        {"frame_size": [5]},
        {"control_rate": "x"},
        {"control_rate": 0},
        {"encoder": {"name": [], "settings": {}}},
        {"actions": {"mean": "x", "std": [1], "low": [0], "high": [1], "frameskip": 2}},
    ],
)
def test_nonsense_in_a_config_names_the_file(folder: Path, changes: dict) -> None:
    change(folder, **changes)
    with pytest.raises(ValueError, match=r"config\.json"):
        WorldModel.load(folder)


@pytest.mark.parametrize(
    ("part", "changes", "says"),
    [
        ("predictor", {"depth": 10**6}, naming("depth", 1000000)),
        ("predictor", {"width": 2**20, "num_heads": 2**10}, "predictor"),
        ("predictor", {"mlp_ratio": 9000}, "predictor"),
        ("predictor", {"depth": True}, naming("depth", True)),
        ("predictor", {"width": 2**23, "mlp_ratio": 9999.0, "dim": 2**23, "num_heads": 2**20}, "predictor"),
        ("encoder", {"grids": None, "blurs": [1e-4]}, "grids"),
        ("encoder", {"grids": None, "blurs": [1e-300]}, naming("blurs", 1e-300)),
        ("encoder", {"grids": [[2**16, 2**16]]}, naming("grids", 65536)),
    ],
)
def test_a_config_that_asks_for_more_than_the_weights_hold_is_refused_before_it_is_built(
    part: str, changes: dict, says: str, folder: Path
) -> None:
    config = json.loads((folder / "config.json").read_text())
    if part == "encoder":
        config["encoder"]["settings"] |= {"blurs": [0.1], "blur_weights": [1.0], "tokens": [2, 2]}
    config[part]["settings"] |= changes
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=rf"config\.json.*{says}"):
        WorldModel.load(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"token_std": [math.nan] * D},
        {"control_rate": math.nan},
        {"control_rate": True},
        {"frame_size": [32, "32"]},
        {"frame_size": [2**40, 32]},
        {"actions": {"mean": [0, 0], "std": [1, 1], "low": [math.nan, 0], "high": [1, 1], "frameskip": 2}},
        {"actions": {"mean": [0, 0], "std": [1, 1], "low": [-1, -1], "high": [1, 1], "frameskip": 10**9}},
        {"encoder": {"name": "pyramid", "settings": {"num_components": math.nan}}},
    ],
)
def test_numbers_that_cannot_be_are_refused_by_field(changes: dict, folder: Path) -> None:
    change(folder, **changes)
    with pytest.raises(ValueError, match=rf"config\.json: {next(iter(changes))}"):
        WorldModel.load(folder)


def test_a_search_space_that_there_is_not_is_refused_by_field(folder: Path) -> None:
    change(folder, planning={"search_space": "latent"})
    with pytest.raises(ValueError, match=naming("planning", "search_space", "latent")):
        WorldModel.load(folder)
    change(folder, planning={"search_space": "actions"})
    assert WorldModel.load(folder).planning.search_space == "actions"


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ("planning.num_proposals", 2**40),
        ("planning.horizon", 10**9),
        ("planning.context_frames", 10**6),
        ("planning.context_steps", 10**12),
        ("planning.replan_every", 10**12),
        ("prior.width", 10**6),
        ("prior.horizon", 10**5),
        ("prior.num_frames", 10**6),
        ("reward.width", 2**20),
        ("reward.num_frames", 10**6),
        ("frame_size", [2**14, 32]),
        ("encoder.settings.grids", [[2, 2**14]] * 4),
        ("encoder.settings.blurs", [1e9, 1e12, 1e15, 1e18]),
    ],
)
def test_a_setting_that_would_fill_the_memory_is_refused_by_field(where: str, value: object, tmp_path: Path) -> None:
    model = world_model()
    model.prior, model.reward = ActionPrior(D, 4, A, width=8, depth=1), RewardHead(4, D, 8)
    model.save(tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    *path, field = where.split(".")
    part = config
    for name in path:
        part = part[name]
    part[field] = value
    change(tmp_path / "model", **config)
    number = re.findall(r"[\d.e+]+", str(value))[-1 if field == "grids" else 0]
    with pytest.raises(ValueError, match=naming("config.json", *path, field, number)):
        WorldModel.load(tmp_path / "model")


def test_a_class_of_the_users_gets_no_settings_that_ask_for_more_than_the_file_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "PREDICTORS", {})
    monkeypatch.setattr("wmcontrol.models.predictor.PREDICTORS", checkpoint.PREDICTORS)

    @register_predictor
    class Own(Predictor):
        pass

    WorldModel(encoder(), Own(D, 32, 2, 2), control_rate=10, frame_size=(32, 32)).save(tmp_path / "model")
    predictor = json.loads((tmp_path / "model" / "config.json").read_text())["predictor"]
    assert type(WorldModel.load(tmp_path / "model").predictor) is Own
    for field, value in (("width", 2**20), ("depth", 10**9)):
        change(tmp_path / "model", predictor={**predictor, "settings": {**predictor["settings"], field: value}})
        with pytest.raises(ValueError, match=naming("config.json", "predictor.settings")):
            WorldModel.load(tmp_path / "model")


@pytest.mark.parametrize(("name", "value"), [("mean", 1e308), ("mean", -3.4e38), ("std", 1e-40), ("high", 1e308)])
def test_actions_whose_bounds_single_precision_cannot_hold_are_refused_by_name(
    name: str, value: float, folder: Path
) -> None:
    actions = {"mean": [0, 0], "std": [0.1, 1], "low": [-1, -1], "high": [1, 1], "frameskip": 2}
    change(folder, actions={**actions, name: [value, 1]})
    with pytest.raises(ValueError, match=rf"config\.json .*{name}.*{re.escape(str(value))}"):
        WorldModel.load(folder)


def test_an_encoder_of_which_a_number_is_none_is_named(folder: Path) -> None:
    file = folder / "model.safetensors"
    good = load_file(file)
    for name in ("encoder.scale", "encoder.mean", "encoder.components"):
        save_file({**good, name: torch.full_like(good[name], math.nan)}, file)
        with pytest.raises(ValueError, match=naming("model.safetensors", name)):
            WorldModel.load(folder)


def test_weights_that_are_not_numbers_are_named(folder: Path) -> None:
    file = folder / "model.safetensors"
    good = load_file(file)
    query = "predictor.predictor.query"
    for bad in (torch.full_like(good[query], float("nan")), good[query].int()):
        save_file({**good, query: bad}, file)
        with pytest.raises(ValueError, match="query"):
            WorldModel.load(folder)


def test_a_folder_that_is_no_model_does_not_stand_for_a_packaged_one_unnoticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    WorldModel.load("wall")
    (tmp_path / "wall" / "model").mkdir(parents=True)
    with pytest.raises(ValueError, match="wall/model"):
        WorldModel.load("wall")
    assert (checkpoint.packaged_folder("wall") / "config.json").exists()
