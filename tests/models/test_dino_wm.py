"""DINO-WM's checkpoints: what is read, what is refused, and that nothing in the file runs."""

import builtins
import copyreg
import functools
import os
import pickle
import sys
import types
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from naming import naming
from torch import Tensor, nn

from wmcontrol.models.zoo.dino_wm import load_dino_wm
from wmcontrol.models.zoo.frame_causal import FrameCausalPredictor
from wmcontrol.untrusted.pickles import Inert, _Unpickler
from wmcontrol.untrusted.torch_file import TorchFile

# A second, plain implementation with the attributes of DINO-WM's classes (reference.md 6.1).


class Attention(nn.Module):
    def __init__(self, width: int, patches: int, frames: int, heads: int, dim_head: int):
        super().__init__()
        self.heads, self.scale = heads, dim_head**-0.5
        self.norm = nn.LayerNorm(width)
        self.attend = nn.Softmax(dim=-1)
        self.dropout = nn.Dropout(0.1)
        self.to_qkv = nn.Linear(width, 3 * heads * dim_head, bias=False)
        self.to_out = nn.Sequential(nn.Linear(heads * dim_head, width), nn.Dropout(0.1))
        self.bias = torch.kron(torch.ones(frames, frames).tril(), torch.ones(patches, patches))[None, None]

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(x)
        mask = self.bias[0, 0, : x.shape[1], : x.shape[1]]
        outputs = []
        queries, keys, values = self.to_qkv(x).chunk(3, -1)
        for q, k, v in zip(*(part.chunk(self.heads, -1) for part in (queries, keys, values)), strict=True):
            dots = (q @ k.mT * self.scale).masked_fill(mask == 0, -torch.inf)
            outputs.append(self.attend(dots) @ v)
        return self.to_out(torch.cat(outputs, -1))


class FeedForward(nn.Module):
    def __init__(self, width: int, mlp: int):
        super().__init__()
        layers = [nn.Linear(width, mlp), nn.GELU(), nn.Dropout(0.1), nn.Linear(mlp, width), nn.Dropout(0.1)]
        self.net = nn.Sequential(nn.LayerNorm(width), *layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


class Transformer(nn.Module):
    def __init__(self, width: int, depth: int, patches: int, frames: int, heads: int, dim_head: int, mlp: int):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.layers = nn.ModuleList(
            nn.ModuleList([Attention(width, patches, frames, heads, dim_head), FeedForward(width, mlp)])
            for _ in range(depth)
        )

    def forward(self, x: Tensor) -> Tensor:
        for attention, feed_forward in self.layers:
            x = attention(x) + x
            x = feed_forward(x) + x
        return self.norm(x)


class ViTPredictor(nn.Module):
    def __init__(self, width: int, patches: int, frames: int, **sizes: int):
        super().__init__()
        self.pos_embedding = nn.Parameter(torch.randn(1, frames * patches, width))
        self.dropout = nn.Dropout(0.0)
        self.transformer = Transformer(width, patches=patches, frames=frames, **sizes)
        self.pool = "mean"

    def forward(self, x: Tensor) -> Tensor:
        return self.transformer(x + self.pos_embedding[:, : x.shape[1]])


class ProprioceptiveEmbedding(nn.Module):
    def __init__(self, inputs: int, width: int):
        super().__init__()
        self.patch_embed = nn.Conv1d(inputs, width, kernel_size=1, stride=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.patch_embed(x.mT).mT


MODULES = {
    "models.vit": (Attention, FeedForward, Transformer, ViTPredictor),
    "models.proprio": (ProprioceptiveEmbedding,),
}
for _module, _classes in MODULES.items():
    for _class in _classes:
        _class.__module__ = _module


@contextmanager
def dino_wm_installed() -> Iterator[None]:
    """Let pickle find the classes where DINO-WM has them, while a file is written."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "models", types.ModuleType("models"))
        for name, classes in MODULES.items():
            patch.setitem(sys.modules, name, types.ModuleType(name))
            for cls in classes:
                setattr(sys.modules[name], cls.__name__, cls)
        yield


SIZES = {"dim": 8, "patches": 4, "frames": 3, "depth": 2, "heads": 2, "dim_head": 6, "mlp": 16, "actions": 5}


def checkpoint(proprio: int = 4, **changes: int) -> dict[str, Any]:
    """Return what DINO-WM's ``train.py`` saves, after one step of its optimisers."""
    sizes = SIZES | changes
    dim, actions = sizes.pop("dim"), sizes.pop("actions")
    torch.manual_seed(0)
    predictor = ViTPredictor(dim + 10 + 10 * (proprio > 0), **sizes)
    decoder = nn.Linear(dim, 3)
    optimizer = torch.optim.AdamW(predictor.parameters())
    predictor(torch.randn(1, sizes["patches"], predictor.pos_embedding.shape[-1])).square().sum().backward()
    optimizer.step()
    contents = {
        "epoch": 7,
        "predictor": predictor,
        "predictor_optimizer": optimizer,
        "decoder": decoder,
        "decoder_optimizer": torch.optim.AdamW(decoder.parameters()),
        "action_encoder": ProprioceptiveEmbedding(actions, 10),
    }
    return contents | ({"proprio_encoder": ProprioceptiveEmbedding(proprio, 10)} if proprio else {})


def write(path: Path, contents: object) -> Path:
    with dino_wm_installed():
        torch.save(contents, path)
    return path


def reference_rollout(contents: dict[str, Any], tokens: Tensor, actions: Tensor) -> Tensor:
    """Predict as DINO-WM does: overwrite each new frame's action, and slide the window.

    tokens (B, T, P, D) and actions (B, T - 1 + H, A) give predictions (B, H, P, D). Proprioception is always zero.
    """
    predictor, frames = contents["predictor"].eval(), tokens
    window = predictor.pos_embedding.shape[1] // tokens.shape[2]
    for last in range(tokens.shape[1], actions.shape[1] + 1):
        embeddings = [contents["action_encoder"](actions[:, :last])]
        if "proprio_encoder" in contents:
            encoder = contents["proprio_encoder"]
            embeddings.insert(0, encoder(torch.zeros(len(tokens), last, encoder.patch_embed.in_channels)))
        tiled = [e[:, :, None].repeat(1, 1, tokens.shape[2], 1) for e in embeddings]
        z = torch.cat([frames, *tiled], -1)[:, -window:]
        predicted = predictor(z.reshape(len(z), -1, z.shape[-1])).reshape(z.shape)
        frames = torch.cat([frames, predicted[:, -1:, :, : tokens.shape[-1]]], 1)
    return frames[:, tokens.shape[1] :]


def assert_same(model: FrameCausalPredictor, contents: dict[str, Any], given_frames: int, H: int) -> None:
    tokens = torch.randn(2, given_frames, model.num_patches, model.dim)
    actions = torch.randn(2, given_frames - 1 + H, model.action_dim)
    grid, zeros = (1, model.num_patches), torch.zeros(2, given_frames)
    context = model.context(tokens, zeros, grid=grid, actions=actions[:, : given_frames - 1])
    predictions = []
    for action in actions[:, given_frames - 1 :].unbind(1):
        prediction, context = model.step(context, zeros[:, 0], action)
        predictions.append(prediction)
    expected = reference_rollout(contents, tokens, actions)
    torch.testing.assert_close(torch.stack(predictions, 1), expected, atol=1e-5, rtol=1e-5)


@settings(deadline=None, max_examples=25)
@given(st.data())
def test_any_checkpoint_of_the_layout_predicts_as_its_own_classes_do(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    most = {"dim": 9, "patches": 4, "frames": 3, "depth": 3, "heads": 3, "dim_head": 5, "mlp": 9, "actions": 6}
    sizes = {name: data.draw(st.integers(1, most[name]), name) for name in most}
    contents = checkpoint(proprio=data.draw(st.integers(0, 4), "proprio"), **sizes)
    model = load_dino_wm(write(tmp_path_factory.mktemp("files") / "model_latest.pth", contents))
    assert (model.dim, model.action_dim) == (sizes["dim"], sizes["actions"])
    assert (model.num_patches, model.num_frames) == (sizes["patches"], sizes["frames"])
    assert_same(model, contents, given_frames=data.draw(st.integers(1, sizes["frames"])), H=4)


def test_a_checkpoint_of_the_released_size_is_read(tmp_path: Path) -> None:
    released = {"dim": 384, "patches": 196, "frames": 3, "depth": 6, "heads": 16, "dim_head": 64, "mlp": 2048}
    contents = checkpoint(**released, actions=10)
    model = load_dino_wm(write(tmp_path / "model_latest.pth", contents))
    assert model.settings() == {
        "dim": 384,
        "action_dim": 10,
        "num_patches": 196,
        "num_frames": 3,
        "depth": 6,
        "heads": 16,
        "dim_head": 64,
        "mlp_dim": 2048,
        "action_embed_dim": 10,
        "proprio_dim": 10,
        "dropout": 0.1,
    }
    with torch.no_grad():
        assert_same(model, contents, given_frames=1, H=1)


def test_the_loaded_model_is_ready_to_predict_and_to_learn(tmp_path: Path) -> None:
    model = load_dino_wm(write(tmp_path / "model.pth", checkpoint()))
    assert not model.training
    assert all(p.requires_grad and p.dtype == torch.float32 and p.is_leaf for p in model.parameters())


def test_loading_imports_nothing_from_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "model.pth", checkpoint())
    with pytest.raises(ModuleNotFoundError):  # the file does hold whole modules
        torch.load(path, weights_only=False)
    load_dino_wm(path)
    assert not set(MODULES) & set(sys.modules)


def test_wrapped_modules_are_unwrapped(tmp_path: Path) -> None:
    contents = checkpoint()
    wrapped = {name: nn.DataParallel(contents[name]) for name in ("predictor", "action_encoder", "proprio_encoder")}
    assert_same(load_dino_wm(write(tmp_path / "model.pth", contents | wrapped)), contents, given_frames=1, H=3)


def test_a_half_precision_checkpoint_is_read_as_float32(tmp_path: Path) -> None:
    contents = checkpoint()
    contents["predictor"].half()
    model = load_dino_wm(write(tmp_path / "model.pth", contents))
    assert model.pos_embedding.dtype == torch.float32
    contents["predictor"].float()
    assert_same(model, contents, given_frames=2, H=2)


def test_heads_are_64_wide_where_the_file_does_not_say(tmp_path: Path) -> None:
    contents = checkpoint(heads=3, dim_head=64)
    for attention, _ in contents["predictor"].transformer.layers:
        del attention.heads
    model = load_dino_wm(write(tmp_path / "model.pth", contents))
    assert (model.settings()["heads"], model.settings()["dim_head"]) == (3, 64)


def test_a_checkpoint_without_proprioception_says_none(tmp_path: Path) -> None:
    contents = checkpoint(proprio=0) | {"proprio_encoder": None}
    assert load_dino_wm(write(tmp_path / "model.pth", contents)).settings()["proprio_dim"] == 0


# Files that want to run something


class Calls:
    """Pickles as a call of a function."""

    def __init__(self, function: Callable[..., Any], *arguments: object):
        self.call = (function, arguments)

    def __call__(self) -> None:
        """Pickle asks that what is to be called can be called."""

    def __reduce__(self) -> tuple:
        return self.call


def attacks(marker: Path) -> list[Calls]:
    write_marker = f"open({str(marker)!r}, 'w').close()"
    return [
        Calls(os.system, f"touch {marker}"),
        Calls(builtins.eval, write_marker),
        Calls(builtins.exec, write_marker),
        Calls(os.mkdir, str(marker)),
        Calls(Path.touch, marker),
        Calls(torch.storage._load_from_bytes, pickle.dumps(Calls(os.mkdir, str(marker)))),
        Calls(torch.load, str(marker)),
        Calls(Calls(functools.partial, os.mkdir, str(marker))),  # a call of what a call gave
    ]


@pytest.mark.parametrize("index", range(8))
@pytest.mark.parametrize("place", ["whole", "predictor", "epoch", "inside", "optimizer"])
def test_a_malicious_file_runs_nothing(tmp_path: Path, index: int, place: str) -> None:
    marker = tmp_path / "it_ran"
    attack = attacks(marker)[index]
    contents = checkpoint()
    if place == "inside":
        contents["predictor"].transformer.layers[0][0].to_qkv._parameters["weight"] = attack
    elif place == "optimizer":
        contents["predictor_optimizer"] = [attack, {"state": attack}]
    else:
        contents = attack if place == "whole" else contents | {place: attack}
    try:
        path = write(tmp_path / "model.pth", contents)
    finally:
        assert not marker.exists()
    if place in ("epoch", "optimizer"):  # not read: the rest of the file is as good as ever
        load_dino_wm(path)
    else:
        with pytest.raises(ValueError, match=naming("model.pth")):
            load_dino_wm(path)
    assert not marker.exists()


def test_the_attacks_would_run_elsewhere(tmp_path: Path) -> None:
    marker = tmp_path / "it_ran"
    path = write(tmp_path / "model.pth", attacks(marker)[0])
    torch.load(path, weights_only=False)
    assert marker.exists()


@pytest.mark.parametrize(
    "name",
    [
        ("collections", "OrderedDict"),
        ("builtins", "set"),
        ("torch._utils", "_rebuild_tensor_v2"),
        ("torch._utils", "_rebuild_parameter"),
        ("torch", "FloatStorage"),
    ],
)
@pytest.mark.parametrize("slots", [False, True])
def test_a_pickle_cannot_change_what_it_may_name(tmp_path: Path, name: tuple[str, str], slots: bool) -> None:
    state = b"}X\x06\x00\x00\x00poisonI1\ns"  # {"poison": 1}
    build = (b"N" + state + b"\x86" if slots else state) + b"b."
    with zipfile.ZipFile(tmp_path / "model.pth", "w") as file:
        file.writestr("a/data.pkl", b"\x80\x02c" + "\n".join(name).encode() + b"\n" + build)
    with pytest.raises(ValueError, match=naming("a/data.pkl")):
        load_dino_wm(tmp_path / "model.pth")


def test_only_listed_names_are_more_than_inert() -> None:
    unpickler = _Unpickler(b"", {})
    for module, name in (
        ("os", "system"),
        ("builtins", "eval"),
        ("torch", "load"),
        ("collections", "deque"),
        ("a", "b.c"),
    ):
        found = unpickler.find_class(module, name)
        assert issubclass(found, Inert)
        assert found.origin == f"{module}.{name}"


# Files that are damaged, or something else


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=naming("nowhere.pth")):
        load_dino_wm(tmp_path / "nowhere.pth")
    with pytest.raises(IsADirectoryError):
        load_dino_wm(tmp_path)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_truncated_file_is_named(tmp_path: Path, share: float) -> None:
    path = write(tmp_path / "model.pth", checkpoint())
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(ValueError, match=naming("model.pth")):
        load_dino_wm(path)


def test_another_zip_file_is_named(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "model.pth", "w") as file:
        file.writestr("readme.txt", "hello")
    with pytest.raises(ValueError, match=naming("model.pth")):
        load_dino_wm(tmp_path / "model.pth")


def test_a_file_of_the_old_format_is_named(tmp_path: Path) -> None:
    torch.save({"epoch": 1}, tmp_path / "model.pth", _use_new_zipfile_serialization=False)
    with pytest.raises(ValueError, match=naming("torch 1.6")):
        load_dino_wm(tmp_path / "model.pth")


def rewrite(path: Path, change: Callable[[str, bytes], bytes | None]) -> None:
    """Write a zip file again with some records changed, or left out."""
    with zipfile.ZipFile(path) as file:
        records = {name: file.read(name) for name in file.namelist()}
    with zipfile.ZipFile(path, "w") as file:
        for name, record in records.items():
            if (changed := change(name, record)) is not None:
                file.writestr(name, changed)


def storage_of(path: Path, tensor: Tensor) -> str:
    """Return the name of the record with these numbers."""
    with zipfile.ZipFile(path) as file:
        return next(name for name in file.namelist() if file.read(name) == tensor.detach().numpy().tobytes())


@pytest.mark.parametrize("change", [lambda record: None, lambda record: record[:-4]], ids=["missing", "short"])
def test_a_tensor_without_all_its_bytes_is_named(tmp_path: Path, change: Callable) -> None:
    contents = checkpoint()
    path = write(tmp_path / "model.pth", contents)
    wanted = storage_of(path, contents["predictor"].pos_embedding)
    rewrite(path, lambda name, record: change(record) if name == wanted else record)
    with pytest.raises(ValueError, match=naming("model.pth", "predictor.pos_embedding")):
        load_dino_wm(path)


def test_a_flipped_bit_is_noticed(tmp_path: Path) -> None:
    contents = checkpoint()
    path = write(tmp_path / "model.pth", contents)
    data = bytearray(path.read_bytes())
    data[data.index(contents["predictor"].pos_embedding.detach().numpy().tobytes()) + 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match=naming("predictor.pos_embedding", "CRC")):
        load_dino_wm(path)


def test_a_damaged_pickle_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "model.pth", checkpoint())
    rewrite(path, lambda name, record: record[:-50] if name.endswith("data.pkl") else record)
    with pytest.raises(ValueError, match=naming("model.pth", "model/data.pkl")):
        load_dino_wm(path)


def test_a_pickle_cannot_name_what_the_process_has_registered(tmp_path: Path) -> None:
    copyreg.add_extension("os", "getcwd", 240)
    try:
        with zipfile.ZipFile(tmp_path / "model.pth", "w") as file:
            file.writestr("a/data.pkl", b"\x80\x02\x82\xf0.")
        with pytest.raises(ValueError, match=naming("a/data.pkl", "copyreg")):
            load_dino_wm(tmp_path / "model.pth")
    finally:
        copyreg.remove_extension("os", "getcwd", 240)


def test_a_pickle_cannot_ask_for_much_memory(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "model.pth", "w") as file:
        file.writestr("a/data.pkl", b"\x80\x02]r\xff\xff\xff\x7f.")  # remembers a list in place 2,147,483,647
    with pytest.raises(ValueError, match=naming("a/data.pkl", 2147483647, 9)):
        load_dino_wm(tmp_path / "model.pth")


def test_a_file_of_the_other_byte_order_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "model.pth", checkpoint())
    rewrite(path, lambda name, record: b"big" if name.endswith("byteorder") else record)
    with pytest.raises(ValueError, match="big"):
        load_dino_wm(path)


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_a_pickle_with_any_byte_changed_loads_or_is_refused_by_name(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "whole.pth"
    if not path.exists():
        write(path, checkpoint())
    with zipfile.ZipFile(path) as file:
        size = len(file.read("whole/data.pkl"))
    place, value = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, 255))
    other = path.with_name("changed.pth")
    other.write_bytes(path.read_bytes())
    rewrite(
        other,
        lambda name, record: (
            record[:place] + bytes([value]) + record[place + 1 :] if name.endswith("data.pkl") else record
        ),
    )
    message = "changed.pth loaded"
    try:
        load_dino_wm(other)
    except ValueError as error:
        message = str(error)
    assert "changed.pth" in message


def change_predictor(change: Callable[[ViTPredictor], object]) -> dict[str, Any]:
    contents = checkpoint()
    change(contents["predictor"])
    return contents


def without(key: str) -> dict[str, Any]:
    return {name: value for name, value in checkpoint().items() if name != key}


def first(predictor: ViTPredictor) -> Attention:
    return predictor.transformer.layers[0][0]


LAYER = "predictor.transformer.layers.0"
WRONG = {
    "not a dict": (lambda: [1, 2], naming("'predictor'", "list")),
    "state dicts": (
        lambda: checkpoint() | {"predictor": {"pos_embedding": torch.zeros(1)}},
        naming("predictor", "dict"),
    ),
    "another layout": (
        lambda: {"state_dict": {}, "step": 3},
        naming("epoch", "predictor", "state_dict", "step"),
    ),
    "no predictor": (
        lambda: without("predictor"),
        naming("predictor", "predictor_optimizer"),
    ),
    "no action encoder": (
        lambda: without("action_encoder"),
        "action_encoder",
    ),
    "trained encoder": (lambda: checkpoint() | {"encoder": nn.Linear(1, 1)}, "'encoder'"),
    "missing position": (
        lambda: change_predictor(lambda p: delattr(p, "pos_embedding")),
        naming("predictor.pos_embedding"),
    ),
    "missing norm": (
        lambda: change_predictor(lambda p: delattr(p.transformer, "norm")),
        naming("predictor.transformer.norm.weight", "predictor.transformer.norm.bias"),
    ),
    "missing block": (
        lambda: change_predictor(lambda p: p.transformer.layers._modules.pop("0")),
        naming(f"{LAYER}.0.to_qkv.weight"),
    ),
    "missing convolution": (
        lambda: checkpoint() | {"action_encoder": nn.Identity()},
        naming("action_encoder.patch_embed.weight"),
    ),
    "missing proprioception": (
        lambda: checkpoint() | {"proprio_encoder": nn.Identity()},
        naming("proprio_encoder.patch_embed.bias"),
    ),
    "unexpected": (
        lambda: change_predictor(lambda p: p.register_parameter("extra", nn.Parameter(torch.zeros(1)))),
        naming("predictor.extra"),
    ),
    "unexpected bias": (
        lambda: change_predictor(lambda p: setattr(first(p), "to_qkv", nn.Linear(28, 36))),
        naming(f"{LAYER}.0.to_qkv.bias"),
    ),
    "wrong width": (
        lambda: change_predictor(lambda p: setattr(p.transformer, "norm", nn.LayerNorm(27))),
        naming("predictor.transformer.norm.weight", (28,), (27,)),
    ),
    "wrong axes": (
        lambda: change_predictor(lambda p: setattr(p, "pos_embedding", nn.Parameter(torch.zeros(12, 28)))),
        naming("predictor.pos_embedding", 3, (12, 28)),
    ),
    "too narrow": (
        lambda: change_predictor(lambda p: setattr(p, "pos_embedding", nn.Parameter(torch.zeros(1, 12, 20)))),
        naming("predictor.pos_embedding", 10, 20),
    ),
    "wide convolution": (
        lambda: change_kernel(3),
        naming("action_encoder.patch_embed.weight", (10, 5, 1), (10, 5, 3)),
    ),
    "wrong heads": (
        lambda: change_predictor(lambda p: setattr(first(p), "heads", 5)),
        naming(f"{LAYER}.0.to_qkv.weight", 5, 36),
    ),
    "no mask": (
        lambda: change_predictor(lambda p: delattr(first(p), "bias")),
        naming(f"{LAYER}.0.bias", (1, 1, 12, 12), None),
    ),
    "another mask's shape": (
        lambda: change_predictor(lambda p: setattr(first(p), "bias", torch.ones(1, 1, 8, 8))),
        naming(f"{LAYER}.0.bias", (1, 1, 8, 8)),
    ),
    "a mask of tokens": (
        lambda: change_predictor(lambda p: setattr(first(p), "bias", torch.ones(1, 1, 12, 12).triu())),
        naming(f"{LAYER}.0.bias"),
    ),
    "no mask at all": (
        lambda: change_predictor(lambda p: setattr(first(p), "bias", torch.zeros(1, 1, 12, 12))),
        naming(f"{LAYER}.0.bias"),
    ),
    "not finite": (
        lambda: change_predictor(lambda p: p.transformer.norm.weight.data.fill_(torch.nan)),
        naming("predictor.transformer.norm.weight"),
    ),
    "a number for a tensor": (
        lambda: change_predictor(lambda p: p._parameters.update(pos_embedding=3)),
        naming("predictor.pos_embedding", "int"),
    ),
    "a circle": (
        lambda: change_predictor(lambda p: p.transformer._modules.update(again=p)),
        naming("predictor.transformer.again"),
    ),
}


def change_kernel(width: int) -> dict[str, Any]:
    contents = checkpoint()
    contents["action_encoder"].patch_embed = nn.Conv1d(5, 10, width)
    return contents


@pytest.mark.parametrize("case", WRONG)
def test_what_does_not_fit_is_named_with_the_file(tmp_path: Path, case: str) -> None:
    make, message = WRONG[case]
    path = write(tmp_path / "model.pth", make())
    with pytest.raises(ValueError, match=rf"model\.pth.*{message}"):
        load_dino_wm(path)


def test_a_file_is_closed_after_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "model.pth", [1])
    with TorchFile(path) as file:
        assert file.root == [1]
    with pytest.raises(ValueError, match="ZIP archive"):
        file._zip.read("model/data.pkl")
