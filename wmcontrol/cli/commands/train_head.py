"""``wmcontrol train_head``."""

from dataclasses import dataclass
from typing import Any

from ..objects import make, settings, train


@dataclass
class Config:
    """Train a linear head on an encoder's tokens of labelled frames, for wmcontrol forecast: classes or depths.

    Killed, it goes on where it stopped when the same line is run again.

    Example: wmcontrol train_head clips=scenes clips.seed=1 encoder.path=models/base/model out=heads/scenes

    Args:
        device: where to train; auto is a GPU if there is one. For example cpu.
        out: the folder for the head; by default one of these settings, under outputs/train_head. For example
            heads/city.
    """

    device: str = "auto"
    out: str | None = None


def run(config: Any) -> None:
    """Train it."""
    from ...forecasting import HeadSettings, train_head

    clips, encoder = make(config.clips, "clips"), make(config.encoder, "encoder")
    result = train(train_head, config, clips, encoder, settings=settings(HeadSettings, config))
    print(f"loss of the last step: {result.loss:.4f}")
    print(result.folder)
