"""``wmcontrol finetune``."""

import sys
from dataclasses import dataclass
from pathlib import Path

from ..keys import key


@dataclass
class Config:
    """Fine-tune a predictor with actions on windows of stored tokens, in one of the paper's three ways.

    Defaults are for the tiny size; the paper's are optimizer=adamw learning_rate=1e-4 num_frames=4.
    A tenth of the trajectories is held out by seed, for planning and for the errors in the log. Killed, it goes on
    where it stopped when the same line is run again. On several GPUs or machines, start it by torchrun.
    """

    store: Path = key("a latent store with actions (wmcontrol encode)", example="stores/1f2e")
    base: Path | None = key(
        "the pretrained model; its encoder must be the store's. Without one only mode=scratch is possible",
        default=None,
        example="models/base/model",
    )
    mode: str = key(
        "everything anew, the action blocks only, or everything from the base",
        default="full",
        choices=("scratch", "action_only", "full"),
        example="action_only",
    )
    out: Path | None = key(
        "the folder for the model; by default under outputs/finetune", default=None, example="models/wall"
    )
    num_train_trajectories: int | None = key(
        "train on only so many trajectories", default=None, at_least=1, example="200"
    )
    size: str = key(
        "of the predictor, without a base", default="tiny", choices=("tiny", "base", "large", "giant"), example="base"
    )
    frameskip: int = key("environment steps of a model step", default=5, at_least=1, example="4")
    num_frames: int = key(
        "frames of a window; the paper's is 4, but a plan of 5 steps after 3 frames sees 7 before the last",
        default=8,
        at_least=2,
        example="4",
    )
    rollout_steps: int = key("passes of the rollout loss; 1 is teacher forcing", default=1, at_least=1, example="2")
    num_steps: int = key("optimiser steps", default=4000, at_least=1, example="10000")
    batch_size: int = key("windows of a step, of all processes together", default=128, at_least=1, example="1024")
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
    warmup_steps: int = key("steps over which it grows", default=200, at_least=0, example="5000")
    backbone_lr_scale: float = key(
        "mode=full: factor of the learning rate for what was pretrained",
        default=0.3,
        over=0,
        example="1",
    )
    backbone_freeze_fraction: float = key(
        "mode=full: share of the steps, from the first, in which what was pretrained is frozen",
        default=0.3,
        at_least=0,
        example="0",
    )
    weight_decay: float = key("of matrices", default=0.05, at_least=0, example="0.4")
    ema_decay: float = key(
        "decay of an exponential moving average of the weights", default=0.0, at_least=0, example="0.999"
    )
    grad_accum_steps: int = key("parts that a batch is split into, to save memory", default=1, at_least=1, example="4")
    seed: int = key("of the split, weights and windows", default=0, at_least=0, example="1")
    split_seed: int | None = key(
        "decides which trajectories are held out; by default seed", default=None, at_least=0, example="0"
    )
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


def short_warmup(num_steps: int) -> int:
    """Return the steps of warm-up where nobody says them: a short training has no time for a long one."""
    return min(Config.warmup_steps, num_steps // 10)


def run(config: Config) -> None:
    """Train it."""
    from ...training import FinetuneSettings, finetune
    from ..training import is_first, settings_from, training_folder

    with training_folder("finetune", config) as (out, progress, on_log):
        result = finetune(
            config.store,
            base=config.base,
            mode=config.mode,  # type: ignore[arg-type]
            settings=settings_from(FinetuneSettings, config),
            folder=out,
            device=config.device,
            progress=progress,
            on_log=on_log,
        )
    if not is_first():
        return
    actions = result.model.normalizer
    assert actions is not None
    held = ", ".join(f"{number} at {actions.low[number]:g}" for number in (actions.low == actions.high).nonzero()[:, 0])
    if held:
        print(f"numbers of an action that never change in the data, and are held: {held}")
    error = result.error
    print(
        f"relative error on held-out trajectories after {error.context} context frames: {error}; persistence is 100 %"
    )
    if error.warning:
        print(f"warning: {error.warning}", file=sys.stderr)
    print(out / "model")
