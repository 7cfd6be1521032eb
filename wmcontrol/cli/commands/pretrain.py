"""``wmcontrol pretrain``."""

from dataclasses import dataclass
from typing import Any

from ..keys import MISSING
from ..objects import is_first, make, settings, train


@dataclass
class Config:
    """Train a predictor without actions on clips of stored tokens, at variable frame rate, as DINO-world does.

    Defaults are for the tiny size; the paper's are optimizer=adamw learning_rate=1e-4 min_lr_ratio=1 warmup_steps=5000
    weight_decay=0.4 num_steps=300000 batch_size=1024. Killed, it goes on where it stopped when the same line is run
    again. On several GPUs or machines, start it by torchrun.

    Example: wmcontrol pretrain stores=[stores/1f2e,stores/3d4c] weights=[1,2] num_steps=30000 out=models/base

    Args:
        stores: latent stores, all of one encoder (wmcontrol encode). For example [stores/1f2e,stores/3d4c].
        weights: how often each store is drawn from, relative to the others; by default all alike. For example [1,2].
        start: a model to go on from, with its size, as for a second stage at another resolution. For example
            base_224/model.
        device: where to train; auto is a GPU if there is one. For example cpu.
        out: the folder for the model; by default one of these settings, under outputs/pretrain. For example
            models/base.
    """

    stores: list[str] = MISSING  # type: ignore[assignment]
    weights: list[float] | None = None
    start: str | None = None
    device: str = "auto"
    out: str | None = None


def run(config: Any) -> None:
    """Train it."""
    from ...training import PretrainSettings, pretrain

    result = train(
        pretrain,
        config,
        list(config.stores),
        weights=config.weights and list(config.weights),
        settings=settings(PretrainSettings, config),
        predictor=make(config.predictor, "predictor", _partial_=True),
        start=config.start,
    )
    if is_first() and result.folder:
        print(result.folder / "model")
