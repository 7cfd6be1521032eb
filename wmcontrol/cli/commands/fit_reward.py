"""``wmcontrol fit_reward``."""

from dataclasses import dataclass
from typing import Any

from ..errors import UsageError
from ..keys import MISSING
from ..objects import made, refused_before, run_folder
from ..progress import progress_bar


@dataclass
class Config:
    """Teach a model which rewards its frames bring, so that agents plan for rewards and need no goal.

    The world model stays as it is; the model that comes out has a reward head. A tenth of the trajectories is held out
    by seed, as fine-tuning does. Killed, it goes on where it stopped when the same line is run again.

    Example: wmcontrol fit_reward store=stores/1f2e base=models/pendulum/model num_frames=2 out=models/pendulum_reward

    Args:
        store: a latent store with actions and rewards (wmcontrol record, encode), of the model's encoder. For example
            stores/1f2e.
        base: the model, with actions: its folder, a packaged name or hf://owner/name. For example
            models/pendulum/model.
        out: the folder for the model; by default one of these settings, under outputs/fit_reward. For example
            models/pendulum_reward.
    """

    store: str = MISSING
    base: str = MISSING
    out: str | None = None


def run(config: Any) -> None:
    """Fit it."""
    import torch

    from ...data import LatentStore
    from ...models import WorldModel
    from ...runs import open_run
    from ...training import fit_reward
    from ...training.inputs import base_digest

    out = run_folder(config, "fit_reward")
    with made("store"):
        store = LatentStore.open(config.store)
    with made("base"):
        model = WorldModel.load(config.base, dtype=torch.float32)
    if model.normalizer is None or not store.made_by(model.encoder):
        raise UsageError(f"base: expected a model with actions and the encoder of {config.store}")
    how = {name: config[name] for name in ("num_steps", "batch_size", "learning_rate", "width", "num_frames", "seed")}
    about = {"store": store.identity(), "base": base_digest(model), "settings": how}
    with (
        open_run(out, "fit_reward", about),
        progress_bar("training") as show,
        refused_before(show) as progress,
    ):
        result = fit_reward(store, frameskip=model.frameskip, folder=out, progress=progress, **how)
        model.reward = result.head
        model.save(out / "model")
    print(f"held-out trajectories: error {result.error:.3g}, {result.explained:.1%} of the rewards' variance explained")
    print(out / "model")
