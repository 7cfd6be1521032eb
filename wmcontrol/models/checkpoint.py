"""World models in a folder: ``model.safetensors`` and ``config.json``, and nothing that runs code.

The folder holds all that acting needs: weights, the encoder's name and settings (and its weights, where they are its
own and not a published model's), action statistics and bounds, how much tokens vary, frameskip, control rate and frame
size.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any
from uuid import uuid4

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ..encoders import build_encoder, encoder_name
from ..encoders.files import check_encoder_size, check_size
from ..untrusted import AnyJson, Choice, Integer, ListOf, MapOf, Nullable, Number, Record, Text, read_json
from ..untrusted.schema import Place
from .action import ActionConditioned
from .frame_causal import FrameCausalPredictor
from .hardware import fast_dtype
from .normalizer import ActionNormalizer
from .predictor import Predictor
from .world_model import WorldModel

FORMAT_VERSION = 1
WEIGHTS, CONFIG = "model.safetensors", "config.json"
_ASSETS = Path(__file__).parents[1] / "assets"
_SIZE, _VECTOR = Integer(low=1, high=2**24), ListOf(Number(), least=1)
_VERSION = Record({"format_version": Integer()}, others=AnyJson())
_PREDICTOR = Record(
    {"dim": _SIZE, "width": _SIZE, "depth": _SIZE, "num_heads": _SIZE},
    {"mlp_ratio": Number(above=0), "spatial_range": ListOf(Number(), 2, 2)},
)
_FRAME_CAUSAL = Record(
    {"dim": _SIZE, "action_dim": _SIZE, "num_patches": _SIZE},
    {
        **dict.fromkeys(("num_frames", "depth", "heads", "dim_head", "mlp_dim", "action_embed_dim"), _SIZE),
        "proprio_dim": Integer(low=0, high=2**24),
        "dropout": Number(low=0),
    },
)
_PREDICTORS = {
    "ActionConditioned": Record({"type": Text(), "action_dim": _SIZE, "settings": _PREDICTOR}),
    "Predictor": Record({"type": Text(), "settings": _PREDICTOR}),
    "FrameCausalPredictor": Record({"type": Text(), "settings": _FRAME_CAUSAL}),
}
_CONFIG = Record(
    {
        "format_version": Integer(1, FORMAT_VERSION),
        "encoder": Record({"name": Text(), "settings": MapOf(AnyJson())}),
        "predictor": Record({"type": Choice(*_PREDICTORS)}, others=AnyJson()),
        "actions": Nullable(
            Record({**dict.fromkeys(("mean", "std", "low", "high"), _VECTOR), "frameskip": Integer(low=1, high=2**16)})
        ),
        "control_rate": Number(above=0),
        "frame_size": ListOf(Integer(low=1, high=2**14), 2, 2),
    },
    {"token_std": Nullable(ListOf(Number(low=0)))},  # which models were saved without at first
)


def save(model: WorldModel, folder: str | os.PathLike[str]) -> None:
    """Write a model to a folder: under another name first, then renamed, so that no half of it is ever there.

    Raises:
        FileExistsError: the folder is a file, or holds something else than a model.
        OSError: the disk is full; a model that was there before is kept.
    """
    target = Path(os.path.expanduser(folder)).resolve()
    if target.exists() and not target.is_dir():
        raise FileExistsError(f"{target} is a file; a model is saved as a folder: give a new or empty one")
    others = (
        sorted(path.name for path in target.iterdir() if path.name not in (WEIGHTS, CONFIG)) if target.exists() else []
    )
    if others:
        raise FileExistsError(f"{target} holds more than a model ({others[:3]} …): give a new or empty folder")
    config = {
        "format_version": FORMAT_VERSION,
        "encoder": {"name": encoder_name(model.encoder), "settings": model.encoder.settings()},
        "predictor": _describe(model.predictor),
        "actions": model.normalizer.settings() if model.normalizer else None,
        "control_rate": model.control_rate,
        "frame_size": list(model.frame_size),
        "token_std": model.token_std and [float(f"{std:.6g}") for std in model.token_std],
    }
    target.parent.mkdir(parents=True, exist_ok=True)
    mine = uuid4().hex[:8]
    partial, old = (target.with_name(f".{target.name}.{kind}-{mine}") for kind in ("partial", "old"))
    try:
        partial.mkdir()
        save_file({key: value.detach().cpu().contiguous() for key, value in _weights(model).items()}, partial / WEIGHTS)
        (partial / CONFIG).write_text(json.dumps(config, indent=2) + "\n")
        (partial / WEIGHTS).chmod((partial / CONFIG).stat().st_mode)  # safetensors leaves it to its owner alone
        if target.exists():
            target.rename(old)
        partial.rename(target)
    except BaseException as error:
        if old.exists() and not target.exists():
            old.rename(target)
        if isinstance(error, SafetensorError):  # what safetensors makes of a full disk
            raise OSError(f"cannot write {target}: {error}") from error
        raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def load(folder_or_name: str | os.PathLike[str], device: torch.device, dtype: torch.dtype | None) -> WorldModel:
    """Load a model; see :meth:`WorldModel.load`.

    Raises:
        FileNotFoundError: no such folder, or a file is missing in it.
        ValueError: a file is damaged, of a newer format, or does not fit the model that it describes.
        OSError: the weights of a published encoder are not at hand.
        ImportError: the encoder's package is not installed; the message has the command.
    """
    folder = find_folder(folder_or_name)
    config = _read_config(folder / CONFIG)
    weights = _read_weights(folder / WEIGHTS)
    try:
        _check_sizes(config, weights)
        model = _model(config)
    except (ValueError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(f"{folder / CONFIG} does not describe a model: {error}") from error
    _assign(model, weights, folder / WEIGHTS)
    model.requires_grad_(False)
    model.to(device)
    model.predictor.to(dtype or fast_dtype(device))
    return model


def _check_sizes(config: dict[str, Any], weights: dict[str, Tensor]) -> None:
    """Refuse a config that asks for a larger model than there are weights for, before it is built."""
    held = {key: value.shape for key, value in weights.items()}
    check_encoder_size(config["encoder"]["name"], config["encoder"]["settings"], held.values())
    depth = config["predictor"]["settings"].get("depth", 1)
    if depth > len(held):
        raise ValueError(f"predictor.settings.depth is {depth}, and {WEIGHTS} has {len(held)} tensors")
    with torch.device("meta"):
        predictor = _build(config["predictor"])
    check_size("predictor", predictor, held.values())


def _model(config: dict[str, Any]) -> WorldModel:
    actions, size = config["actions"], config["frame_size"]
    return WorldModel(
        build_encoder(config["encoder"]["name"], config["encoder"]["settings"]),
        _build(config["predictor"]),
        ActionNormalizer(**actions) if actions else None,
        control_rate=config["control_rate"],
        frame_size=(size[0], size[1]),
        token_std=config.get("token_std"),
    )


def _weights(model: WorldModel) -> dict[str, Tensor]:
    """What is saved: the predictor, and of the encoder what is not a published model's."""
    kept = {f"predictor.{key}": value for key, value in model.predictor.state_dict().items()}
    if model.encoder.carries_weights:
        kept |= {f"encoder.{key}": value for key, value in model.encoder.state_dict().items()}
    return kept


def _describe(predictor: nn.Module) -> dict[str, Any]:
    if isinstance(predictor, ActionConditioned):
        base = predictor.predictor
        return {"type": "ActionConditioned", "action_dim": predictor.action_dim, "settings": base.settings()}
    if isinstance(predictor, (Predictor, FrameCausalPredictor)):
        return {"type": type(predictor).__name__, "settings": predictor.settings()}
    raise TypeError(f"a checkpoint holds one of this package's predictors, got a {type(predictor).__name__}")


def _build(described: dict[str, Any]) -> Predictor | ActionConditioned | FrameCausalPredictor:
    if described["type"] == "FrameCausalPredictor":
        return FrameCausalPredictor(**described["settings"])
    predictor = Predictor(**described["settings"])
    if described["type"] == "Predictor":
        return predictor
    return ActionConditioned(predictor, described["action_dim"])


def packaged_models() -> list[str]:
    """Return the names of the models that travel with the package."""
    return sorted(path.name for path in _ASSETS.iterdir() if path.is_dir()) if _ASSETS.is_dir() else []


def packaged_folder(name: str) -> Path:
    """Return the folder of a packaged model, whatever lies where the process works."""
    return _ASSETS / name


def find_folder(folder_or_name: str | os.PathLike[str]) -> Path:
    """Return the folder that a model is loaded from.

    Raises:
        ValueError, FileNotFoundError: there is none.
        ImportError: it is on the hub, and what loads from there is not installed.
    """
    name = os.fspath(folder_or_name)
    if name.startswith("hf:/"):  # a Path makes one slash of two
        return _download(name.removeprefix("hf:").strip("/"))
    folder, packaged = Path(os.path.expanduser(name)), packaged_models()
    if folder.is_dir():
        if name in packaged and not (folder / CONFIG).exists():
            raise ValueError(
                f"the folder {name!r} here is no model, and hides the packaged model of that name: say which folder is "
                f"meant, as {name}/model, or work elsewhere"
            )
        return folder
    if folder.is_file():
        raise ValueError(f"{folder} is a file; a model is the folder with {CONFIG} and {WEIGHTS}")
    if name in packaged:
        return packaged_folder(name)
    raise FileNotFoundError(
        f"no folder {name!r}, and no packaged model of that name (there are: {packaged or 'none'}); "
        "for a model on the Hugging Face hub say hf://owner/name"
    )


def _download(name: str) -> Path:
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise ImportError('models from the hub need: pip install "wmcontrol[encoders]"') from None
    return Path(snapshot_download(name, allow_patterns=[WEIGHTS, CONFIG]))


def _read_config(file: Path) -> dict[str, Any]:
    try:
        version = read_json(file, _VERSION)["format_version"]
    except FileNotFoundError:
        raise FileNotFoundError(f"{file} is missing; a model is a folder with {CONFIG} and {WEIGHTS}") from None
    if version > FORMAT_VERSION:
        raise ValueError(
            f"{file} has format version {version}, this wmcontrol reads up to {FORMAT_VERSION}: "
            "pip install -U wmcontrol"
        )
    config: dict[str, Any] = read_json(file, _CONFIG)
    _PREDICTORS[config["predictor"]["type"]].check(config["predictor"], Place(str(file), "predictor"))
    return config


def _read_weights(file: Path) -> dict[str, Tensor]:
    if not file.exists():
        raise FileNotFoundError(f"{file} is missing; a model is a folder with {CONFIG} and {WEIGHTS}")
    try:
        return load_file(file)
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{file} is damaged or cut short ({error}); copy it again") from None


def _assign(model: WorldModel, weights: dict[str, Tensor], file: Path) -> None:
    expected = _weights(model)
    unknown, missing = sorted(set(weights) - set(expected)), sorted(set(expected) - set(weights))
    if unknown or missing:
        raise ValueError(f"{file} does not fit {CONFIG}: unknown tensors {unknown[:5]}, missing tensors {missing[:5]}")
    for key, value in weights.items():
        if value.shape != expected[key].shape:
            raise ValueError(
                f"{file}: {key} must have shape {tuple(expected[key].shape)} by {CONFIG}, got {tuple(value.shape)}"
            )
        if not value.is_floating_point() or not value.isfinite().all():
            raise ValueError(f"{file}: {key} must hold finite numbers of floating point, got {value.dtype} or NaN")
    for prefix, part in (("predictor.", model.predictor), ("encoder.", model.encoder)):
        own = {key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)}
        if own:
            part.load_state_dict(own)
