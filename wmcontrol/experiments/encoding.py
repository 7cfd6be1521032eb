"""Finding the encoder that a job asks for, and the frames that it encodes."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..data import TrajectoryDataset
from ..encoders import Encoder, PyramidEncoder, build_encoder
from ..encoders.files import load_encoder, save_encoder
from ..models import WorldModel
from ..models.checkpoint import packaged_models


def find_encoder(
    name: str,
    settings: Mapping[str, Any],
    datasets: Sequence[TrajectoryDataset],
    out: Path,
    *,
    fit_frames: int,
    seed: int,
) -> Encoder:
    """Return an encoder by its name, or out of a folder.

    A pyramid is fitted to frames of all data sets alike and saved under ``out``, where the same line finds it again.

    Args:
        name: of an encoder, the folder of a store or a model, or the name of a packaged model.
        settings: of the encoder.
        datasets: what a pyramid is fitted to.
        out: the folder of stores.
        fit_frames: how many frames.
        seed: which of them.

    Raises:
        ValueError: no such encoder, or settings that it does not take.
    """
    folder = Path(name)
    if folder.is_dir() or name in packaged_models():
        if settings:
            raise ValueError(f"{name} says what its encoder's settings are; leave settings={dict(settings)} out")
        return load_encoder(folder) if (folder / "encoder.json").exists() else WorldModel.load(name).encoder
    encoder = build_encoder(name, settings)
    if not isinstance(encoder, PyramidEncoder):
        return encoder
    asked = [encoder.settings(), [dataset.fingerprint() for dataset in datasets], fit_frames, seed]
    fitted = out / f"encoder-{hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]}"
    if (fitted / "encoder.json").exists():
        return load_encoder(fitted)
    # Data sets of one environment show one scene.
    scenes: dict[str, list[torch.Tensor]] = {}
    for i, (dataset, frames) in enumerate(zip(datasets, sample_frames(datasets, fit_frames, seed), strict=True)):
        scene = f"{dataset.env_id} {dict(dataset.env_settings)}" if dataset.env_id else f"data set {i}"
        scenes.setdefault(scene, []).append(torch.from_numpy(frames))
    encoder.fit(*scenes.values())
    fitted.mkdir(exist_ok=True)
    height, width = next(iter(scenes.values()))[0].shape[1:3]
    save_encoder(encoder, fitted, (height, width))
    return encoder


def sample_frames(datasets: Sequence[TrajectoryDataset], count: int, seed: int) -> "list[np.typing.NDArray[np.uint8]]":
    """Draw frames of each data set, as many of each: evenly spread over up to a thousand trajectories.

    Raises:
        ValueError: a data set has no frames.
    """
    rng = np.random.default_rng(seed)
    share = -(-count // len(datasets))
    found, shape = [], None
    for dataset in datasets:
        pieces = []
        chosen = rng.choice(len(dataset), min(len(dataset), 1000), replace=False)
        each = np.diff(np.linspace(0, share, len(chosen) + 1).round().astype(int))
        for index, wanted in zip(chosen.tolist(), each.tolist(), strict=True):
            trajectory = dataset.trajectory(index)
            if trajectory.frames is None:
                raise ValueError(f"{trajectory.provenance}: it has no frames to encode, and none can be drawn")
            if wanted:
                picked = rng.choice(len(trajectory), min(wanted, len(trajectory)), replace=False)
                pieces.append(trajectory.frames.read(np.sort(picked)))
                shape = shape or pieces[0].shape[1:]
                if pieces[-1].shape[1:] != shape:
                    sizes = " and ".join(f"{rows} x {columns}" for rows, columns, _ in (shape, pieces[-1].shape[1:]))
                    raise ValueError(
                        f"{trajectory.provenance}: frames of all data must have one size, got {sizes}; give one "
                        "with image_size"
                    )
        found.append(np.concatenate(pieces))
    return found
