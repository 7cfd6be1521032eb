"""``wmcontrol pretrain``."""

from dataclasses import dataclass
from pathlib import Path

from ..keys import key


@dataclass
class Config:
    """Train a predictor without actions on clips of stored tokens, at variable frame rate, as DINO-world does.

    Defaults are for the tiny size; the paper's are optimizer=adamw learning_rate=1e-4 min_lr_ratio=1 warmup_steps=5000
    weight_decay=0.4 num_steps=300000 batch_size=1024. Killed, it goes on where it stopped when the same line is run
    again. On several GPUs or machines, start it by torchrun.
    """

    stores: list[Path] = key("latent stores, all of one encoder (wmcontrol encode)", example="stores/1f2e,stores/3d4c")
    out: Path | None = key(
        "the folder for the model; by default under outputs/pretrain", default=None, example="models/base"
    )
    weights: list[float] | None = key(
        "how often each store is drawn from, relative to the others; by default all alike",
        default=None,
        over=0,
        example="1,2",
    )
    size: str = key("of the predictor", default="tiny", choices=("tiny", "base", "large", "giant"), example="base")
    start: Path | None = key(
        "a model to go on from, with its size, as for a second stage at another resolution",
        default=None,
        example="base_224/model",
    )
    num_frames: int = key("frames of a clip", default=8, at_least=2, example="4")
    step_seconds: list[float] = key(
        "the shortest and the longest time from one frame to the next", default=[0.1, 0.6], over=0, example="0.05,1.0"
    )
    num_steps: int = key("optimiser steps", default=10_000, at_least=1, example="300000")
    batch_size: int = key("clips of a step, of all processes together", default=256, at_least=1, example="1024")
    optimizer: str = key(
        "what changes the weights; muon learns in fewer steps",
        default="muon",
        choices=("adamw", "muon"),
        example="adamw",
    )
    learning_rate: float = key("after the warm-up", default=5e-3, over=0, example="1e-4")
    min_lr_ratio: float = key(
        "learning rate at the end over that after the warm-up; 1 is constant", default=0.0, at_least=0, example="1"
    )
    warmup_steps: int = key("steps over which it grows", default=500, at_least=0, example="5000")
    weight_decay: float = key("of matrices", default=0.05, at_least=0, example="0.4")
    ema_decay: float = key(
        "decay of an exponential moving average of the weights", default=0.0, at_least=0, example="0.999"
    )
    grad_accum_steps: int = key("parts that a batch is split into, to save memory", default=1, at_least=1, example="4")
    seed: int = key("of weights and clips", default=0, at_least=0, example="1")
    device: str | None = key("where to train; by default a GPU if there is one", default=None, example="cpu")
    compile: bool = key("let torch.compile make it faster: a minute at first", default=False, example="true")
    tensorboard: bool = key(
        'write the log for TensorBoard too, into the folder\'s tensorboard (pip install "wmcontrol[track]")',
        default=False,
        example="true",
    )
    shard: bool | None = key(
        "share out the weights over the processes of torchrun; by default of large and giant",
        default=None,
        example="true",
    )

    def __post_init__(self) -> None:
        if self.weights is not None and len(self.weights) != len(self.stores):
            raise ValueError(f"weights: expected one for each of {len(self.stores)} stores, got {len(self.weights)}")
        if len(self.step_seconds) != 2:
            raise ValueError(
                f"step_seconds: expected the shortest and the longest, got {len(self.step_seconds)} numbers"
            )


def run(config: Config) -> None:
    """Train it."""
    from ...training import PretrainSettings, pretrain
    from ..training import is_first, settings_from, training_folder

    with training_folder("pretrain", config) as (out, progress, on_log):
        pretrain(
            config.stores,
            weights=config.weights,
            settings=settings_from(PretrainSettings, config),
            start=config.start,
            folder=out,
            device=config.device,
            progress=progress,
            on_log=on_log,
        )
    if is_first():
        print(out / "model")
