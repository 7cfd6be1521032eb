"""What is saved loads equal, and what would not is refused: number types, encoders of one's own, settings."""

import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from naming import naming
from safetensors.torch import load_file
from test_world_model import D, encoder, frames, plans, world_model
from torch import nn

from wmcontrol import Encoder, Predictor, WorldModel
from wmcontrol.encoders import PyramidEncoder, register_encoder, registry
from wmcontrol.encoders.registry import describe_encoder
from wmcontrol.models import TemporalEmbedding, checkpoint
from wmcontrol.models.checkpoint import packaged_models, save


@pytest.fixture(autouse=True)
def only_registered_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", {})


@pytest.fixture
def fast_in_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with arithmetic for bfloat16."""
    monkeypatch.setattr(checkpoint, "fast_dtype", lambda _: torch.bfloat16)


def rollout(model: WorldModel) -> torch.Tensor:
    return model.rollout(model.context(model.encode(frames())), plans())


def state(model: nn.Module) -> dict[str, torch.Tensor]:
    return dict(sorted(model.state_dict().items()))


def assert_same_state(one: nn.Module, other: nn.Module) -> None:
    assert list(state(one)) == list(state(other))
    for name, value in state(one).items():
        assert value.dtype == state(other)[name].dtype, name
        assert torch.equal(value, state(other)[name]), name


def model_with(own: Encoder) -> WorldModel:
    torch.manual_seed(0)
    return WorldModel(own, Predictor(own.dim, 24, 1, 2), control_rate=10, frame_size=(32, 32))


def back(model: WorldModel, folder: Path) -> WorldModel:
    model.save(folder / "model")
    return WorldModel.load(folder / "model")


# Number types


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("of_encoder", [torch.float32, torch.float16])
def test_a_model_comes_back_in_the_number_types_that_it_has(
    dtype: torch.dtype, of_encoder: torch.dtype, tmp_path: Path, fast_in_bfloat16: None
) -> None:
    model = world_model(dtype)
    model.encoder.to(of_encoder)
    loaded = back(model, tmp_path)
    assert_same_state(loaded, model)
    assert torch.equal(rollout(loaded), rollout(model))
    again = back(loaded, tmp_path / "again")
    assert (tmp_path / "again/model/model.safetensors").read_bytes() == (
        tmp_path / "model/model.safetensors"
    ).read_bytes()
    assert_same_state(again, model)


def test_the_device_chooses_only_when_asked_and_a_type_that_is_named_is_taken(
    tmp_path: Path, fast_in_bfloat16: None
) -> None:
    world_model().save(tmp_path / "model")
    for asked, got in ((None, torch.float32), ("auto", torch.bfloat16), (torch.float64, torch.float64)):
        assert WorldModel.load(tmp_path / "model", dtype=asked).dtype == got
    for wrong in ("bfloat16", torch.int64, 3):
        with pytest.raises(ValueError, match="dtype"):
            WorldModel.load(tmp_path / "model", dtype=wrong)  # type: ignore[arg-type]


def test_a_model_that_was_rounded_unasked_is_not_saved(tmp_path: Path, fast_in_bfloat16: None) -> None:
    world_model().save(tmp_path / "model")
    rounded = WorldModel.load(tmp_path / "model", dtype="auto")
    with pytest.raises(ValueError, match=r"torch\.float32.*torch\.bfloat16"):
        rounded.save(tmp_path / "half")
    assert not (tmp_path / "half").exists()
    asked = WorldModel.load(tmp_path / "model", dtype=torch.bfloat16)
    assert back(asked, tmp_path / "asked").dtype == torch.bfloat16
    # Nothing is lost where "auto" rounds nothing.
    assert back(WorldModel.load(tmp_path / "asked/model", dtype="auto"), tmp_path / "auto").dtype == torch.bfloat16


@pytest.mark.parametrize("name", packaged_models())
def test_packaged_models_compute_in_float32_on_every_machine(name: str, fast_in_bfloat16: None) -> None:
    values = WorldModel.load(name).state_dict().values()
    assert {value.dtype for value in values if value.is_floating_point()} == {torch.float32}
    assert WorldModel.load(name, dtype="auto").dtype == torch.bfloat16


def test_numbers_of_frames_are_not_rounded_with_a_head(tmp_path: Path) -> None:
    model = world_model()
    _, num_patches, dim = model.encode(torch.zeros(1, 1, *model.frame_size, 3, dtype=torch.uint8))[0].shape
    embedding = TemporalEmbedding(dim, num_patches, size=2, width=4, depth=1)
    frames = torch.arange(3000.0)[:, None, None].expand(-1, num_patches, dim)  # 2049 is no number of float16
    model.temporal_embedding = embedding.keep(frames).half().float()
    save(model, tmp_path / "model", rounded={"temporal_embedding": torch.float16})
    assert torch.equal(
        WorldModel.load(tmp_path / "model").temporal_embedding.neighbors, model.temporal_embedding.neighbors
    )


def test_a_file_may_hold_weights_rounded_if_that_loses_nothing(tmp_path: Path) -> None:
    model = world_model()
    types = {"predictor": torch.bfloat16, "encoder": torch.float16}
    with pytest.raises(ValueError, match="predictor"):
        save(model, tmp_path / "model", rounded={**types, "encoder": torch.float32})
    assert not list(tmp_path.iterdir())
    model.predictor.bfloat16().float()
    model.encoder.half().float()
    save(model, tmp_path / "model", rounded=types)
    held = load_file(tmp_path / "model/model.safetensors")
    assert {value.dtype for name, value in held.items() if name.startswith("predictor")} == {torch.bfloat16}
    assert_same_state(WorldModel.load(tmp_path / "model"), model)
    config = tmp_path / "model/config.json"
    config.write_text(config.read_text().replace('"float32"', '"int8"'))
    with pytest.raises(ValueError, match=r"config\.json.*dtype.*int8"):
        WorldModel.load(tmp_path / "model")


def test_how_much_tokens_vary_comes_back_to_the_last_digit(tmp_path: Path) -> None:
    std = tuple((torch.arange(D, dtype=torch.float64) / 7 + 1 / 3).tolist())
    assert back(world_model(token_std=std), tmp_path).token_std == std


# Encoders of one's own


class Convolution(Encoder):
    dim = 8

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 8, stride=8)

    def settings(self) -> dict[str, Any]:
        return {}

    def grid(self, height: int, width: int) -> tuple[int, int]:
        return height // 8, width // 8

    def _tokens(self, frames: torch.Tensor) -> torch.Tensor:
        return self.conv(frames.permute(0, 3, 1, 2).float() / 255).flatten(2).transpose(1, 2)


class ChannelsLast(Convolution):
    def __init__(self) -> None:
        super().__init__()
        self.conv.to(memory_format=torch.channels_last)


class Tied(Convolution):
    """A decoder has the encoder's weights, as in many autoencoders."""

    def __init__(self) -> None:
        super().__init__()
        self.back = nn.ConvTranspose2d(8, 3, 8, stride=8)
        self.back.weight = self.conv.weight
        self.register_buffer("view", self.conv.weight.detach()[:2])


class Counting(Convolution):
    """Buffers of whole numbers, truths and infinities."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(8)
        self.register_buffer("mask", torch.tensor([0.0, -torch.inf]))
        self.register_buffer("seen", torch.tensor([False, False]))

    def _tokens(self, frames: torch.Tensor) -> torch.Tensor:
        return self.norm(self.conv(frames.permute(0, 3, 1, 2).float() / 255)).flatten(2).transpose(1, 2)


@pytest.mark.parametrize("cls", [Convolution, ChannelsLast, Tied, Counting])
def test_an_encoder_of_ones_own_comes_back_with_its_weights(cls: type[Encoder], tmp_path: Path) -> None:
    torch.manual_seed(1)
    model = model_with(register_encoder(cls)())
    if cls is Counting:
        model.encoder.norm.num_batches_tracked.fill_(7)
        model.encoder.seen.fill_(True)
    loaded = back(model, tmp_path)
    assert_same_state(loaded, model)
    torch.testing.assert_close(loaded.encode(frames()), model.encode(frames()))
    if cls is Tied:
        assert loaded.encoder.back.weight is loaded.encoder.conv.weight


def test_weights_that_would_be_lost_are_refused(tmp_path: Path) -> None:
    @register_encoder
    class Elsewhere(Convolution):
        carries_weights: ClassVar[bool] = False

    model = model_with(Elsewhere())
    with pytest.raises(ValueError, match=naming("conv.weight", "Elsewhere", "carries_weights")):
        model.save(tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_weights_that_are_made_of_the_settings_need_not_be_saved(tmp_path: Path) -> None:
    @register_encoder
    class Seeded(Convolution):
        carries_weights: ClassVar[bool] = False

        def __init__(self) -> None:
            super().__init__()
            generator = torch.Generator().manual_seed(3)
            for parameter in self.parameters():
                nn.init.normal_(parameter, generator=generator)

    model = model_with(Seeded())
    loaded = back(model, tmp_path)
    assert torch.equal(loaded.encode(frames()), model.encode(frames()))
    assert not [name for name in load_file(tmp_path / "model/model.safetensors") if name.startswith("encoder")]
    model.encoder.double()
    with pytest.raises(ValueError, match=naming("conv.weight", "Seeded")):
        model.save(tmp_path / "model")
    assert torch.equal(WorldModel.load(tmp_path / "model").encode(frames()), loaded.encode(frames()))  # the old one


class Scaled(Convolution):
    """What it says of itself is one thing, what it computes another, unless both are given alike."""

    def __init__(self, scale: Any = 2.0) -> None:
        super().__init__()
        self.scale = self.told = scale

    def settings(self) -> dict[str, Any]:
        return {"scale": self.told}

    def _tokens(self, frames: torch.Tensor) -> torch.Tensor:
        return self.scale * super()._tokens(frames)


def test_what_settings_do_not_tell_is_refused(tmp_path: Path) -> None:
    own = register_encoder(Scaled)(3.0)
    assert back(model_with(own), tmp_path).encoder.scale == 3
    own.scale = 4.0
    with pytest.raises(ValueError, match=naming("Scaled", "settings")):
        model_with(own).save(tmp_path / "other")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_ties_layers_and_states_that_a_file_cannot_hold_are_refused(tmp_path: Path) -> None:
    untied = model_with(register_encoder(Tied)())
    untied.encoder.back.weight = nn.Parameter(untied.encoder.conv.weight.detach() + 1)
    with pytest.raises(ValueError, match="not come back"):
        untied.save(tmp_path / "model")

    @register_encoder
    class Extra(Convolution):
        def get_extra_state(self) -> int:
            return 3

        def set_extra_state(self, state: int) -> None:
            assert state == 3

    with pytest.raises(ValueError, match="_extra_state"):
        model_with(Extra()).save(tmp_path / "model")
    hooked = world_model()
    hooked.predictor.predictor.head.register_forward_hook(lambda _module, _inputs, output: 2 * output)
    with pytest.raises(ValueError, match="hooked"):
        hooked.save(tmp_path / "model")
    gone = world_model()
    gone.encoder.to("meta")
    with pytest.raises(ValueError, match=naming("encoder.mean", "meta")):
        gone.save(tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_saving_changes_nothing_of_a_model_that_is_being_trained(tmp_path: Path) -> None:
    model = world_model()
    model.train()
    model.predictor.predictor.norm.eval()
    modes = [module.training for module in model.modules()]
    model.save(tmp_path / "model")
    assert [module.training for module in model.modules()] == modes
    assert all(parameter.requires_grad for parameter in model.predictor.parameters())


# Settings


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (np.int64(8), 8),
        (np.float32(0.5), 0.5),
        (np.bool_(True), True),
        ((1, (2, 3)), [1, [2, 3]]),
        (np.array([[1, 2]]), [[1, 2]]),
        (Path("/x/y"), "/x/y"),
        ({"a": np.int8(1), "b": [None, "c"]}, {"a": 1, "b": [None, "c"]}),
    ],
)
def test_settings_are_told_as_json_gives_them_back(given: Any, told: Any, tmp_path: Path) -> None:
    @register_encoder
    class Told(Convolution):
        def __init__(self, value: Any) -> None:
            super().__init__()
            self.value = value

        def settings(self) -> dict[str, Any]:
            return {"value": self.value}

    found = describe_encoder(Told(given))
    assert found == {"name": "Told", "settings": {"value": told}}
    assert type(found["settings"]["value"]) is type(told)
    assert json.loads(json.dumps(found)) == found
    loaded = back(model_with(Told(given)), tmp_path)
    assert describe_encoder(loaded.encoder) == found


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        (torch.float32, TypeError, r"settings\(\)\['scale'\].*torch\.float32"),
        ({1: 2}, TypeError, r"\['scale'\].*\{1: 2\}"),
        ({3, 4}, TypeError, r"\['scale'\].*\{3, 4\}"),
        ([1, float("nan")], ValueError, r"\['scale'\]\[1\].*nan"),
        (np.float64("inf"), ValueError, r"\['scale'\].*inf"),
    ],
)
def test_settings_that_json_cannot_hold_are_named(
    given: Any, error: type[Exception], says: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=says):
        model_with(register_encoder(Scaled)(given)).save(tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_settings_that_make_another_encoder_are_refused(tmp_path: Path) -> None:
    @register_encoder
    class Growing(Convolution):
        def __init__(self, value: int = 0) -> None:
            super().__init__()
            self.value = value + 1

        def settings(self) -> dict[str, Any]:
            return {"value": self.value}

    with pytest.raises(ValueError, match=naming({"value": 1}, {"value": 2})):
        model_with(Growing()).save(tmp_path / "model")


def test_the_fitted_encoder_of_a_model_comes_back_from_its_own_file(tmp_path: Path) -> None:
    from wmcontrol.encoders.files import encoder_digest, load_encoder, save_encoder

    for own in (encoder().half(), register_encoder(Counting)()):
        save_encoder(own, tmp_path, (32, 32))
        assert_same_state(load_encoder(tmp_path), own)
        assert encoder_digest(load_encoder(tmp_path)) == encoder_digest(own)


@pytest.mark.parametrize("name", PyramidEncoder().settings())
def test_a_setting_that_is_missing_in_an_encoders_file_is_named(name: str, tmp_path: Path) -> None:
    from wmcontrol.encoders.files import load_encoder, save_encoder

    save_encoder(encoder(), tmp_path, (32, 32))
    described = json.loads((tmp_path / "encoder.json").read_text())
    del described["settings"][name]
    (tmp_path / "encoder.json").write_text(json.dumps(described))
    with pytest.raises(ValueError, match=rf"encoder\.json .*settings: missing fields \['{name}'\]"):
        load_encoder(tmp_path)
