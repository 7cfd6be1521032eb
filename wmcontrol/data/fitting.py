"""Fitting an encoder to the frames of data sets."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from ..encoders import PyramidEncoder
from ..encoders.files import load_encoder, save_encoder
from .dataset import TrajectoryDataset
from .frames import Pixels


def fit_encoder(
    encoder: PyramidEncoder,
    datasets: Sequence[TrajectoryDataset],
    *,
    num_frames: int = 20_000,
    seed: int = 0,
    folder: str | Path | None = None,
) -> None:
    """Fit an encoder to frames of all data sets alike; those of one environment show one scene.

    Args:
        encoder: fitted in place.
        datasets: with frames, all of one size.
        num_frames: how many frames it is fitted to.
        seed: which of them.
        folder: where what was fitted is saved, and found again by the same call; by default nowhere.

    Raises:
        ValueError: a data set has no frames, or frames differ in size.
    """
    asked = [encoder.settings(), [dataset.fingerprint() for dataset in datasets], num_frames, seed]
    digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]
    fitted = None if folder is None else Path(folder) / f"encoder-{digest}"
    if fitted is not None and (fitted / "encoder.json").exists():
        encoder.load_state_dict(load_encoder(fitted).state_dict())
        return
    scenes: dict[str, list[torch.Tensor]] = {}
    for i, (dataset, frames) in enumerate(zip(datasets, sample_frames(datasets, num_frames, seed), strict=True)):
        scene = f"{dataset.env_id} {dict(dataset.env_settings)}" if dataset.env_id else f"data set {i}"
        scenes.setdefault(scene, []).append(torch.from_numpy(frames))
    encoder.fit(*scenes.values())
    if fitted is not None:
        fitted.mkdir(parents=True, exist_ok=True)
        height, width = next(iter(scenes.values()))[0].shape[1:3]
        save_encoder(encoder, fitted, (height, width))


def sample_frames(datasets: Sequence[TrajectoryDataset], count: int, seed: int) -> list[Pixels]:
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
