"""An encoder on disk: its name and settings in JSON, and its weights where it carries them."""

import hashlib
import json
import os
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from .encoder import Encoder
from .registry import build_encoder, encoder_name

SETTINGS, WEIGHTS = "encoder.json", "encoder.safetensors"


def save_encoder(encoder: Encoder, folder: Path) -> None:
    """Save an encoder into a folder that is there: ``encoder.json``, and ``encoder.safetensors`` if it has weights.

    Raises:
        ValueError: it is none of ours.
    """
    described = {"name": encoder_name(encoder), "settings": encoder.settings()}
    if encoder.carries_weights:
        temporary = folder / f"{WEIGHTS}.tmp"
        temporary.touch()
        mode = temporary.stat().st_mode
        save_file({name: tensor.contiguous() for name, tensor in encoder.state_dict().items()}, temporary)
        temporary.chmod(mode)  # safetensors leaves it to its owner alone
        os.replace(temporary, folder / WEIGHTS)
    # The settings come last: with them, all is there.
    temporary = folder / f"{SETTINGS}.tmp"
    temporary.write_text(json.dumps(described, indent=1))
    os.replace(temporary, folder / SETTINGS)


def load_encoder(folder: Path) -> Encoder:
    """Load what :func:`save_encoder` saved.

    Raises:
        OSError: a file is not there, or weights that the encoder has elsewhere are not.
        ValueError: a file is broken, or does not fit the others; it is named.
        ImportError: the encoder's extra is not installed.
    """
    try:
        described = json.loads((folder / SETTINGS).read_text())
        encoder = build_encoder(described["name"], described["settings"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{folder / SETTINGS} describes no encoder: {error}") from error
    if encoder.carries_weights:
        try:
            encoder.load_state_dict(load_file(folder / WEIGHTS))
        except (SafetensorError, RuntimeError) as error:
            raise ValueError(f"{folder / WEIGHTS} does not hold this encoder's weights: {error}") from error
    return encoder


def encoder_digest(encoder: Encoder) -> str:
    """Return a digest of an encoder's class, settings and all weights: what decides what it makes of a frame."""
    digest = hashlib.sha256(json.dumps([encoder_name(encoder), encoder.settings()], sort_keys=True).encode())
    for name, tensor in sorted(encoder.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
