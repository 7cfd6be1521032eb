"""What each stage of making the packaged models does, by the same jobs that the command line has."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch

from ..data import LatentStore, fit_encoder
from ..encoders import PyramidEncoder
from ..encoders.files import encoder_digest, save_encoder
from ..models import Predictor, WorldModel
from .jobs import collect, encode, finetune, pretrain
from .reader_keys import open_data
from .recipes import Data, Recipe
from .stages import Stage

_DTYPE = "float16"  # of stored tokens
# Keys that say where something lies or how it is watched, not what it is; and the size, which the recipe says in full.
_LEFT_OUT = {"out", "store", "stores", "base", "start", "size", "shard", "tensorboard"}


def plan(recipe: Recipe) -> dict[str, Stage]:
    """Return the stages that train the models of a recipe, by name, each after those that it needs."""
    sets, unseen = {}, {}
    for name, data in recipe.data.items():
        sets[name], unseen[name] = collecting(name, data)
    encoder = Stage("fit encoder", _plain(asdict(recipe.encoder)), tuple(sets.values()), _fit)
    read = {"image_size": recipe.encoder.image_size, "dtype": _DTYPE}
    stores = {name: Stage(f"encode {name}", read, (encoder, sets[name]), _encode) for name in sets}
    unseen_stores = {name: Stage(f"encode {name} unseen", read, (encoder, unseen[name]), _encode) for name in sets}
    keys = deciding_keys(pretrain.Config(stores=[Path()] * len(stores), **recipe.base))
    base = Stage("train base", {"predictor": dict(recipe.predictor), **keys}, tuple(stores.values()), _pretrain)
    trained = {}
    for name, given in recipe.models.items():
        keys = deciding_keys(finetune.Config(store=Path(), mode="full", **given))
        trained[name] = Stage(f"train {name}", keys, (stores[name], base), _finetune)
    stages = [*sets.values(), encoder, *stores.values(), base, *trained.values()]
    return {stage.name: stage for stage in [*stages, *unseen.values(), *unseen_stores.values()]}


def collecting(name: str, data: Data) -> tuple[Stage, Stage]:
    """Return the stages that collect an environment's trajectories: those to train on, and the unseen ones."""
    seen = Stage(f"collect {name}", _collected(data, data.episodes, data.seed), (), _collect)
    more = _collected(data, data.unseen_episodes, data.unseen_seed)
    return seen, Stage(f"collect {name} unseen", more, (), _collect)


def set_of(stage: Stage, root: Path) -> Path:
    """Return the folder of the data set that a stage "collect …" made."""
    return stage.folder(root) / "set"


def store_of(stage: Stage, root: Path) -> LatentStore:
    """Open the store that a stage "encode …" made."""
    (found,) = (stage.folder(root) / "stores").glob("*/store.json")
    return LatentStore.open(found.parent)


def run_folder(stage: Stage, root: Path) -> Path:
    """Return the folder that a stage "train …" trains in."""
    return stage.folder(root) / "run"


def model_of(stage: Stage, root: Path) -> Path:
    """Return the folder of the model that a stage "train …" made."""
    return stage.folder(root) / "run" / "model"


def deciding_keys(config: Any) -> dict[str, Any]:
    """Return the keys of a job that say what comes out."""
    return {f.name: _plain(getattr(config, f.name)) for f in fields(config) if f.name not in _LEFT_OUT}


def _collected(data: Data, episodes: int, seed: int) -> dict[str, Any]:
    return {
        "env": data.env,
        "policy": data.policy,
        "episodes": episodes,
        "frames": list(data.frames),
        "seed": seed,
    }


def _collect(stage: Stage, root: Path) -> dict[str, Any]:
    out = set_of(stage, root)
    collect.run(collect.Config(**stage.settings, out=out))
    lengths = open_data(out, {}).lengths
    with (out / "data" / "main_data.hdf5").open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"episodes": len(lengths), "frames": int(lengths.sum()), "sha256": digest}


def _fit(stage: Stage, root: Path) -> dict[str, Any]:
    settings, out = stage.settings, stage.folder(root)
    datasets = [open_data(set_of(need, root), {"image_size": settings["image_size"]}) for need in stage.needs]
    encoder = PyramidEncoder(**settings["settings"])
    fit_encoder(encoder, datasets, num_frames=settings["fit_frames"], seed=settings["seed"], folder=out)
    # Rounded before anything is encoded, so that the half precision of what is packaged loses nothing.
    encoder.half().float()
    (out / "encoder").mkdir(exist_ok=True)
    save_encoder(encoder, out / "encoder", (settings["image_size"], settings["image_size"]))
    return {"encoder": "pyramid", "settings": encoder.settings(), "digest": encoder_digest(encoder)}


def _encode(stage: Stage, root: Path) -> dict[str, Any]:
    encoder, data = stage.needs
    out, where = stage.folder(root) / "stores", encoder.folder(root) / "encoder"
    encode.run(encode.Config(data=[set_of(data, root)], encoder=str(where), out=out, **stage.settings))
    return encoded_facts(stage, root)


def encoded_facts(stage: Stage, root: Path) -> dict[str, Any]:
    """Return the facts of a stage that encoded."""
    store = store_of(stage, root)
    frames, patches, dim = store.tokens.shape
    return {"frames": frames, "patches": patches, "dim": dim, "env_id": store.env_id}


def _pretrain(stage: Stage, root: Path) -> dict[str, Any]:
    keys = {name: value for name, value in stage.settings.items() if name != "predictor"}
    stores = [store_of(need, root) for need in stage.needs]
    start = stage.folder(root) / "start"
    if not start.exists():
        _fresh(stores[0], stage.settings["predictor"], keys["seed"]).save(start)
    out = run_folder(stage, root)
    pretrain.run(pretrain.Config(stores=[store.folder for store in stores], start=start, out=out, **keys))
    return trained_facts(stage, root)


def _finetune(stage: Stage, root: Path) -> dict[str, Any]:
    store, base = stage.needs
    folder, out = store_of(store, root).folder, run_folder(stage, root)
    finetune.run(finetune.Config(store=folder, base=model_of(base, root), out=out, **stage.settings))
    return trained_facts(stage, root)


def trained_facts(stage: Stage, root: Path) -> dict[str, Any]:
    """Return the facts of a stage that trained."""
    model = WorldModel.load(model_of(stage, root), dtype=torch.float32)
    return {"parameters": sum(parameter.numel() for parameter in model.predictor.parameters())}


def _fresh(store: LatentStore, settings: Mapping[str, Any], seed: int) -> WorldModel:
    torch.manual_seed(seed)
    predictor = Predictor(dim=store.tokens.shape[2], **settings)
    return WorldModel(store.encoder, predictor, control_rate=store.control_rate or 1.0, frame_size=store.frame_size)


def _plain(value: Any) -> Any:
    """Return a value as JSON has it."""
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
