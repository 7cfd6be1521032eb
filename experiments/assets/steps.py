"""What each stage of making the packaged models does."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from wmcontrol.compare.plan import (
    MODEL,
    RUN,
    SET,
    STORES,
    collecting,
    encoded_facts,
    fitting_prior,
    store_of,
    trained_facts,
)
from wmcontrol.compare.stages import Stage
from wmcontrol.data import LatentStore, encode, fit_encoder, open_dataset
from wmcontrol.encoders import PyramidEncoder
from wmcontrol.encoders.files import encoder_digest, load_encoder, save_encoder
from wmcontrol.models import PlanningSettings, Predictor, WorldModel
from wmcontrol.training import (
    FinetuneSettings,
    PretrainSettings,
    StepsToGoSettings,
    TemporalEmbeddingSettings,
    finetune,
    fit_steps_to_go,
    fit_temporal_embedding,
    pretrain,
)

from .recipe import Recipe

_DTYPE = "float16"  # of stored tokens


def plan(recipe: Recipe) -> dict[str, Stage]:
    """Return the stages that train the models of a recipe, by name, each after those that it needs."""
    sets, unseen = {}, {}
    for name, data in recipe.data.items():
        sets[name], unseen[name] = collecting(name, data)
    encoder = Stage("fit encoder", asdict(recipe.encoder), tuple(sets.values()), _fit)
    read = {"image_size": recipe.encoder.image_size, "dtype": _DTYPE}
    stores = {name: Stage(f"encode {name}", read, (encoder, sets[name]), _encode) for name in sets}
    unseen_stores = {name: Stage(f"encode {name} unseen", read, (encoder, unseen[name]), _encode) for name in sets}
    settings = {"predictor": dict(recipe.predictor), "weights": recipe.base_weights, **asdict(recipe.base)}
    base = Stage("train base", _plain(settings), tuple(stores.values()), _pretrain)
    trained = {
        name: Stage(f"train {name}", {"mode": "full", **asdict(settings)}, (stores[name], base), _finetune)
        for name, settings in recipe.models.items()
    }
    more = {name: collecting(f"{name} further", data)[0] for name, data in recipe.further_data.items()}
    learned = stores | {name: Stage(f"encode {name} further", read, (encoder, more[name]), _encode) for name in more}
    done, further = dict(trained), [stage for name in more for stage in (more[name], learned[name])]
    for name, runs in recipe.further.items():
        for number, run in enumerate(runs, 1):
            needs = (learned[name], done[name])
            done[name] = Stage(f"train {name} further {number}", {"mode": "full", **asdict(run)}, needs, _finetune)
            further.append(done[name])
    priors = {
        name: fitting_prior(name, settings, recipe.planning.get(name, PlanningSettings()), stores[name], done[name])
        for name, settings in recipe.priors.items()
    }
    far = {
        name: Stage(
            f"fit far {name}",
            {"kind": "landmarks" if isinstance(settings, StepsToGoSettings) else "embedding", **asdict(settings)},
            (stores[name], priors.get(name, done[name])),
            _fit_far,
        )
        for name, settings in recipe.far.items()
    }
    fitted = [*priors.values(), *far.values()]
    stages = [*sets.values(), encoder, *stores.values(), base, *trained.values(), *further, *fitted]
    return {stage.name: stage for stage in [*stages, *unseen.values(), *unseen_stores.values()]}


def _fit(stage: Stage, root: Path) -> dict[str, Any]:
    settings, out = stage.settings, stage.folder(root)
    datasets = [open_dataset(need.folder(root) / SET, image_size=settings["image_size"]) for need in stage.needs]
    encoder = PyramidEncoder(**settings["settings"])
    fit_encoder(encoder, datasets, num_frames=settings["fit_frames"], seed=settings["seed"], folder=out)
    # Rounded before anything is encoded, so that the half precision of what is packaged loses nothing.
    encoder.half().float()
    (out / "encoder").mkdir(exist_ok=True)
    save_encoder(encoder, out / "encoder", (settings["image_size"], settings["image_size"]))
    return {"encoder": "pyramid", "settings": encoder.settings(), "digest": encoder_digest(encoder)}


def _encode(stage: Stage, root: Path) -> dict[str, Any]:
    encoder, data = stage.needs
    dataset = open_dataset(data.folder(root) / SET, image_size=stage.settings["image_size"])
    fitted = load_encoder(encoder.folder(root) / "encoder")
    encode(dataset, fitted, stage.folder(root) / STORES, dtype=stage.settings["dtype"])
    return encoded_facts(stage, root)


def _pretrain(stage: Stage, root: Path) -> dict[str, Any]:
    settings = {key: value for key, value in stage.settings.items() if key not in ("predictor", "weights")}
    stores = [store_of(need, root) for need in stage.needs]
    pretrain(
        stores,
        weights=stage.settings["weights"],
        settings=PretrainSettings(**settings),
        start=_fresh(stores[0], stage.settings["predictor"], settings["seed"]),
        folder=stage.folder(root) / RUN,
    )
    return trained_facts(stage, root)


def _finetune(stage: Stage, root: Path) -> dict[str, Any]:
    store, base = stage.needs
    settings = {key: value for key, value in stage.settings.items() if key != "mode"}
    finetune(
        store_of(store, root),
        base=base.folder(root) / MODEL,
        mode=stage.settings["mode"],
        settings=FinetuneSettings(**settings),
        folder=stage.folder(root) / RUN,
    )
    return trained_facts(stage, root)


def _fit_far(stage: Stage, root: Path) -> dict[str, Any]:
    store, trained = stage.needs
    settings = {key: value for key, value in stage.settings.items() if key != "kind"}
    data, base, folder = store_of(store, root), trained.folder(root) / MODEL, stage.folder(root) / RUN
    if stage.settings["kind"] == "landmarks":
        found = fit_steps_to_go(data, base=base, settings=StepsToGoSettings(**settings), folder=folder)
        return {"error": found.error, "chance_error": found.chance_error}
    told = fit_temporal_embedding(data, base=base, settings=TemporalEmbeddingSettings(**settings), folder=folder)
    return {"error": told.error, "chance_error": told.chance_error, "accuracy": told.accuracy}


def _fresh(store: LatentStore, settings: Mapping[str, Any], seed: int) -> WorldModel:
    torch.manual_seed(seed)
    predictor = Predictor(dim=store.tokens.shape[2], **settings)
    return WorldModel(store.encoder, predictor, control_rate=store.control_rate or 1.0, frame_size=store.frame_size)


def _plain(value: Any) -> Any:
    """Return a value as JSON has it."""
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
