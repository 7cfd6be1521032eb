"""From trained models to what travels with the package: rounded, measured, with a card, and within a budget."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from wmcontrol.compare.plan import MODEL, store_of
from wmcontrol.compare.stages import Stage
from wmcontrol.data import LatentStore
from wmcontrol.encoders import PyramidEncoder
from wmcontrol.models import (
    ActionConditioned,
    ActionPrior,
    Landmarks,
    PlanningSettings,
    Predictor,
    StepsToGo,
    TemporalEmbedding,
    WorldModel,
)
from wmcontrol.models.checkpoint import save
from wmcontrol.models.landmarks import MOST_FROM
from wmcontrol.training import StepsToGoSettings, TemporalEmbeddingSettings, held_out_clips, prediction_error

from .card import CARD, FACTS, card
from .recipe import FRAMESKIP, RECIPE, Recipe

BUDGET = 35_000_000  # bytes of all that is packaged; in the wheel, which deflates them, no more than 30 MB
_BESIDE = 60_000  # bytes of cards, configuration and the names of tensors, of one model, at the most
_TYPES = {
    "predictor": "bfloat16",
    **dict.fromkeys(("encoder", "prior", "steps_to_go", "landmarks", "temporal_embedding"), "float16"),
}


def package(name: str, stages: Mapping[str, Stage], recipe: Recipe) -> Stage:
    """Return the stage that packages a model, "base" or one by the name of its data."""
    seen = list(recipe.data) if name == "base" else [name]
    skips = {data: recipe.models[data].frameskip if data in recipe.models else FRAMESKIP for data in seen}
    runs = len(recipe.further.get(name, ()))
    trained = stages[f"train {name} further {runs}" if runs else f"train {name}"]
    made = stages[f"fit prior {name}"] if name in recipe.priors else trained
    made = stages.get(f"fit far {name}", made)
    needs = [made, *(stages[f"encode {data} unseen"] for data in seen)]
    command = f"python -m experiments.assets --only {name}" if recipe is RECIPE else "a recipe of its own"
    settings = {
        "weights": _TYPES,
        "frameskip": skips,
        "num_frames": trained.settings["num_frames"],
        "planning": asdict(recipe.planning.get(name, PlanningSettings())),
        "command": command,
    }
    return Stage(f"package {name}", settings, tuple(needs), _package)


def packaged_model(stage: Stage, root: Path) -> Path:
    """Return the folder that a stage "package …" made."""
    return stage.folder(root) / stage.name.split(maxsplit=1)[1]


def expected_bytes(recipe: Recipe, name: str) -> int:
    """Return how many bytes a packaged model will take, at the most, before anything is made."""
    encoder = PyramidEncoder(**recipe.encoder.settings)
    base = Predictor(dim=encoder.dim, **recipe.predictor)
    # An environment action has two numbers in all of ours.
    action_dim = 0 if name == "base" else 2 * recipe.models[name].frameskip
    predictor: nn.Module = ActionConditioned(base, action_dim) if action_dim else base
    parts = [encoder, predictor]
    rows, columns = encoder.grid(recipe.encoder.image_size, recipe.encoder.image_size)
    if name in recipe.priors:
        settings = recipe.priors[name]
        frames = recipe.planning.get(name, PlanningSettings()).context_frames
        parts.append(
            ActionPrior(
                encoder.dim,
                rows * columns,
                action_dim,
                num_frames=frames,
                width=settings.width,
                depth=settings.depth,
            )
        )
    if far := recipe.far.get(name):
        parts += _far_parts(far, encoder.dim, rows * columns)
    tensors: list[Tensor] = [tensor for part in parts for tensor in part.state_dict().values()]
    each = (tensor.numel() * (2 if tensor.is_floating_point() else tensor.element_size()) for tensor in tensors)
    return sum(each) + _BESIDE


def _far_parts(settings: StepsToGoSettings | TemporalEmbeddingSettings, dim: int, num_patches: int) -> list[nn.Module]:
    """Return what a model gets for far goals, as large as it can become."""
    if isinstance(settings, TemporalEmbeddingSettings):
        sizes = {name: getattr(settings, name) for name in ("size", "width", "depth", "num_frames")}
        return [TemporalEmbedding(dim, num_patches, **sizes)]
    sizes = {name: getattr(settings, name) for name in ("max_steps", "width", "depth")}
    count = settings.num_landmarks
    edges = count * min(MOST_FROM, count - 1)
    return [
        StepsToGo(dim, num_patches, **sizes),
        Landmarks(dim, num_patches, num_landmarks=count, num_edges=edges, reach=settings.reach),
    ]


def check_budget(sizes: Mapping[str, int]) -> None:
    """Raise an error that lists all sizes if they are too much together.

    Raises:
        ValueError: they are.
    """
    total = sum(sizes.values())
    if total > BUDGET:
        each = ", ".join(f"{name} {size / 1e6:.2f}" for name, size in sorted(sizes.items()))
        raise ValueError(
            f"packaged models may take {BUDGET / 1e6:g} MB in all, these take {total / 1e6:.2f} MB ({each}); make the "
            "predictor or the encoder smaller in experiments/assets/recipe.py"
        )


def sizes_in(folder: Path) -> dict[str, int]:
    """Return the bytes of what lies in a folder, by name; all of a folder in it together. Hidden names are left out."""
    if not folder.exists():
        return {}
    return {path.name: bytes_of(path) for path in sorted(folder.iterdir()) if not path.name.startswith(".")}


def bytes_of(path: Path) -> int:
    """Return the bytes of a file, or of all files below a folder."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)


def install(made: Path, into: Path) -> None:
    """Put a packaged model into a folder, in place of one of its name; a kill leaves the old, the new, or none."""
    target = into / made.name
    partial, old = (into / f".{made.name}.{kind}" for kind in ("partial", "old"))
    for path in (partial, old):
        shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(made, partial)
    if target.exists():
        target.rename(old)
    partial.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def _package(stage: Stage, root: Path) -> dict[str, Any]:
    made, *unseen = stage.needs
    folder = packaged_model(stage, root)
    shutil.rmtree(folder, ignore_errors=True)  # of an attempt that was killed
    model = WorldModel.load(made.folder(root) / MODEL, dtype=torch.float32)
    _round_weights(model)
    model.planning = PlanningSettings(**stage.settings["planning"])
    save(model, folder, rounded={part: getattr(torch, name) for part, name in _TYPES.items()})
    weights = folder / "model.safetensors"
    facts: dict[str, Any] = {
        "name": folder.name,
        "command": stage.settings["command"],
        "weights": _TYPES,
        "bytes": weights.stat().st_size,
        "sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
        "actions": model.normalizer.settings() if model.normalizer else None,
        "control_rate": model.control_rate,
        "frame_size": list(model.frame_size),
        "errors": _errors(model, stage, unseen, root),
    }
    if model.landmarks is not None:
        facts["landmarks"] = model.landmarks.settings()
    if model.temporal_embedding is not None:
        facts["temporal_embedding"] = model.temporal_embedding.settings()
    facts["stages"] = [_told(need, root) for need in stage.all_needs()[:-1]]
    (folder / FACTS).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    (folder / CARD).write_text(card(facts), encoding="utf-8")
    return {"bytes": bytes_of(folder)}


def _round_weights(model: WorldModel) -> None:
    """Round the weights of a model to what is packaged of them."""
    model.predictor.to(torch.bfloat16).float()
    for part in model.heads().values():
        part.half().float()
    if model.temporal_embedding is not None:  # the points of its frames are those of the network as it is now
        again = model.temporal_embedding.keep(model.temporal_embedding.frames)
        model.temporal_embedding = again.half().float().requires_grad_(False).eval()


def _errors(model: WorldModel, stage: Stage, unseen: list[Stage], root: Path) -> dict[str, Any]:
    found = {}
    for need, (name, frameskip) in zip(unseen, stage.settings["frameskip"].items(), strict=True):
        store = store_of(need, root)
        found[name] = {**measured(model, store, frameskip, stage.settings["num_frames"]), "trajectories": len(store)}
    return found


def measured(model: WorldModel, store: LatentStore, frameskip: int, num_frames: int) -> dict[str, Any]:
    """Return the errors of a model on trajectories that it was not trained on, as cards have them."""
    clips, context = held_out_clips(
        store, None, num_frames=num_frames, frameskip=frameskip, normalizer=model.normalizer, seed=0
    )
    assert isinstance(model.predictor, Predictor | ActionConditioned)
    error = prediction_error(model.predictor, clips, store.grid, context=context)
    return {**error.as_dict(), "windows": len(clips.names)}


def _told(stage: Stage, root: Path) -> dict[str, Any]:
    record = stage.record(root)
    assert record is not None
    return record
