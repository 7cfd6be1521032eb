"""World models in a folder: ``model.safetensors`` and ``config.json``, and nothing that runs code.

The folder holds all that acting needs: weights, the encoder's name and settings (and its weights, where they are its
own and not a published model's), action statistics and bounds, how much tokens vary, frameskip, control rate, frame
size, and how to plan with it.
"""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ..actions import LAYOUT
from ..encoders.files import (
    alike,
    changed,
    check_buffers,
    check_comes_back,
    described_encoder,
    load_tensors,
    tensors_of,
    trial_frames,
)
from ..encoders.images import MAX_SIDE
from ..encoders.registry import describe_encoder
from ..hardware import fast_dtype
from ..hub import is_on_hub, local_folder
from ..untrusted import (
    AnyJson,
    Boolean,
    Choice,
    Integer,
    ListOf,
    MapOf,
    Nullable,
    Number,
    Record,
    Text,
    check_links,
    read_json,
)
from .action import ActionConditioned
from .landmarks import MOST_EDGES
from .normalizer import ActionNormalizer
from .ordinary import ordinary_tensors
from .planning_settings import PlanningSettings
from .predictor import PREDICTORS, Predictor
from .temporal_embedding import MOST
from .world_model import HEADS, WorldModel
from .zoo.frame_causal import FrameCausalPredictor

FORMAT_VERSION = 1
WEIGHTS, CONFIG = "model.safetensors", "config.json"
_ASSETS = Path(__file__).parents[1] / "assets"
_DTYPES = {"float64": torch.float64, "float32": torch.float32}  # what rounded weights may be widened to
_NO_MODEL = (ValueError, TypeError, AttributeError, IndexError, RuntimeError, OverflowError)
_SIZE, _VECTOR = Integer(low=1, high=2**24), ListOf(Number(), least=1)
_SIDES = ListOf(Integer(low=1, high=MAX_SIDE), 2, 2)
_VERSION = Record({"format_version": Integer()}, others=AnyJson())
_CONFIG = Record(
    {
        "format_version": Integer(1, FORMAT_VERSION),
        "encoder": Record({"name": Text(), "settings": MapOf(AnyJson())}),
        "predictor": Record(
            {"type": Choice("ActionConditioned", "Predictor", "FrameCausalPredictor"), "settings": MapOf(AnyJson())},
            {"class": Text(), "action_dim": _SIZE, "action_scale": Number(above=0)},
        ),
        "actions": Nullable(
            Record(
                {**dict.fromkeys(("mean", "std", "low", "high"), _VECTOR), "frameskip": Integer(low=1, high=2**16)},
                {"layout": LAYOUT, "repeat_action": Boolean()},
            )
        ),
        "control_rate": Number(above=0),
        "frame_size": _SIDES,
    },
    # Not in every model.
    {
        "token_std": Nullable(ListOf(Number(low=0))),
        "planning": MapOf(AnyJson()),
        "prior": Record(
            dict.fromkeys(("dim", "num_patches", "action_dim", "horizon", "num_frames", "width", "depth"), _SIZE)
        ),
        "reward": Record(dict.fromkeys(("num_patches", "dim", "width", "num_frames"), _SIZE)),
        "decoder": Record({"dim": _SIZE, **dict.fromkeys(("grid", "frame_size", "patch"), _SIDES)}),
        "steps_to_go": Record(dict.fromkeys(("dim", "num_patches", "max_steps", "width", "depth"), _SIZE)),
        "landmarks": Record(
            {
                **dict.fromkeys(("dim", "num_patches", "num_landmarks"), _SIZE),
                "num_edges": Integer(low=0, high=MOST_EDGES),
                "reach": Number(above=0),
            }
        ),
        "temporal_embedding": Record(
            {
                **dict.fromkeys(("dim", "num_patches", "size", "width", "depth"), _SIZE),
                "num_frames": Integer(low=0, high=MOST["num_frames"]),
            }
        ),
        "dtype": Choice(*_DTYPES),
    },
)


def save(
    model: WorldModel,
    folder: str | os.PathLike[str],
    *,
    rounded: Mapping[str, torch.dtype] | None = None,
) -> None:
    """Write a model to a folder: under another name first, then renamed, so that no half of it is ever there.

    It is loaded again before it gets its name: what would not come back as it is, is not saved.

    Args:
        model: with a predictor of this package and an encoder that files can name.
        folder: new, empty, or that of a model.
        rounded: number types of a smaller file, of "predictor", "encoder" and heads, whose weights must fit them
            exactly. It is loaded in the number type that the model has.

    Raises:
        FileExistsError: the folder is a file, or holds something else than a model.
        TypeError, ValueError: the model could not be loaded as it is, or was rounded when it was loaded.
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
    if model.rounded_from is not None:
        raise ValueError(
            f'this model was loaded with dtype="auto", which rounded its weights from {model.rounded_from} to '
            f"{model.dtype}; load it without, or ask for dtype={model.dtype} by name to save it so"
        )
    config: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "encoder": describe_encoder(model.encoder),
        "predictor": _describe(model.predictor),
        "actions": model.normalizer.settings() if model.normalizer else None,
        "control_rate": model.control_rate,
        "frame_size": list(model.frame_size),
        "token_std": model.token_std and list(model.token_std),
        "planning": asdict(model.planning),
    }
    config |= {name: part.settings() for name, part in model.heads().items()}
    weights = tensors_of(_parts(model))
    if rounded:
        config["dtype"] = str(model.dtype).removeprefix("torch.")
        weights = {
            name: value.to(rounded.get(name.split(".")[0], value.dtype)) if value.is_floating_point() else value
            for name, value in weights.items()
        }
    target.parent.mkdir(parents=True, exist_ok=True)
    mine = uuid4().hex[:8]
    partial, old = (target.with_name(f".{target.name}.{kind}-{mine}") for kind in ("partial", "old"))
    try:
        partial.mkdir()
        save_file(weights, partial / WEIGHTS)
        (partial / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        (partial / WEIGHTS).chmod((partial / CONFIG).stat().st_mode)  # safetensors leaves it to its owner alone
        _check_comes_back(model, partial, target)
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


@ordinary_tensors()
def load(
    folder_or_name: str | os.PathLike[str], device: torch.device, dtype: torch.dtype | Literal["auto"] | None
) -> WorldModel:
    """Load a model; see :meth:`WorldModel.load`.

    Raises:
        FileNotFoundError: no such folder, or a file is missing in it.
        ValueError: a file is damaged, of a newer format, a link out of the folder, or does not fit the model that it
            describes.
        OSError: the weights of a published encoder are not at hand.
        ImportError: the encoder's package is not installed; the message has the command.
    """
    if dtype not in (None, "auto") and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
        raise ValueError(f'dtype must be a floating-point type of torch, "auto" or None, got {dtype!r}')
    folder = find_folder(folder_or_name)
    check_links(folder, CONFIG, WEIGHTS)
    config = _read_config(folder / CONFIG)
    weights = _read_weights(folder / WEIGHTS)
    try:
        model = _model(config, weights)
    except _NO_MODEL as error:
        raise ValueError(f"{folder / CONFIG} does not describe a model: {error}") from error
    load_tensors(_parts(model), weights, folder / WEIGHTS, CONFIG)
    if "dtype" in config:
        model.to(_DTYPES[config["dtype"]])
    for name, part in model.heads().items():
        part.float()  # they compute in it alone
        check_buffers(part, f"{name}.", folder / WEIGHTS)
    for part in (model.steps_to_go, model.landmarks, model.temporal_embedding):
        try:
            if part is not None:
                part.check()
        except ValueError as error:
            raise ValueError(f"{folder / WEIGHTS}: {error}") from error
    model.requires_grad_(False)
    model.to(device)
    if dtype is not None:
        stored = model.dtype
        model.predictor.to(fast_dtype(device) if dtype == "auto" else dtype)
        if dtype == "auto" and model.dtype != torch.promote_types(stored, model.dtype):
            model.rounded_from = stored
    return model


def _model(config: dict[str, Any], weights: Mapping[str, Tensor]) -> WorldModel:
    """Make a model of which parts of ours have no memory yet: their weights bring it, and no more than that."""
    predictor, actions, (height, width) = config["predictor"], config["actions"], config["frame_size"]
    ours = "class" not in predictor
    described = {name: config.get(name, {}) for name in ("prior", "steps_to_go", "temporal_embedding")}
    for name, settings in {**described, "predictor.settings": predictor["settings"]}.items():
        if isinstance(depth := settings.get("depth"), int) and depth > len(weights):
            raise ValueError(f"{name}.depth is {depth}, and {WEIGHTS} has {len(weights)} tensors")
    with _named("encoder.settings"):
        encoder = described_encoder(config["encoder"])
    if not ours:
        _check_asked(predictor, sum(tensor.numel() for tensor in weights.values()))
    with torch.device("meta" if ours else "cpu"):  # a user's class may make what is not in the weights
        built = _build(predictor)
    with _named("planning"):
        planning = PlanningSettings(**config.get("planning", {}))
    model = WorldModel(
        encoder,
        built,
        ActionNormalizer(**actions) if actions else None,
        control_rate=config["control_rate"],
        frame_size=(height, width),
        token_std=config.get("token_std"),
        planning=planning,
    )
    rows, columns = model.grid
    expected = {
        "dim": encoder.dim,
        "num_patches": rows * columns,
        "action_dim": model.normalizer.action_dim if model.normalizer else None,
        "grid": [rows, columns],
        "frame_size": [height, width],
    }
    for name in filter(config.__contains__, HEADS):
        with _named(name), torch.device("meta"):
            setattr(model, name, HEADS[name](**config[name]))
        for size, value in expected.items():
            if (said := config[name].get(size, value)) != value:
                raise ValueError(f"{name}.{size} must be {value}, as the other settings say, got {said}")
    if model.landmarks is not None and model.steps_to_go is None:
        raise ValueError("landmarks: there are some, and no steps_to_go that they are of use with")
    return model


@contextmanager
def _named(part: str) -> Iterator[None]:
    """Say which part of the configuration has what is refused."""
    try:
        yield
    except _NO_MODEL as error:
        raise ValueError(f"{part}: {error}") from error


def _check_asked(described: dict[str, Any], numbers: int) -> None:
    """Refuse settings of a user's class by which it has more parameters than a file has numbers."""
    try:
        with torch.device("meta"):
            asked = sum(parameter.numel() for parameter in _build(described).parameters())
    except (NotImplementedError, RuntimeError):  # its constructor looks at numbers, which have no values there
        return
    if asked > numbers:
        raise ValueError(f"predictor.settings ask for {asked} parameters, and {WEIGHTS} has {numbers} numbers")


def _parts(model: WorldModel) -> dict[str, nn.Module]:
    """What has weights in the file: what is learned, and the encoder where its weights are not elsewhere."""
    parts: dict[str, nn.Module] = {"predictor.": model.predictor}
    if model.encoder.carries_weights:
        parts["encoder."] = model.encoder
    parts |= {f"{name}.": part for name, part in model.heads().items()}
    return parts


def _check_comes_back(model: WorldModel, partial: Path, target: Path) -> None:
    """Raise a ValueError if what is in a folder, which shall be ``target``, is not this model."""
    modes = {module: module.training for module in model.modules()}
    try:
        again = load(partial, model.device, None)
        model.eval()
        check_comes_back(model.encoder, again.encoder, model.frame_size)
        if lost := changed(model, again):
            raise ValueError(f"{lost} would be lost")
        if not alike(*(_next_frame(each) for each in (model, again))):
            raise ValueError("the predictor gives other frames; are its layers replaced, or hooked?")
    except Exception as error:
        reason = str(error).replace(str(partial), str(target))
        raise ValueError(f"the model is not saved, because it would not come back as it is: {reason}") from error
    finally:
        for module, training in modes.items():
            module.training = training


@torch.no_grad()
def _next_frame(model: WorldModel) -> Tensor:
    """Imagine one step from frames that are always the same, as many as a predictor needs that has a fixed number."""
    tokens = model.encode(trial_frames(model.frame_size, getattr(model.predictor, "least_frames", 1))[None])
    context: Any = model.context(tokens)
    action = () if model.normalizer is None else (tokens.new_ones(1, model.normalizer.action_dim),)
    frame, _ = model.predictor.step(context, context.last_time + model.step_seconds, *action)
    return frame


def _describe(predictor: nn.Module) -> dict[str, Any]:
    if isinstance(predictor, ActionConditioned):
        actions = {"action_dim": predictor.action_dim, "action_scale": predictor.action_scale}
        return {**describe_predictor(predictor.predictor), "type": "ActionConditioned", **actions}
    if isinstance(predictor, Predictor):
        return {"type": "Predictor", **describe_predictor(predictor)}
    if isinstance(predictor, FrameCausalPredictor):
        return {"type": "FrameCausalPredictor", "settings": predictor.settings()}
    raise TypeError(f"a checkpoint holds one of this package's predictors, got a {type(predictor).__name__}")


def describe_predictor(predictor: Predictor) -> dict[str, Any]:
    """Return a predictor's settings, and of a user's own class its name.

    Raises:
        ValueError: it is not registered, so that a file cannot name it.
    """
    cls = type(predictor)
    if cls is not Predictor and PREDICTORS.get(cls.__name__) is not cls:
        raise ValueError(f"a file cannot name a {cls.__qualname__}; put @register_predictor before its class")
    return {**({} if cls is Predictor else {"class": cls.__name__}), "settings": predictor.settings()}


def _build(described: dict[str, Any]) -> Predictor | ActionConditioned | FrameCausalPredictor:
    if described["type"] == "FrameCausalPredictor":
        return FrameCausalPredictor(**described["settings"])
    name = described.get("class")
    if name is not None and name not in PREDICTORS:
        raise ValueError(f"there is no predictor {name!r}; import it first, with @register_predictor before its class")
    predictor = (PREDICTORS[name] if name else Predictor)(**described["settings"])
    if described["type"] == "Predictor":
        return predictor
    return ActionConditioned(predictor, described.get("action_dim", 0), described.get("action_scale", 1.0))


def packaged_models() -> list[str]:
    """Return the names of the models that travel with the package."""
    return sorted(path.name for path in _ASSETS.iterdir() if path.is_dir()) if _ASSETS.is_dir() else []


def packaged_folder(name: str) -> Path:
    """Return the folder of a packaged model, whatever lies where the process works."""
    return _ASSETS / name


def find_folder(folder_or_name: str | os.PathLike[str]) -> Path:
    """Return the folder that a model is loaded from.

    Raises:
        ValueError, OSError: there is none, or the Hub cannot be reached.
        ImportError: it is on the Hub, and what loads from there is not installed.
    """
    name = os.fspath(folder_or_name)
    if is_on_hub(name):
        return local_folder(name, [WEIGHTS, CONFIG])
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


def _read_config(file: Path) -> dict[str, Any]:
    try:
        version = read_json(file, _VERSION)["format_version"]
    except FileNotFoundError:
        inside = file.parent / "model"  # where what trains in a folder puts it
        there = f"; {inside} is one" if (inside / CONFIG).exists() else ""
        raise FileNotFoundError(f"{file} is missing; a model is a folder with {CONFIG} and {WEIGHTS}{there}") from None
    if version > FORMAT_VERSION:
        raise ValueError(
            f"{file} has format version {version}, this wmcontrol reads up to {FORMAT_VERSION}: "
            "pip install -U wmcontrol"
        )
    config: dict[str, Any] = read_json(file, _CONFIG)
    return config


def _read_weights(file: Path) -> dict[str, Tensor]:
    if not file.exists():
        raise FileNotFoundError(f"{file} is missing; a model is a folder with {CONFIG} and {WEIGHTS}")
    try:
        return load_file(file)
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{file} is damaged or cut short ({error}); copy it again") from None
